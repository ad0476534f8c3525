//! Whether the data can be written to, as the kernel sees it. Only the file system's check at the start of the machine
//! mends one that has failed.

use std::path::Path;

use super::place::Place;

/// Where the kernel's count of mistakes was noted when the first supervisor of this start of the machine began.
const FIRST: &str = "data-errors";

/// Looks at the data partition. Everything that is read lies in memory: a dead disk holds nothing up.
#[derive(Debug)]
pub(super) struct Data {
    place: Place,
    /// Mistakes that were known at first: some file systems are used with them.
    errors: u64,
}

impl Data {
    /// As things are now.
    pub(super) fn new(place: &Place) -> Self {
        let noted = place.run().join(FIRST);
        let number = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let errors = number(&noted).unwrap_or_else(|| {
            let errors = errors(place).unwrap_or(0);
            let _ = std::fs::write(&noted, format!("{errors}\n"));
            errors
        });
        Self { place: place.clone(), errors }
    }

    /// Whether nothing can be kept.
    pub(super) fn is_lost(&self) -> bool {
        let mounts = std::fs::read_to_string(self.place.at("/proc/mounts")).unwrap_or_default();
        self.place.no_data().exists()
            || mounted(&mounts).is_some_and(|(_, options)| refuses(options))
            || errors(&self.place).is_some_and(|errors| errors > self.errors)
    }
}

/// Device and options of the data partition in `/proc/mounts`.
fn mounted(mounts: &str) -> Option<(&str, &str)> {
    mounts.lines().rev().find_map(|line| {
        let mut words = line.split(' ');
        let (device, at, _, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (at == board::paths::DATA).then_some((device, options))
    })
}

/// After a mistake ext4 is read-only; newer kernels leave `rw` there and say it by a word of its own.
fn refuses(options: &str) -> bool {
    options.split(',').any(|option| ["ro", "emergency_ro", "shutdown"].contains(&option))
}

/// Mistakes that ext4 has found in the data's file system since its last check. Linux 6.12 doesn't say in any option
/// that it has made it read-only, but each mistake does so (`errors=remount-ro`).
fn errors(place: &Place) -> Option<u64> {
    let mounts = std::fs::read_to_string(place.at("/proc/mounts")).ok()?;
    let device = mounted(&mounts)?.0.strip_prefix("/dev/")?;
    let file = place.at("/sys/fs/ext4").join(device).join("errors_count");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/sda2 / squashfs ro,relatime 0 0\n/dev/sda4 /data ext4 rw,nosuid,noatime,errors=remount-ro 0 0\ntmp /tmp tmpfs rw 0 0\n";

    fn put(place: &Place, path: &str, text: &str) {
        let path = place.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn data_that_is_read_only_or_was_not_mounted_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(Some(root.path()));
        std::fs::create_dir_all(place.run()).unwrap();
        let data = Data::new(&place);
        assert!(!data.is_lost(), "here nothing is known at all");
        put(&place, "/proc/mounts", MOUNTS);
        assert!(!data.is_lost());
        for options in ["ro,nosuid", "rw,emergency_ro,noatime", "rw,shutdown"] {
            put(&place, "/proc/mounts", &MOUNTS.replace("rw,nosuid", options));
            assert!(data.is_lost(), "{options}");
        }
        put(&place, "/proc/mounts", MOUNTS);
        put(&place, "/run/wagate/no-data", "it can't be mounted\n");
        assert!(data.is_lost());
    }

    #[test]
    fn a_mistake_since_the_start_counts_and_one_that_was_there_before_does_not() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(Some(root.path()));
        put(&place, "/proc/mounts", MOUNTS);
        put(&place, "/sys/fs/ext4/sda4/errors_count", "3\n");
        std::fs::create_dir_all(place.run()).unwrap();
        assert!(!Data::new(&place).is_lost());
        put(&place, "/sys/fs/ext4/sda4/errors_count", "4\n");
        assert!(Data::new(&place).is_lost(), "also for a supervisor that was started again since");
    }
}
