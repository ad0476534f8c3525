//! The media of the machine, mounted while they are looked at, read-only unless there is something to write.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use board::linux::{Access, Esp};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::label::label;
use super::medium::{Media, Medium};

/// The label of a stick that holds a configuration.
const LABEL: &str = "WAGATE";
/// Where a stick is mounted; the image has this folder.
const STICK: &str = "/usb";
/// Sticks that are looked at; a box has four sockets.
const STICKS_MAX: usize = 4;
/// Files on FAT have no owner: all of them are root's alone.
const OPTIONS: &std::ffi::CStr = c"umask=0077";
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// The box's own FAT partition, and sticks of our label.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    esp: Option<Arc<Esp>>,
    sticks: bool,
}

impl Mounts {
    /// `esp` as the board has it, so that nobody is in the other's way there; `sticks`: also USB sticks, on the box
    /// itself.
    #[must_use]
    pub const fn new(esp: Option<Arc<Esp>>, sticks: bool) -> Self {
        Self { esp, sticks }
    }
}

impl Media for Mounts {
    fn each(&mut self, look: &mut dyn FnMut(&mut dyn Medium)) {
        if let Some(esp) = &self.esp {
            match esp.open(Access::Read) {
                Ok(mounted) => {
                    let at = mounted.path().to_owned();
                    look(&mut Card { esp: Arc::clone(esp), at, mounted: Some(mounted) });
                }
                Err(error) => tracing::error!("the card's own partition can't be looked at: {error}"),
            }
        }
        if !self.sticks {
            return;
        }
        let devices = Devices::of(Path::new("/sys"), root_device());
        let device = |name: &str| Path::new("/dev").join(name);
        let ours = |name: &&str| {
            File::open(device(name)).ok().and_then(|mut disk| label(&mut disk)).as_deref() == Some(LABEL)
        };
        for name in devices.elsewhere().filter(ours).take(STICKS_MAX) {
            match Stick::new(&device(name), Path::new(STICK)) {
                Ok(mut stick) => look(&mut stick),
                Err(error) => tracing::error!("the USB stick (/dev/{name}) can't be mounted: {error}"),
            }
        }
    }
}

/// Major and minor number of the disk partition that the root folder lies on.
fn root_device() -> Option<(u32, u32)> {
    let device = std::fs::metadata("/").ok()?.dev();
    Some((rustix::fs::major(device), rustix::fs::minor(device)))
}

/// The box's own partition, the one that it starts from.
struct Card {
    esp: Arc<Esp>,
    at: PathBuf,
    mounted: Option<board::linux::Mounted>,
}

impl Medium for Card {
    fn name(&self) -> &'static str {
        "the card"
    }

    fn folder(&self) -> &Path {
        &self.at
    }

    fn own(&self) -> bool {
        true
    }

    fn writable(&mut self) -> Result<(), String> {
        if self.mounted.as_ref().is_none_or(|mounted| mounted.access() == Access::Read) {
            // One at a time: the other has to be gone.
            self.mounted = None;
            self.mounted = Some(self.esp.open(Access::Write).map_err(|error| error.to_string())?);
        }
        Ok(())
    }
}

/// A mounted stick; gone again when it is dropped.
struct Stick {
    at: PathBuf,
    writable: bool,
}

impl Stick {
    fn new(device: &Path, at: &Path) -> std::io::Result<Self> {
        mount(device, at, c"vfat", FLAGS.union(MountFlags::RDONLY), OPTIONS)?;
        Ok(Self { at: at.to_owned(), writable: false })
    }
}

impl Medium for Stick {
    fn name(&self) -> &'static str {
        "the USB stick"
    }

    fn folder(&self) -> &Path {
        &self.at
    }

    fn own(&self) -> bool {
        false
    }

    fn writable(&mut self) -> Result<(), String> {
        if !self.writable {
            mount_remount(&self.at, FLAGS, OPTIONS).map_err(|error| error.to_string())?;
            self.writable = true;
        }
        Ok(())
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.at, UnmountFlags::empty()) {
            tracing::warn!(%error, "the USB stick stays mounted at {}", self.at.display());
        }
    }
}

