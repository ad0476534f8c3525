//! A disk of a box, as a file: its partitions, and the files on the FAT partition while it is off.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::fat::Fat;
use super::tools::{command, done};

/// The FAT partition.
pub(crate) const ESP: &str = "esp";
/// Slot A.
pub(crate) const ROOT_A: &str = "root-a";
/// Slot B.
pub(crate) const ROOT_B: &str = "root-b";
/// The data partition.
pub(crate) const DATA: &str = "data";

const SECTOR: u64 = 512;
/// Of a GPT: the header is in the second sector, its entries follow.
const GPT_MAGIC: &[u8; 8] = b"EFI PART";

/// Where a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its first byte.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

impl Part {
    /// Whether a range of bytes of the disk touches it.
    pub(crate) fn touches(&self, start: u64, bytes: u64) -> bool {
        start < self.start + self.bytes && self.start < start + bytes
    }
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A copy of an image on a card of `bytes`; its holes stay holes.
    pub(crate) fn flash(image: &Path, to: &Path, bytes: u64) -> Self {
        copy(image, to);
        OpenOptions::new().write(true).open(to).unwrap().set_len(bytes).unwrap();
        Self { path: to.to_owned() }
    }

    /// A disk that is there already.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The partition of this name in the table at the disk's start.
    pub(crate) fn part(&self, name: &str) -> Part {
        let file = File::open(&self.path).unwrap();
        let mut header = [0; 92];
        file.read_exact_at(&mut header, SECTOR).unwrap();
        assert_eq!(&header[..8], GPT_MAGIC, "{} has no GPT", self.path.display());
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let word = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().unwrap()));
        let (first, count, size) =
            (number(&header[72..80]) * SECTOR, word(&header[80..84]), word(&header[84..88]));
        for place in 0..count {
            let mut entry = [0; 128];
            file.read_exact_at(&mut entry, first + place * size).unwrap();
            let letters = entry[56..128].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let letters: Vec<u16> = letters.take_while(|letter| *letter != 0).collect();
            if String::from_utf16_lossy(&letters) == name {
                let (start, last) = (number(&entry[32..40]), number(&entry[40..48]));
                return Part { start: start * SECTOR, bytes: (last + 1 - start) * SECTOR };
            }
        }
        panic!("{} has no partition {name}", self.path.display());
    }

    /// Bytes of the disk.
    pub(crate) fn read(&self, at: u64, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        File::open(&self.path).unwrap().read_exact_at(&mut read, at).unwrap();
        read
    }

    /// Overwrites bytes of the disk.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        OpenOptions::new().write(true).open(&self.path).unwrap().write_all_at(bytes, at).unwrap();
    }

    /// Everything in a partition.
    pub(crate) fn read_part(&self, name: &str) -> Vec<u8> {
        let part = self.part(name);
        self.read(part.start, usize::try_from(part.bytes).unwrap())
    }

    /// Whether these bytes stand anywhere in a partition, in files or between them.
    pub(crate) fn holds(&self, name: &str, wanted: &[u8]) -> bool {
        let content = self.read_part(name);
        content.windows(wanted.len()).any(|window| window == wanted)
    }

    /// The FAT partition.
    fn fat(&self) -> Fat {
        Fat { path: self.path.clone(), start: self.part(ESP).start }
    }

    /// Writes a file onto the FAT partition.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        self.fat().put(name, content);
    }

    /// A file of the FAT partition.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.fat().get(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.fat().text(name)
    }

    /// What GRUB reads, also while the machine runs: the file is one cluster that stays where it is.
    pub(crate) fn env(&self) -> Env {
        let block = self.get("grub/grubenv").expect("grub/grubenv isn't on the FAT partition");
        Env::parse(&block).unwrap_or_else(|why| panic!("grub/grubenv: {why}"))
    }

    /// Rewrites the two copies of what GRUB reads.
    pub(crate) fn set_env(&self, env: &Env) {
        for name in ["grub/grubenv", "grub/grubenv.bak"] {
            self.put(name, &env.block());
        }
    }
}

/// A card of `bytes` that somebody has used, or that is erased: ones everywhere.
pub(crate) fn used(path: &Path, bytes: u64) {
    let piece = vec![0xff; 1 << 20];
    let file = File::create(path).unwrap();
    for start in (0..bytes).step_by(piece.len()) {
        let length = piece.len().min(usize::try_from(bytes - start).unwrap());
        file.write_all_at(&piece[..length], start).unwrap();
    }
}

/// Copies a file with its holes.
pub(crate) fn copy(from: &Path, to: &Path) {
    done(command("cp").args(["--sparse=always", "--reflink=auto"]).arg(from).arg(to));
}

/// Copies a part of a file to a file of its own; zeros become holes.
pub(crate) fn extract(from: &Path, part: Part, to: &Path) {
    let from = File::open(from).unwrap();
    let to = File::create(to).unwrap();
    to.set_len(part.bytes).unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut done = 0;
    while done < part.bytes {
        let wanted = piece.len().min(usize::try_from(part.bytes - done).unwrap());
        from.read_exact_at(&mut piece[..wanted], part.start + done).unwrap();
        if piece[..wanted].iter().any(|byte| *byte != 0) {
            to.write_all_at(&piece[..wanted], done).unwrap();
        }
        done += wanted as u64;
    }
}

/// Everything in a file.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
}
