//! How worn the drive under the store is, where it says so.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::finding::{Check, Finding};
use super::world::World;

/// From this tenth of its life on a drive should be replaced at the next occasion.
const WARN_TENTHS: u8 = 8;
/// From this one on at once: the estimate is that of its maker, and it may refuse writes any day.
const FAIL_TENTHS: u8 = 10;
/// The estimate of a drive that is past its life (JEDEC JESD84-B51, 7.4.16).
const EXCEEDED: u8 = 11;
/// `PRE_EOL_INFO` (the same, 7.4.15): four fifths of the spare blocks are used up; nine tenths.
const EOL_WARNING: u8 = 2;
const EOL_URGENT: u8 = 3;
/// Layers of devices (encryption, volumes) below which the drive is looked for.
const LAYERS_MAX: usize = 8;

/// What a drive tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wear {
    /// Its name in the system, `mmcblk0`.
    pub(super) device: String,
    /// `MMC`, `SD`; `None` for other drives.
    pub(super) kind: Option<String>,
    /// The estimates of its two kinds of cells, in tenths of its life; 0 isn't told.
    pub(super) life: Option<(u8, u8)>,
    /// How many of its spare blocks are used up; see [`EOL_WARNING`].
    pub(super) end_of_life: Option<u8>,
}

pub(super) async fn check(world: &World) -> Finding {
    let (root, path) = (world.root.clone(), world.config.store.path.clone());
    let looked = tokio::task::spawn_blocking(move || look(&root, &path)).await;
    judge(looked.ok().flatten().as_ref())
}

/// Looks for the drive under `path` in `/proc` and `/sys` below `root`.
fn look(root: &Path, path: &Path) -> Option<Wear> {
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

/// What a drive tells of its wear; `None` where the drive can't be found.
pub(super) fn judge(wear: Option<&Wear>) -> Finding {
    let Some(wear) = wear else {
        return Finding::skip(
            Check::Flash,
            "which drive the store is on can't be told (a container, a network drive, memory)",
        );
    };
    let device = &wear.device;
    let tenths = wear.life.map_or(0, |(first, second)| first.max(second));
    let spare = wear.end_of_life.unwrap_or(0);
    if tenths == 0 && spare == 0 {
        let why = match wear.kind.as_deref() {
            Some("SD") => "SD cards don't; one for surveillance cameras lasts longest",
            Some(_) => "it's too old for that",
            None if device.starts_with("nvme") => "`smartctl -A` may know more",
            None => "only eMMC does; `smartctl -A` may know more",
        };
        return Finding::skip(Check::Flash, format!("{device} doesn't tell how worn it is: {why}"));
    }
    let life = match tenths {
        0 => "its spare blocks are counted, its life isn't".to_owned(),
        1..EXCEEDED => format!("{} to {} % of its life is used", (tenths - 1) * 10, tenths * 10),
        _ => "it is past the life that its maker gives it".to_owned(),
    };
    let spares = match spare {
        EOL_WARNING => ", and four fifths of its spare blocks",
        EOL_URGENT => ", and nine tenths of its spare blocks",
        _ => "",
    };
    let words = format!("{device}: {life}{spares}");
    const REPLACE: &str = "move the store to a new drive: docs/operating/recover.md";
    let finding = if tenths >= FAIL_TENTHS || spare == EOL_URGENT {
        Finding::fail(Check::Flash, words)
            .detail("It may refuse writes any day, and webhooks with them.")
            .next(REPLACE)
    } else if tenths >= WARN_TENTHS || spare == EOL_WARNING {
        Finding::warn(Check::Flash, words).next(REPLACE)
    } else {
        Finding::ok(Check::Flash, words)
    };
    let finding = finding.fact("device", device.as_str());
    if tenths == 0 {
        finding
    } else {
        finding.fact("life_used_percent", u64::from(tenths.min(FAIL_TENTHS)) * 10)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::finding::State;
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

    fn wear(life: Option<(u8, u8)>, end_of_life: Option<u8>) -> Wear {
        Wear { device: "mmcblk0".to_owned(), kind: Some("MMC".to_owned()), life, end_of_life }
    }

    #[test]
    fn eight_tenths_are_worth_a_word_and_ten_are_the_end() {
        for (life, end_of_life, state) in [
            (Some((1, 1)), Some(1), State::Ok),
            (Some((7, 3)), Some(1), State::Ok),
            (Some((3, 8)), Some(1), State::Warn),
            (Some((9, 0)), None, State::Warn),
            (Some((1, 1)), Some(2), State::Warn),
            (Some((10, 1)), Some(1), State::Fail),
            (Some((1, 11)), Some(1), State::Fail),
            (Some((1, 1)), Some(3), State::Fail),
            (None, Some(3), State::Fail),
            (None, Some(1), State::Ok),
            (Some((0, 0)), Some(0), State::Skip),
            (None, None, State::Skip),
        ] {
            let finding = judge(Some(&wear(life, end_of_life)));
            assert_eq!(finding.state, state, "{life:?} {end_of_life:?}: {}", finding.summary);
        }
        assert_eq!(judge(None).state, State::Skip);
    }
}
