//! The power is cut at every sector written; the tools of others look at what is left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use super::*;

const MIB: u64 = STEP;
/// The image: 8 MiB.
const SMALL: u64 = 8 * MIB;
/// The card, no multiple of 1 MiB.
const LARGE: u64 = 12 * MIB + 777;

/// What every table has to say: names, first sectors, GUIDs.
type Partitions = Vec<(String, u64, u64, String)>;

/// Writes an image with our four partitions, as `scripts/build-image.sh` lays them out, on a card of `sectors`.
fn flashed(path: &Path, sectors: u64) -> File {
    let mut mbr = gpt::mbr::ProtectiveMBR::with_lb_size(u32::try_from(SMALL - 1).unwrap());
    mbr.set_bootcode([0x5a; 440]);
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    file.set_len(SMALL * 512).unwrap();
    mbr.overwrite_lba0(&mut file).unwrap();
    let mut disk = GptConfig::new().writable(true).create_from_device(file, None).unwrap();
    let types = gpt::partition_types::LINUX_FS;
    for (name, mebibytes) in [("esp", 2), ("root-a", 1), ("root-b", 1), ("data", 2)] {
        disk.add_partition(name, mebibytes << 20, types.clone(), 4, Some(MIB)).unwrap();
    }
    disk.write().unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.set_len(sectors * 512).unwrap();
    file
}

/// What a program sees that reads the first table, as the kernel does: nothing unless all its checksums are right.
fn first_table(file: &mut File) -> Option<Partitions> {
    let mut sector = vec![0; SECTOR];
    Sectors::read(file, PRIMARY, &mut sector).unwrap();
    let header = Header::read(&sector, PRIMARY)?;
    let count = usize::try_from(header.entry_sectors()).unwrap();
    let mut bytes = vec![0; count * SECTOR];
    Sectors::read(file, header.entries_at(), &mut bytes).ok()?;
    let entries = Entries(bytes);
    entries.belong_to(&header).then_some(())?;
    Some(partitions(&entries))
}

fn partitions(entries: &Entries) -> Partitions {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let used = entries.0.chunks(128).filter(|entry| entry[0] != 0);
    used.map(|entry| {
        let name = entry[56..].chunks(2).map(|pair| char::from(pair[0])).take_while(|letter| *letter != '\0');
        (name.collect(), number(&entry[32..40]), number(&entry[40..48]), format!("{:02x?}", &entry[..32]))
    })
    .collect()
}

/// The same without the end of the last one, which is what growing changes.
fn but_the_end(partitions: &Partitions) -> (Partitions, u64) {
    let mut partitions = partitions.clone();
    let end = std::mem::take(&mut partitions.last_mut().unwrap().2);
    (partitions, end)
}

/// A disk that remembers its writes, a sector at a time, and how many there were at each sync.
struct Recorder {
    file: File,
    writes: Vec<(u64, Vec<u8>)>,
    syncs: Vec<usize>,
}

impl Recorder {
    fn of(file: File) -> Self {
        Self { file, writes: Vec::new(), syncs: Vec::new() }
    }
}

impl Sectors for Recorder {
    fn read(&mut self, sector: u64, to: &mut [u8]) -> io::Result<()> {
        Sectors::read(&mut self.file, sector, to)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes.extend((sector..).zip(bytes.chunks(SECTOR).map(<[u8]>::to_vec)));
        Sectors::write(&mut self.file, sector, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.push(self.writes.len());
        Ok(())
    }
}

fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let path = ["/usr/sbin", "/sbin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(name));
    let program = path.into_iter().find(|path| path.exists())?;
    let output = Command::new(program).args(arguments).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {said}");
    Some(said)
}

/// What sgdisk and sfdisk say, where they are installed, and the crate `gpt`.
fn others_are_content(path: &Path) {
    let at = path.to_str().unwrap();
    if let Some(said) = tool("sgdisk", &["-v", at]) {
        assert!(said.contains("No problems found"), "{said}");
    }
    if let Some(said) = tool("sfdisk", &["--verify", at]) {
        assert!(said.contains("No errors detected"), "{said}");
    }
    let disk = GptConfig::new().only_valid_headers(true).open(path).unwrap();
    assert_eq!(disk.partitions().len(), 4);
    assert_eq!(disk.logical_block_size(), &LogicalBlockSize::Lb512);
}

#[test]
fn the_last_partition_takes_what_is_free_and_everything_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut file = flashed(&path, LARGE);
    let before = first_table(&mut file).unwrap();
    let (same, old_end) = but_the_end(&before);
    let first = before[3].1;
    let end = 12 * MIB - 1;
    let grown = Grown::To { from: (old_end + 1 - first) * 512, to: (end + 1 - first) * 512 };
    assert_eq!(grow(&mut file, LARGE).unwrap(), grown);
    assert_eq!(but_the_end(&first_table(&mut file).unwrap()), (same, end));
    let mut mbr = vec![0; SECTOR];
    Sectors::read(&mut file, 0, &mut mbr).unwrap();
    assert_eq!(mbr[..440], [0x5a; 440], "the boot code stays");
    assert_eq!(mbr[458..462], u32::try_from(LARGE - 1).unwrap().to_le_bytes());
    others_are_content(&path);

    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(grow(&mut file, LARGE).unwrap(), Grown::Nothing);
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a second time changes nothing");
    // The card is copied to a larger one.
    file.set_len((LARGE + 5 * MIB) * 512).unwrap();
    assert!(matches!(grow(&mut file, LARGE + 5 * MIB).unwrap(), Grown::To { .. }));
    others_are_content(&path);
}

