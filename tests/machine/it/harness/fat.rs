//! Files on FAT, as a person with a laptop puts and reads them: the box's own partition, or a USB stick.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::tools::{command, done, output};

/// A stick of this size costs nothing: it is a file with a hole.
const STICK_KIB: u32 = 64 << 10;

/// A volume in a file.
#[derive(Debug, Clone)]
pub(crate) struct Fat {
    pub(super) path: PathBuf,
    /// Where it begins in the file.
    pub(super) start: u64,
}

impl Fat {
    /// A new stick with a name, formatted as Windows does it: FAT32, and no partitions.
    pub(crate) fn stick(path: &Path, name: &str) -> Self {
        done(command("mkfs.vfat").args(["-F", "32", "-n", name, "-C"]).arg(path).arg(STICK_KIB.to_string()));
        Self { path: path.to_owned(), start: 0 }
    }

    /// How mtools calls it.
    fn volume(&self) -> String {
        format!("{}@@{}", self.path.display(), self.start)
    }

    /// Writes a file.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let volume = self.volume();
        done(command("mcopy").args(["-o", "-i", &volume]).arg(file.path()).arg(format!("::/{name}")));
    }

    /// A file's content.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let read = output(command("mcopy").args(["-n", "-i", &self.volume(), &format!("::/{name}"), "-"]));
        read.status.success().then_some(read.stdout)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
