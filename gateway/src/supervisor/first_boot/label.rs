//! The name of a FAT volume, as a person sees it on a computer.

use std::io::{Read, Seek, SeekFrom};

/// Bytes of an entry in a folder of FAT.
const ENTRY: usize = 32;
/// Bytes of the top folder that are looked at; the name is the first entry, or one of the first.
const LOOK: u64 = 64 * 1024;

/// The name of the FAT volume on `disk`; `None` where there is no FAT, or it has no name.
///
/// Windows writes it into the top folder only, and leaves `NO NAME` in the boot sector.
pub(super) fn label(disk: &mut (impl Read + Seek)) -> Option<String> {
    let mut boot = [0; 512];
    disk.seek(SeekFrom::Start(0)).ok()?;
    disk.read_exact(&mut boot).ok()?;
    let volume = Volume::of(&boot)?;
    volume.in_the_folder(disk).or(volume.in_the_boot_sector)
}

/// Where things are on a volume (Microsoft's FAT specification 1.03, pages 9 to 12).
struct Volume {
    folder_at: u64,
    folder_length: u64,
    in_the_boot_sector: Option<String>,
}

impl Volume {
    fn of(boot: &[u8; 512]) -> Option<Self> {
        let short = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| short(at) | short(at + 2) << 16;
        let (sector, cluster) = (short(11), u64::from(boot[13]));
        let plausible = boot[510..] == [0x55, 0xaa]
            && [512, 1024, 2048, 4096].contains(&sector)
            && cluster.is_power_of_two()
            && (1..=2).contains(&boot[16]);
        if !plausible {
            return None;
        }
        let (reserved, fats, entries, length) = (short(14), u64::from(boot[16]), short(17), short(22));
        let wide = length == 0;
        let tables = fats.checked_mul(if wide { long(36) } else { length })?;
        let data = reserved.checked_add(tables)?;
        let (at, folder_length, sign, name) = if wide {
            let first = long(44).checked_sub(2)?.checked_mul(cluster)?;
            (data.checked_add(first)?, cluster * sector, 66, 71)
        } else {
            (data, entries * u64::try_from(ENTRY).ok()?, 38, 43)
        };
        let in_the_boot_sector = (boot[sign] == 0x29).then(|| text(&boot[name..name + 11])).flatten();
        Some(Self { folder_at: at.checked_mul(sector)?, folder_length, in_the_boot_sector })
    }

    fn in_the_folder(&self, disk: &mut (impl Read + Seek)) -> Option<String> {
        disk.seek(SeekFrom::Start(self.folder_at)).ok()?;
        let mut folder = Vec::new();
        disk.take(self.folder_length.min(LOOK)).read_to_end(&mut folder).ok()?;
        let entries = folder.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0);
        // 0xe5: removed. Attribute 0x08: the volume's name; with 0x07 beside it, a part of a long name.
        let mut names = entries.filter(|entry| entry[0] != 0xe5 && entry[11] & 0x0f == 0x08);
        names.next().and_then(|entry| text(&entry[..11]))
    }
}

fn text(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name).trim_end_matches([' ', '\0']).to_owned();
    Some(name).filter(|name| !name.is_empty() && name != "NO NAME")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// The start of a volume: boot sector, one sector of FAT, and the top folder.
    fn volume(wide: bool, in_boot: &[u8; 11], in_folder: Option<&[u8; 11]>) -> Cursor<Vec<u8>> {
        let mut bytes = vec![0; 8 * 512];
        bytes[510] = 0x55;
        bytes[511] = 0xaa;
        bytes[11..13].copy_from_slice(&512_u16.to_le_bytes());
        bytes[13] = 1;
        bytes[14] = 1;
        bytes[16] = 1;
        let name = if wide {
            bytes[36] = 1;
            bytes[44] = 3;
            bytes[66] = 0x29;
            71
        } else {
            bytes[17] = 16;
            bytes[22] = 1;
            bytes[38] = 0x29;
            43
        };
        bytes[name..name + 11].copy_from_slice(in_boot);
        let folder = if wide { 3 * 512 } else { 2 * 512 };
        bytes[folder] = 0xe5;
        bytes[folder + 11] = 0x08;
        bytes[folder + 32..folder + 43].copy_from_slice(b"long name  ");
        bytes[folder + 43] = 0x0f;
        if let Some(name) = in_folder {
            bytes[folder + 64..folder + 75].copy_from_slice(name);
            bytes[folder + 75] = 0x28;
        }
        Cursor::new(bytes)
    }

    #[test]
    fn the_name_stands_in_the_top_folder_or_in_the_boot_sector() {
        for wide in [false, true] {
            let windows = label(&mut volume(wide, b"NO NAME    ", Some(b"WAGATE     ")));
            assert_eq!(windows.as_deref(), Some("WAGATE"), "wide: {wide}");
            let changed = label(&mut volume(wide, b"OLD        ", Some(b"WAGATE     ")));
            assert_eq!(changed.as_deref(), Some("WAGATE"), "wide: {wide}");
            assert_eq!(label(&mut volume(wide, b"WAGATE-ESP ", None)).as_deref(), Some("WAGATE-ESP"));
            assert_eq!(label(&mut volume(wide, b"NO NAME    ", None)), None);
        }
    }

    #[test]
    fn volumes_made_by_mkfs_are_understood() {
        let Some(mkfs) = ["/usr/sbin/mkfs.vfat", "/sbin/mkfs.vfat"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
        else {
            return;
        };
        for (width, mebibytes) in [("12", 2), ("16", 20), ("32", 40)] {
            let image = tempfile::NamedTempFile::new().unwrap();
            image.as_file().set_len(mebibytes << 20).unwrap();
            let made = std::process::Command::new(mkfs)
                .args(["-F", width, "-n", "WAGATE"])
                .arg(image.path())
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            let name = label(&mut std::fs::File::open(image.path()).unwrap());
            assert_eq!(name.as_deref(), Some("WAGATE"), "FAT{width}");
        }
    }

    #[test]
    fn what_is_no_fat_has_no_name() {
        assert_eq!(label(&mut Cursor::new(vec![0; 4096])), None);
        assert_eq!(label(&mut Cursor::new(vec![0xff; 4096])), None);
        assert_eq!(label(&mut Cursor::new(b"short".to_vec())), None);
        let mut far = volume(true, b"WAGATE     ", None).into_inner();
        far[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(label(&mut Cursor::new(far)).as_deref(), Some("WAGATE"), "a folder beyond the end");
        let mut none = volume(true, b"WAGATE     ", None).into_inner();
        none[44] = 0;
        assert_eq!(label(&mut Cursor::new(none)), None);
    }
}
