//! Which device holds which partition.

use std::fs;
use std::path::{Path, PathBuf};

use crate::BoardError;

/// A partition of the disk that the box was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name in the partition table: `esp`, `root-a`, `root-b`, `data`.
    pub name: String,
    /// The device, `/dev/mmcblk0p2`.
    pub device: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The kernel's name of the disk that it is on.
    disk: Option<String>,
    /// Its number in the kernel, `179:2`.
    number: String,
}

/// Bytes of the unit in which `/sys` tells sizes, whatever the device.
const SECTOR: u64 = 512;

/// Looks partitions up by the names in the partition table.
#[derive(Debug, Clone)]
pub struct Partitions {
    sys: PathBuf,
    dev: PathBuf,
    /// The device that `/` is on, `179:2`; its disk is the one that counts, should another one (a stick with the same
    /// image) have partitions of the same names.
    root: Option<String>,
}

impl Partitions {
    /// With these roots of `/proc`, `/sys` and `/dev`.
    #[must_use]
    pub fn new(proc: &Path, sys: &Path, dev: &Path) -> Self {
        let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        // What was mounted on `/` last is what one sees there.
        let root = mounts.lines().rev().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').take(5).collect();
            (fields.get(4) == Some(&"/")).then(|| fields.get(2).map(|number| (*number).to_owned()))?
        });
        Self { sys: sys.to_owned(), dev: dev.to_owned(), root }
    }

    /// The partition of this name.
    ///
    /// # Errors
    /// When there is none, or several on other disks than the one that runs.
    pub fn find(&self, name: &str) -> Result<Partition, BoardError> {
        let all = self.all()?;
        let root_disk =
            all.iter().find(|one| Some(&one.number) == self.root.as_ref()).and_then(|one| one.disk.clone());
        let mut named: Vec<Partition> = all.into_iter().filter(|one| one.name == name).collect();
        if named.len() > 1 {
            named.retain(|one| one.disk.is_some() && one.disk == root_disk);
        }
        match <[Partition; 1]>::try_from(named) {
            Ok([partition]) => Ok(partition),
            Err(found) => Err(BoardError::io(
                format!("the partition {name}"),
                if found.is_empty() { "isn't there" } else { "is there more than once" },
            )),
        }
    }

    /// Whether `/` is on it.
    #[must_use]
    pub fn is_root(&self, partition: &Partition) -> bool {
        self.root.as_deref() == Some(partition.number.as_str())
    }

    fn all(&self) -> Result<Vec<Partition>, BoardError> {
        let folder = self.sys.join("class/block");
        let entries = fs::read_dir(&folder).map_err(|error| BoardError::io(folder.display(), error))?;
        Ok(entries.filter_map(|entry| self.partition(&entry.ok()?.path())).collect())
    }

    /// What `/sys/class/block/X` says; `None` for what isn't a partition with a name.
    fn partition(&self, folder: &Path) -> Option<Partition> {
        let text = fs::read_to_string(folder.join("uevent")).ok()?;
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let size = fs::read_to_string(folder.join("size")).ok()?;
        // `/sys/class/block/vda2` leads to `/sys/devices/…/vda/vda2`.
        let disk = fs::canonicalize(folder)
            .ok()
            .and_then(|path| Some(path.parent()?.file_name()?.to_str()?.to_owned()));
        Some(Partition {
            name: line("PARTNAME")?.to_owned(),
            device: self.dev.join(line("DEVNAME")?),
            bytes: size.trim().parse::<u64>().ok()?.checked_mul(SECTOR)?,
            disk,
            number: format!("{}:{}", line("MAJOR")?, line("MINOR")?),
        })
    }
}
