//! The partition that firmware and GRUB start from. It is mounted while something is read or written there, and at no
//! other time: what isn't mounted can't be damaged by a power cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};

use crate::{BoardError, Code};

use super::Partitions;

/// How long one waits for another who has it mounted.
const PATIENCE: Duration = Duration::from_secs(30);
/// Its name in the partition table.
const NAME: &str = "esp";

/// Whether it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// Where one is in use in this process, whoever made its [`Esp`]: one mount point has one user.
static IN_USE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// Told when one isn't any more.
static FREE: Condvar = Condvar::new();

/// The ESP.
#[derive(Debug)]
pub struct Esp {
    at: PathBuf,
    /// `None`: it is a folder, there all the time.
    device: Option<Partitions>,
}

/// The ESP while somebody has it; dropped, it is synced and unmounted.
#[derive(Debug)]
pub struct Mounted {
    esp: Arc<Esp>,
    access: Access,
}

impl Esp {
    /// A folder that needs no mounting: for tests.
    #[must_use]
    pub fn folder(at: &Path) -> Arc<Self> {
        Self::new(at, None)
    }

    /// The partition `esp`, to be mounted at `at`.
    #[must_use]
    pub fn partition(partitions: Partitions, at: &Path) -> Arc<Self> {
        Self::new(at, Some(partitions))
    }

    fn new(at: &Path, device: Option<Partitions>) -> Arc<Self> {
        Arc::new(Self { at: at.to_owned(), device })
    }

    /// Mounts it, once nobody else has it mounted.
    ///
    /// # Errors
    /// [`Code::Busy`] when somebody has it for 30 s; what the system says.
    pub fn open(self: &Arc<Self>, access: Access) -> Result<Mounted, BoardError> {
        let waited = FREE.wait_timeout_while(in_use(), PATIENCE, |in_use| in_use.contains(&self.at));
        let (mut in_use, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(BoardError::new(Code::Busy, "the boot partition is in use; try again in a minute"));
        }
        if let Some(partitions) = &self.device {
            mount(partitions, &self.at, access)?;
        }
        in_use.insert(self.at.clone());
        Ok(Mounted { esp: Arc::clone(self), access })
    }
}

fn in_use() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mount(partitions: &Partitions, at: &Path, access: Access) -> Result<(), BoardError> {
    let partition = partitions.find(NAME)?;
    // One who was killed may have left it mounted, and read only at that.
    let _ = rustix::mount::unmount(at, UnmountFlags::NOFOLLOW);
    let mut flags = MountFlags::NOATIME | MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
    if access == Access::Read {
        flags |= MountFlags::RDONLY;
    }
    rustix::mount::mount(&partition.device, at, "vfat", flags, c"umask=077")
        .map_err(|error| BoardError::io(format!("the boot partition {}", partition.device.display()), error))
}

impl Mounted {
    /// Where it is, until this is dropped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.esp.at
    }

    /// What may be done.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut in_use = in_use();
        if self.esp.device.is_some()
            && let Err(error) = rustix::mount::unmount(&self.esp.at, UnmountFlags::NOFOLLOW)
        {
            tracing::error!(%error, "the boot partition stays mounted");
        }
        in_use.remove(&self.esp.at);
        FREE.notify_all();
    }
}
