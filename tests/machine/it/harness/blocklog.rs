//! The log of everything that a machine wrote to its disk, as QEMU's `blklogwrites` keeps it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Sectors of the log and of the disk.
pub(crate) const SECTOR: u64 = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// What was written before is on the disk.
const FLUSH: u64 = 1;
/// This is on the disk when it is done.
const FUA: u64 = 2;
/// No bytes follow.
const DISCARD: u64 = 4;

/// One thing that was done to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where on the disk, in bytes.
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    /// Where the bytes stand in the log.
    data: u64,
    /// Where the entry ends in the log.
    pub(crate) end: u64,
    flags: u64,
}

impl Entry {
    /// It puts everything before it onto the disk.
    pub(crate) const fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    /// It is on the disk itself, whatever comes.
    pub(crate) const fn is_certain(&self) -> bool {
        self.flags & FUA != 0
    }

    /// It changes bytes of the disk.
    pub(crate) const fn is_write(&self) -> bool {
        self.flags & DISCARD == 0 && self.bytes > 0
    }
}

/// The whole log.
#[derive(Debug)]
pub(crate) struct BlockLog {
    file: File,
    pub(crate) entries: Vec<Entry>,
}

impl BlockLog {
    /// Reads what is there. The count in the header is of no use after a kill, so the entries are walked
    /// through to the end of the file; one that isn't whole ends the log.
    pub(crate) fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let length = file.metadata().unwrap().len();
        let head = words(&file, 0);
        assert_eq!(head[0], MAGIC, "not a log of block writes");
        let mut entries = Vec::new();
        let mut place = SECTOR;
        while place + SECTOR <= length {
            let [sector, sectors, flags, _] = words(&file, place);
            let data = place + SECTOR;
            let bytes = sectors * SECTOR;
            let end = if flags & DISCARD == 0 { data + bytes } else { data };
            if (flags == 0 && sectors == 0) || end > length {
                break;
            }
            entries.push(Entry { at: sector * SECTOR, bytes, data, end, flags });
            place = end;
        }
        Self { file, entries }
    }

    /// What an entry wrote.
    pub(crate) fn data(&self, entry: &Entry) -> Vec<u8> {
        let mut data = vec![0; usize::try_from(entry.bytes).unwrap()];
        self.file.read_exact_at(&mut data, entry.data).unwrap();
        data
    }

    /// The newest entry at or before `place` that is a flush.
    pub(crate) fn flush_before(&self, place: usize) -> Option<usize> {
        self.entries[..=place].iter().rposition(Entry::is_flush)
    }
}

/// Four numbers of the log.
fn words(file: &File, at: u64) -> [u64; 4] {
    let mut bytes = [0; 32];
    file.read_exact_at(&mut bytes, at).unwrap();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap());
    }
    words
}
