//! Where stores lie while they are measured, and what reached the device.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::cleanup::{Kept, forget, keep};

/// Bytes of an image: enough for the longest phase.
pub(crate) const IMAGE_BYTES: usize = 1 << 30;
/// The kernel counts in sectors of this size whatever the device has.
const SECTOR: u64 = 512;

/// An ext4 file system of its own on a loop device, so that its counter sees nobody else. Its
/// blocks are really there, so that the first writing of one costs no more than the second.
#[derive(Debug)]
pub(crate) struct Image {
    folder: TempDir,
    device: String,
    options: &'static str,
}

/// As most file systems are mounted: ext4 commits its journal every 5 s.
pub(crate) const USUAL: &str = "noatime";
/// As docs/operating/install.md advises for a box's own file system: times of change may be a minute old
/// after a power cut, and aren't written every 5 s. What the store syncs is synced all the same.
pub(crate) const ADVISED: &str = "noatime,commit=60";

impl Image {
    /// Makes one of `bytes` in `folder` and mounts it with `options`. Needs root.
    pub(crate) fn new(folder: &Path, bytes: usize, options: &'static str) -> anyhow::Result<Self> {
        // A process's own folder in /proc belongs to whom it runs as.
        anyhow::ensure!(fs::metadata("/proc/self")?.uid() == 0, "only root can mount one");
        let folder = TempDir::new_in(folder)?;
        let file = folder.path().join("image");
        // Not zeros: some disks keep a hole instead.
        fs::write(&file, vec![0x5A; bytes])?;
        fs::create_dir(folder.path().join("mounted"))?;
        let file = path(&file)?;
        // Without the lazy parts nothing is written in the background later.
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", file])?;
        let device = keep(|| {
            let device = run("losetup", &["--find", "--show", file])?.trim().to_owned();
            Ok((device.clone(), Kept::LoopDevice(device)))
        })?;
        let image = Self { folder, device, options };
        keep(|| Ok((image.mount()?, Kept::Mounted(image.root()))))?;
        Ok(image)
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// Forgets everything that the file system has cached.
    pub(crate) fn remount(&self) -> anyhow::Result<()> {
        run("umount", &[path(&self.root())?])?;
        self.mount()
    }

    fn mount(&self) -> anyhow::Result<()> {
        run("mount", &["-t", "ext4", "-o", self.options, &self.device, path(&self.root())?]).map(drop)
    }

    /// Bytes that the device has taken so far, the file system's own included, with everything that
    /// the page cache still held.
    pub(crate) fn written(&self) -> anyhow::Result<u64> {
        rustix::fs::syncfs(fs::File::open(self.root())?)?;
        let name = self.device.trim_start_matches("/dev/");
        let counters = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        // Documentation/block/stat.rst: the seventh is "write sectors".
        let sectors = counters.split_whitespace().nth(6).context("a block device without counters")?;
        Ok(sectors.parse::<u64>()? * SECTOR)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // What can't be undone here stays visible in `losetup` and `mount`.
        if let Ok(root) = path(&self.root()) {
            let _ = run("umount", &[root]);
        }
        let _ = run("losetup", &["--detach", &self.device]);
        forget(&Kept::Mounted(self.root()));
        forget(&Kept::LoopDevice(self.device.clone()));
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the folder's name is not UTF-8")
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
