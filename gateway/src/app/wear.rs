//! How worn the drive under the store is, where it says so: for people, for `doctor` and for the metrics.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// From this tenth of its life on a drive should be replaced at the next occasion.
const WORN_TENTHS: u8 = 8;
/// From this one on at once: the estimate is that of its maker, and it may refuse writes any day.
const SPENT_TENTHS: u8 = 10;
/// `PRE_EOL_INFO` (JEDEC JESD84-B51, 7.4.15): four fifths of the spare blocks are used up; nine tenths.
pub(crate) const SPARES_LOW: u8 = 2;
/// See [`SPARES_LOW`].
pub(crate) const SPARES_SPENT: u8 = 3;
/// Layers of devices (encryption, volumes) below which the drive is looked for.
const LAYERS_MAX: usize = 8;
/// A drive is asked no more often: its estimate moves by tenths, in months.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// What a drive tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wear {
    /// Its name in the system, `mmcblk0`.
    pub(crate) device: String,
    /// `MMC`, `SD`; `None` for other drives.
    pub(crate) kind: Option<String>,
    /// The estimates of its two kinds of cells, in tenths of its life, 11 past it (the same, 7.4.16); 0 isn't told.
    pub(crate) life: Option<(u8, u8)>,
    /// How many of its spare blocks are used up; see [`SPARES_LOW`].
    pub(crate) end_of_life: Option<u8>,
}

/// How bad that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// It doesn't tell.
    Unknown,
    /// Not at all.
    Fine,
    /// It should be replaced at the next occasion.
    Worn,
    /// It should be replaced at once.
    Spent,
}

/// The same for the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WearView {
    device: String,
    /// In steps of ten, 100 also when it is past it; `None` where it isn't told.
    life_used_percent: Option<u8>,
    /// Its spare blocks are nearly used up; `None` where they aren't told.
    spares_low: Option<bool>,
}

impl Wear {
    /// The tenth of its life that it is in, of the more worn kind of cells; 0 where it isn't told.
    pub(crate) fn tenths(&self) -> u8 {
        self.life.map_or(0, |(first, second)| first.max(second))
    }

    /// See [`SPARES_LOW`]; 0 where it isn't told.
    pub(crate) fn spares(&self) -> u8 {
        self.end_of_life.unwrap_or(0)
    }

    pub(crate) fn level(&self) -> Level {
        match (self.tenths(), self.spares()) {
            (0, 0) => Level::Unknown,
            (SPENT_TENTHS.., _) | (_, SPARES_SPENT..) => Level::Spent,
            (WORN_TENTHS.., _) | (_, SPARES_LOW) => Level::Worn,
            _ => Level::Fine,
        }
    }

    /// In steps of ten; `None` where it isn't told.
    pub(crate) fn percent(&self) -> Option<u8> {
        (self.tenths() > 0).then(|| self.tenths().min(SPENT_TENTHS) * 10)
    }

    /// What a person should see to.
    pub(crate) fn alarm(&self) -> Option<String> {
        let device = &self.device;
        match self.level() {
            Level::Unknown | Level::Fine => None,
            Level::Worn => Some(format!(
                "{device} is near the end of its life: move the store to a new drive at the next occasion"
            )),
            Level::Spent => Some(format!(
                "{device} is at the end of its life and may refuse writes any day: move the store to a new drive"
            )),
        }
    }

    pub(crate) fn view(&self) -> WearView {
        WearView {
            device: self.device.clone(),
            life_used_percent: self.percent(),
            spares_low: (self.spares() > 0).then(|| self.spares() >= SPARES_LOW),
        }
    }
}

/// Looks now and then; clones share what was seen.
#[derive(Debug, Clone)]
pub(crate) struct WearWatch {
    root: PathBuf,
    path: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen, and when.
type Seen = Option<(Instant, Option<Wear>)>;

impl WearWatch {
    /// Of the drive under `path`, by `/proc` and `/sys` below `root`.
    pub(crate) fn new(root: PathBuf, path: PathBuf) -> Self {
        Self { root, path, seen: Arc::default() }
    }

    /// What was seen in the last hour. Blocks on a few files of the kernel where that is over.
    pub(crate) fn now(&self) -> Option<Wear> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((at, wear)) if at.elapsed() < LOOK_EVERY => wear.clone(),
            _ => {
                let wear = look(&self.root, &self.path);
                *seen = Some((Instant::now(), wear.clone()));
                wear
            }
        }
    }
}

