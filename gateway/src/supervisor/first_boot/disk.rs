//! What is done to disks here, one operation at a time, so that tests can cut the power between any two.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The group that the gateway runs as (`/etc/group` of the image).
pub(crate) const GATEWAY_GROUP: u32 = 990;
/// The gateway goes through it and can't change it.
const FOLDER_MODE: u32 = 0o750;
/// The gateway reads it and can't change it.
const FILE_MODE: u32 = 0o640;

/// Operations that change something. Each is over when it returns, but what it did to a folder's list of names
/// is lost with the power until [`sync_folder`](Self::sync_folder).
pub(crate) trait Disk: Send {
    /// Makes a folder that the gateway may read.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Writes a new file that the gateway may read; its content is on the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file or a folder another name, of which what had it before is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a symbolic link.
    fn link(&self, target: &str, path: &Path) -> io::Result<()>;
    /// Writes a file on a medium, new or in place of an old one; its content is on the disk.
    fn note(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes zeros over a file, in place; they are on the disk.
    fn erase(&self, path: &Path) -> io::Result<()>;
    /// Removes a file or a link.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Puts a folder's list of names on the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The machine's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinuxDisk;

impl Disk for LinuxDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))?;
        for_the_gateway(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        for_the_gateway(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, target: &str, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn note(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn erase(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        file.rewind()?;
        io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
        file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Only root can give something to a group that it isn't in; elsewhere there is no such group to give it to.
fn for_the_gateway(path: &Path) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return std::os::unix::fs::chown(path, Some(0), Some(GATEWAY_GROUP));
    }
    Ok(())
}