#[test]
fn less_than_a_mebibyte_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    // 1 MiB is free behind `data`, and the second table takes 33 sectors of it.
    let mut file = flashed(&path, SMALL);
    let bytes = std::fs::read(&path).unwrap();
    for more in [0, 1, 32] {
        file.set_len((SMALL + more) * 512).unwrap();
        assert_eq!(grow(&mut file, SMALL + more).unwrap(), Grown::Nothing, "{more} sectors more");
        file.set_len(SMALL * 512).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{more} sectors more");
    }
    file.set_len((SMALL + 33) * 512).unwrap();
    assert_eq!(grow(&mut file, SMALL + 33).unwrap(), Grown::To { from: 2 << 20, to: 3 << 20 });
}

#[test]
fn a_power_cut_at_any_sector_leaves_a_table_that_is_read_and_the_next_start_finishes() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("disk");
    let mut recorder = Recorder::of(flashed(&path, LARGE));
    let before = first_table(&mut recorder.file).unwrap();
    let original = std::fs::read(&path).unwrap();
    grow(&mut recorder, LARGE).unwrap();
    let after = first_table(&mut recorder.file).unwrap();
    let (same, old_end) = but_the_end(&before);
    let new_end = but_the_end(&after).1;
    let finished = std::fs::read(&path).unwrap();
    assert!(recorder.writes.len() > 60, "two arrays of entries: {}", recorder.writes.len());

    let mut seed = 3_u64;
    for cut in 0..=recorder.writes.len() {
        // What wasn't synced is lost or not, sector by sector.
        let synced = recorder.syncs.iter().copied().filter(|at| *at <= cut).max().unwrap_or(0);
        for trial in 0..3 {
            let mut file = File::options().write(true).read(true).open(&path).unwrap();
            Sectors::write(&mut file, 0, &original).unwrap();
            for (place, (sector, bytes)) in recorder.writes[..cut].iter().enumerate() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if place < synced || trial == 0 || seed >> 63 == 0 {
                    Sectors::write(&mut file, *sector, bytes).unwrap();
                }
            }
            let when = format!("cut at {cut}, trial {trial}");
            let seen = first_table(&mut file).unwrap_or_else(|| panic!("the first table is damaged: {when}"));
            let (rest, end) = but_the_end(&seen);
            assert_eq!(rest, same, "{when}");
            assert!(end == old_end || end == new_end, "{when}: {end}");
            if trial == 0
                && let Some(said) = tool("sfdisk", &["--json", path.to_str().unwrap()])
            {
                assert_eq!(said.matches("\"node\"").count(), 4, "{when}: {said}");
            }
            grow(&mut file, LARGE).unwrap();
            assert!(std::fs::read(&path).unwrap() == finished, "the next start doesn't finish: {when}");
        }
    }
    others_are_content(&path);
}

#[test]
fn a_damaged_first_table_is_made_anew_from_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut file = flashed(&path, LARGE);
    grow(&mut file, LARGE).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for (sector, what) in [(PRIMARY, "header"), (ENTRIES, "entries")] {
        Sectors::write(&mut file, sector, &[0xff; SECTOR]).unwrap();
        assert!(matches!(grow(&mut file, LARGE).unwrap(), Grown::To { .. }), "{what}");
        assert!(std::fs::read(&path).unwrap() == whole, "{what}");
    }
    others_are_content(&path);
}

#[test]
fn other_disks_are_refused_and_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut file = flashed(&path, LARGE);
    let good = std::fs::read(&path).unwrap();
    let refused = |file: &mut File, sectors: u64, said: &str| {
        let before = std::fs::read(&path).unwrap();
        let error = grow(file, sectors).unwrap_err();
        assert!(error.text.contains(said), "{error}");
        assert!(std::fs::read(&path).unwrap() == before);
    };
    refused(&mut file, SMALL - 3 * MIB, "smaller than its partition table says");
    Sectors::write(&mut file, 0, &[0; SECTOR]).unwrap();
    refused(&mut file, LARGE, "protects no GPT");
    Sectors::write(&mut file, 0, &good).unwrap();
    Sectors::write(&mut file, PRIMARY, &[0; SECTOR]).unwrap();
    // The second table isn't at the end of this disk.
    refused(&mut file, LARGE, "neither of the disk's two partition tables");
    let named = good.windows(8).position(|bytes| bytes == b"d\0a\0t\0a\0").unwrap();
    let mut other = good.clone();
    other[named] = b'D';
    Sectors::write(&mut file, 0, &other).unwrap();
    refused(&mut file, LARGE, "neither");
}

#[test]
fn of_the_first_sector_only_the_size_of_a_whole_protection_changes() {
    let mut sector = vec![0; SECTOR];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector[446 + 4] = 0x0c;
    sector[462 + 4] = 0xee;
    let sizes: BTreeMap<&str, u32> = [("whole", 99), ("hybrid", 40), ("largest", u32::MAX)].into();
    for (kind, size) in sizes {
        sector[462 + 12..462 + 16].copy_from_slice(&size.to_le_bytes());
        let changed = table::protected(&sector, 100, 5000).unwrap();
        assert_eq!(changed.is_some(), kind == "whole", "{kind}");
        if let Some(changed) = changed {
            let mut expected = sector.clone();
            expected[462 + 12..462 + 16].copy_from_slice(&4999_u32.to_le_bytes());
            assert_eq!(changed, expected);
        }
    }
    sector[462 + 4] = 0x83;
    assert!(table::protected(&sector, 100, 5000).is_err());
}
