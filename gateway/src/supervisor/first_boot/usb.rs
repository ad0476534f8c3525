//! Whether a stick that was in its socket at power-on has been found by the kernel yet.

use std::path::Path;
use std::time::Duration;

/// A controller, the hubs behind it and what is plugged into those have said what they are so long after the kernel's
/// start; on a Raspberry Pi 4, whose controller is behind PCIe and loads firmware, after 4 s.
const SAID_AFTER: Duration = Duration::from_secs(6);
/// What has said that it is a disk and still isn't one then never will be. A disk that has to spin up takes ten.
const DISK_AFTER: Duration = Duration::from_secs(20);
/// The class of an interface that is a disk (USB mass storage, hexadecimal).
const MASS_STORAGE: &str = "08";

/// Whether nothing that is plugged in is still on its way, `uptime` after the kernel's start; `sys` is `/sys`.
pub(in super::super) fn settled(sys: &Path, uptime: Duration) -> bool {
    let devices = sys.join("bus/usb/devices");
    let interfaces = || std::fs::read_dir(&devices).into_iter().flatten().flatten();
    // Without a controller nothing can be plugged in. All of their drivers are loaded by now.
    if interfaces().next().is_none() {
        return true;
    }
    let is_storage = |path: &Path| {
        std::fs::read_to_string(path.join("bInterfaceClass")).is_ok_and(|class| class.trim() == MASS_STORAGE)
    };
    let disks: Vec<_> = std::fs::read_dir(sys.join("class/block")).into_iter().flatten().flatten().collect();
    let disks: Vec<_> = disks.iter().filter_map(|disk| disk.path().canonicalize().ok()).collect();
    let waits = interfaces()
        .filter(|interface| is_storage(&interface.path()))
        .filter_map(|interface| interface.path().canonicalize().ok())
        .any(|interface| !disks.iter().any(|disk| disk.starts_with(&interface)));
    uptime >= if waits { DISK_AFTER } else { SAID_AFTER }
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

    #[test]
    fn without_a_controller_nothing_is_waited_for() {
        assert!(settled(Path::new("/nowhere"), Duration::ZERO));
    }

    #[test]
    fn what_is_plugged_in_has_its_time_to_say_what_it_is() {
        let sys = sys("03");
        assert!(!settled(sys.path(), SAID_AFTER - SECOND));
        assert!(settled(sys.path(), SAID_AFTER));
    }

    #[test]
    fn a_stick_is_waited_for_until_it_is_a_disk() {
        let sys = sys(MASS_STORAGE);
        assert!(!settled(sys.path(), SAID_AFTER));
        assert!(!settled(sys.path(), DISK_AFTER - SECOND));
        assert!(settled(sys.path(), DISK_AFTER), "one that is broken isn't waited for any longer");
        let disk = sys.path().join("devices/pci/usb1/1-1/1-1:1.0/host0/block/sda");
        std::fs::create_dir_all(&disk).unwrap();
        symlink(&disk, sys.path().join("class/block/sda")).unwrap();
        assert!(settled(sys.path(), SAID_AFTER));
        assert!(!settled(sys.path(), SAID_AFTER - SECOND), "another one may be behind a hub");
    }
}