/// Looks for the drive under `path` in `/proc` and `/sys` below `root`.
pub(crate) fn look(root: &Path, path: &Path) -> Option<Wear> {
    let path = std::path::absolute(path).ok()?;
    // What isn't there yet will be where the folder above it is.
    let there = path.ancestors().find_map(|path| path.canonicalize().ok())?;
    let mounts = fs::read(root.join("proc/self/mountinfo")).ok()?;
    let number = device_number(&mounts, &there)?;
    let device = drive(&root.join("sys/dev/block").join(number))?;
    let told = |name: &str| {
        let text = fs::read_to_string(device.join("device").join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    Some(Wear {
        device: device.file_name()?.to_string_lossy().into_owned(),
        kind: told("type"),
        life: told("life_time").and_then(|text| {
            let (first, second) = text.split_once(' ')?;
            Some((hex(first)?, hex(second.trim())?))
        }),
        end_of_life: told("pre_eol_info").and_then(|text| hex(&text)),
    })
}

fn hex(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// `MAJOR:MINOR` of what is mounted where `path` lies: the deepest mount point above it, and of several on
/// one the last (proc(5): `36 35 98:0 /root /mount ...`).
fn device_number(mounts: &[u8], path: &Path) -> Option<String> {
    let mut deepest: Option<(usize, String)> = None;
    for line in mounts.split(|byte| *byte == b'\n') {
        let mut words = line.split(|byte| *byte == b' ').skip(2);
        let (Some(number), Some(point)) = (words.next(), words.nth(1)) else { continue };
        let point = unescaped(point);
        let depth = point.components().count();
        if path.starts_with(&point) && deepest.as_ref().is_none_or(|(known, _)| depth >= *known) {
            deepest = Some((depth, String::from_utf8_lossy(number).into_owned()));
        }
    }
    deepest.map(|(_, number)| number)
}

/// Spaces and the like stand in octal there: `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, more @ ..] = rest {
        let code = (*first == b'\\').then(|| more.get(..3)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &more[3..];
            }
            None => {
                plain.push(*first);
                rest = more;
            }
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

/// The whole drive of a device: what it's a part of, and what lies below an encrypted or joined one.
fn drive(device: &Path) -> Option<PathBuf> {
    let mut device = device.canonicalize().ok()?;
    for _ in 0..LAYERS_MAX {
        let below = fs::read_dir(device.join("slaves")).ok().and_then(|mut list| list.next()?.ok());
        if let Some(below) = below {
            device = below.path().canonicalize().ok()?;
        } else if device.join("partition").exists() {
            device = device.parent()?.to_owned();
        } else {
            break;
        }
    }
    // A name of the kernel's, so that nothing odd ends on a terminal.
    device.file_name()?.as_bytes().is_ascii().then_some(device)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree as the kernel shows it: an eMMC with two partitions, the second under an encrypted device.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys");
        let drive = sys.join("devices/mmc0/block/mmcblk0");
        for folder in ["mmcblk0p1", "mmcblk0p2", "slaves", "mmcblk0p2/slaves"] {
            fs::create_dir_all(drive.join(folder)).unwrap();
        }
        for part in ["mmcblk0p1", "mmcblk0p2"] {
            fs::write(drive.join(part).join("partition"), "1\n").unwrap();
        }
        fs::create_dir_all(sys.join("devices/mmc0/card")).unwrap();
        for (name, text) in files {
            fs::write(sys.join("devices/mmc0/card").join(name), text).unwrap();
        }
        symlink("../../card", drive.join("device")).unwrap();
        let crypt = sys.join("devices/virtual/block/dm-0/slaves");
        fs::create_dir_all(&crypt).unwrap();
        symlink(drive.join("mmcblk0p2"), crypt.join("mmcblk0p2")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        symlink(drive.join("mmcblk0p1"), sys.join("dev/block/179:1")).unwrap();
        symlink(sys.join("devices/virtual/block/dm-0"), sys.join("dev/block/253:0")).unwrap();
        root
    }

    fn mounted(root: &Path, lines: &str) {
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::write(root.join("proc/self/mountinfo"), lines).unwrap();
    }

    #[test]
    fn the_drive_is_found_under_partitions_and_encryption() {
        let root = tree(&[("type", "MMC\n"), ("life_time", "0x03 0x01\n"), ("pre_eol_info", "0x01\n")]);
        let expected = Wear {
            device: "mmcblk0".to_owned(),
            kind: Some("MMC".to_owned()),
            life: Some((3, 1)),
            end_of_life: Some(1),
        };
        for number in ["179:1", "253:0"] {
            mounted(root.path(), &format!("22 1 {number} / / rw shared:1 - ext4 /dev/x rw\n"));
            // The second isn't there yet.
            for path in [root.path().join("proc"), root.path().join("store/of/wagate")] {
                assert_eq!(look(root.path(), &path), Some(expected.clone()), "{number}");
            }
        }
        mounted(root.path(), "22 1 0:45 / / rw - overlay overlay rw\n");
        assert_eq!(look(root.path(), root.path()), None);
    }

    #[test]
    fn the_deepest_mount_counts_and_of_two_on_one_place_the_last() {
        let mounts = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            23 22 8:2 / /var/lib rw - ext4 /dev/sda2 rw\n\
            24 22 8:3 / /var/lib rw - ext4 /dev/sda3 rw\n\
            25 22 8:4 / /var/lib/wag rw - ext4 /dev/sda4 rw\n\
            26 22 8:5 / /mnt/a\\040b rw - ext4 /dev/sda5 rw\nrubbish\n";
        for (path, number) in
            [("/etc", "8:1"), ("/var/lib/wagate", "8:3"), ("/var/lib/wag/x", "8:4"), ("/mnt/a b/x", "8:5")]
        {
            assert_eq!(device_number(mounts, Path::new(path)).as_deref(), Some(number), "{path}");
        }
        assert_eq!(device_number(b"", Path::new("/")), None);
    }

    #[test]
    fn a_drive_is_asked_once_an_hour() {
        let root = tree(&[("type", "MMC\n"), ("life_time", "0x08 0x01\n")]);
        mounted(root.path(), "22 1 179:1 / / rw shared:1 - ext4 /dev/x rw\n");
        let watch = WearWatch::new(root.path().to_owned(), root.path().to_owned());
        let wear = watch.now().unwrap();
        assert_eq!((wear.percent(), wear.level(), wear.alarm().is_some()), (Some(80), Level::Worn, true));
        fs::write(root.path().join("sys/devices/mmc0/card/life_time"), "0x0b 0x01\n").unwrap();
        assert_eq!(watch.clone().now(), Some(wear));
        let fresh = WearWatch::new(root.path().to_owned(), root.path().to_owned()).now().unwrap();
        assert_eq!((fresh.percent(), fresh.level()), (Some(100), Level::Spent));
    }
}