/// The block devices of the machine.
#[derive(Debug)]
struct Devices {
    list: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    name: String,
    /// It is on the disk that the box runs from; with nothing known about that disk, everything might be.
    own: bool,
    partition: Option<String>,
}

impl Devices {
    /// Reads them in `sys`; `root` is the number of the partition that the box runs from.
    fn of(sys: &Path, root: Option<(u32, u32)>) -> Self {
        let own = root.and_then(|(major, minor)| disk_of(&sys.join(format!("dev/block/{major}:{minor}"))));
        let mut list = Vec::new();
        for entry in std::fs::read_dir(sys.join("class/block")).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let uevent = std::fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
            let partition = uevent.lines().find_map(|line| line.strip_prefix("PARTNAME=")).map(str::to_owned);
            let own = own.is_none() || disk_of(&entry.path()) == own;
            list.push(Device { name, own, partition });
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Self { list }
    }

    /// What may be a stick: whatever is on another disk, with or without partitions.
    fn elsewhere(&self) -> impl Iterator<Item = &str> {
        let virtual_disk = |name: &str| ["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
        let all = self.list.iter().filter(move |device| !virtual_disk(&device.name));
        let sole = self.list.iter().all(|device| device.own);
        // Without knowing which disk is its own the box still tells its partitions by their names.
        all.filter(move |device| if sole { device.partition.is_none() } else { !device.own })
            .map(|device| device.name.as_str())
    }
}

/// The name of the disk that a device of `/sys` is, or is a part of.
fn disk_of(device: &Path) -> Option<String> {
    let path = device.canonicalize().ok()?;
    let disk = if path.join("partition").exists() { path.parent()? } else { &path };
    disk.file_name()?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/sys` with devices of (disk, partition, name of the partition).
    fn sys(devices: &[(&str, Option<(&str, &str)>)]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let class = sys.path().join("class/block");
        std::fs::create_dir_all(&class).unwrap();
        std::fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        for (place, (disk, partition)) in devices.iter().enumerate() {
            let mut path = sys.path().join("devices/bus").join(disk);
            let mut uevent = "DEVTYPE=disk\n".to_owned();
            let mut name = *disk;
            if let Some((partition, label)) = partition {
                path = path.join(partition);
                name = partition;
                uevent = format!("DEVTYPE=partition\nPARTNAME={label}\n");
            }
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("uevent"), uevent).unwrap();
            if partition.is_some() {
                std::fs::write(path.join("partition"), "1\n").unwrap();
            }
            std::os::unix::fs::symlink(&path, class.join(name)).unwrap();
            std::os::unix::fs::symlink(&path, sys.path().join(format!("dev/block/8:{place}"))).unwrap();
        }
        sys
    }

    #[test]
    fn a_stick_is_what_is_not_on_the_disk_that_the_box_runs_from() {
        let sys = sys(&[
            ("mmcblk0", None),
            ("mmcblk0", Some(("mmcblk0p1", "esp"))),
            ("mmcblk0", Some(("mmcblk0p2", "root-a"))),
            // Another image in the USB socket.
            ("a", None),
            ("a", Some(("a1", "esp"))),
            ("sdb", None),
            ("loop0", None),
        ]);
        let devices = Devices::of(sys.path(), Some((8, 2)));
        assert_eq!(devices.elsewhere().collect::<Vec<_>>(), ["a", "a1", "sdb"]);
        let unknown = Devices::of(sys.path(), None);
        assert_eq!(unknown.elsewhere().collect::<Vec<_>>(), ["a", "mmcblk0", "sdb"]);
    }

    #[test]
    fn a_machine_without_disks_has_none() {
        let devices = Devices::of(Path::new("/nowhere"), Some((8, 2)));
        assert_eq!(devices.elsewhere().count(), 0);
    }
}
