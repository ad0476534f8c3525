//! Whether a stick that was in its socket at power-on has been found by the kernel yet.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A controller, the hubs behind it and what is plugged into those have said what they are so long after the kernel's
/// start; on a Raspberry Pi 4, whose controller is behind PCIe and loads firmware, after 4 s.
const SAID_AFTER: Duration = Duration::from_secs(6);
/// What has said that it is a disk and still isn't one then never will be. A disk that has to spin up takes ten.
const DISK_AFTER: Duration = Duration::from_secs(20);
/// The class of an interface that is a disk (USB mass storage, hexadecimal).
const MASS_STORAGE: &str = "08";

/// What is on USB and can be looked at, disks and partitions, `uptime` after the kernel's start; `None` while something
/// that is plugged in is still on its way. `sys` is `/sys`. A disk's partitions come a moment after it.
pub(in super::super) fn usb_disks(sys: &Path, uptime: Duration) -> Option<Vec<PathBuf>> {
    let paths = |folder: &str| {
        let entries = std::fs::read_dir(sys.join(folder)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.path().canonicalize().ok()).collect::<Vec<_>>()
    };
    let devices = paths("bus/usb/devices");
    // Without a controller nothing can be plugged in. All of their drivers are loaded by now.
    if devices.is_empty() {
        return Some(Vec::new());
    }
    let is_storage = |path: &&PathBuf| {
        std::fs::read_to_string(path.join("bInterfaceClass")).is_ok_and(|class| class.trim() == MASS_STORAGE)
    };
    let storage: Vec<_> = devices.iter().filter(is_storage).collect();
    let mut found = paths("class/block");
    found.retain(|disk| storage.iter().any(|interface| disk.starts_with(interface)));
    found.sort();
    let waits = storage.iter().any(|interface| !found.iter().any(|disk| disk.starts_with(interface)));
    (uptime >= if waits { DISK_AFTER } else { SAID_AFTER }).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A `/sys` with a controller, and an interface of `class` behind it.
    fn sys(class: &str) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let interface = sys.path().join("devices/pci/usb1/1-1/1-1:1.0");
        for folder in [&sys.path().join("bus/usb/devices"), &sys.path().join("class/block"), &interface] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(interface.join("bInterfaceClass"), format!("{class}\n")).unwrap();
        symlink(sys.path().join("devices/pci/usb1"), sys.path().join("bus/usb/devices/usb1")).unwrap();
        symlink(&interface, sys.path().join("bus/usb/devices/1-1:1.0")).unwrap();
        sys
    }

    fn count(sys: &Path, uptime: Duration) -> Option<usize> {
        usb_disks(sys, uptime).map(|disks| disks.len())
    }

    #[test]
    fn without_a_controller_nothing_is_waited_for() {
        assert_eq!(count(Path::new("/nowhere"), Duration::ZERO), Some(0));
    }

    #[test]
    fn what_is_plugged_in_has_its_time_to_say_what_it_is() {
        let sys = sys("03");
        assert_eq!(count(sys.path(), SAID_AFTER - SECOND), None);
        assert_eq!(count(sys.path(), SAID_AFTER), Some(0));
    }

    #[test]
    fn a_stick_is_waited_for_until_it_is_a_disk() {
        let sys = sys(MASS_STORAGE);
        assert_eq!(count(sys.path(), SAID_AFTER), None);
        assert_eq!(count(sys.path(), DISK_AFTER - SECOND), None);
        assert_eq!(count(sys.path(), DISK_AFTER), Some(0), "one that is broken isn't waited for any longer");
        let disk = sys.path().join("devices/pci/usb1/1-1/1-1:1.0/host0/block/sda");
        for (path, name, found) in [(disk.clone(), "sda", 1), (disk.join("sda1"), "sda1", 2)] {
            std::fs::create_dir_all(&path).unwrap();
            symlink(&path, sys.path().join("class/block").join(name)).unwrap();
            assert_eq!(count(sys.path(), SAID_AFTER), Some(found));
        }
        assert_eq!(count(sys.path(), SAID_AFTER - SECOND), None, "another one may be behind a hub");
    }
}
