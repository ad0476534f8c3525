//! What the kernel complains of: a drive that refuses, a supply that is too weak. Nobody sees its own log on a box.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::Log;

/// Of the levels of `<linux/kern_levels.h>`: errors and worse.
const WORST_TO: u32 = 3;
/// Part of what it says whenever a watchdog is handed on without a pause, as from the initramfs to the supervisor.
const HANDED_ON: &str = "watchdog did not stop!";
/// A record is no longer (`CONSOLE_EXT_LOG_MAX`).
const RECORD_MAX: usize = 8192;

/// Takes errors of the kernel into the log from now on, and those since the machine was started. `device` is
/// `/dev/kmsg`; without it there are none.
pub(in super::super) fn listen(log: Log, device: &Path) -> io::Result<()> {
    let mut file = match File::open(device) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::thread::Builder::new().name("kernel".into()).spawn(move || {
        let mut record = [0; RECORD_MAX];
        loop {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    let record = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    if let Some(text) = complaint(&record) {
                        log.of_child("kernel", text);
                    }
                }
                // It was overwritten before it was read; the next read gives the oldest that is left.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "the kernel's errors aren't seen any more");
                    break;
                }
            }
        }
    })?;
    Ok(())
}

/// The text of a record that is bad enough (`Documentation/ABI/testing/dev-kmsg`): level and facility, number, time,
/// a semicolon, the text, and lines about the device.
fn complaint(record: &str) -> Option<&str> {
    let (head, rest) = record.split_once(';')?;
    let level: u32 = head.split(',').next()?.parse().ok()?;
    let text = rest.lines().next().unwrap_or_default();
    (level & 7 <= WORST_TO && !text.ends_with(HANDED_ON)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_worse_are_taken() {
        for (record, expected) in [
            (
                "3,812,91,-;mmcblk0: I/O error, dev mmcblk0, sector 8\n SUBSYSTEM=block\n",
                Some("mmcblk0: I/O error, dev mmcblk0, sector 8"),
            ),
            (
                "2,900,99,-;hwmon hwmon1: Undervoltage detected!\n",
                Some("hwmon hwmon1: Undervoltage detected!"),
            ),
            ("4,812,91,-;a warning\n", None),
            ("2,812,91,-;watchdog: watchdog0: watchdog did not stop!\n", None),
            ("6,813,92,-;usb 1-1: new high-speed USB device\n", None),
            // Of a program that writes there: facility 3, error.
            ("27,814,93,-;mdev: no such driver\n", Some("mdev: no such driver")),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(complaint(record), expected, "{record}");
        }
    }

    #[test]
    fn a_machine_without_it_has_no_complaints() {
        let log = Log::new().unwrap();
        listen(log.clone(), Path::new("/nowhere/kmsg")).unwrap();
        assert!(log.last(1).is_empty());
    }
}
