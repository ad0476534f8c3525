//! Reading what stands on the disk, not in memory.
//!
//! `O_DIRECT` asks the device itself, so that a card which took bytes and lost them is found out. It wants memory, place
//! and length in whole blocks; a buffer with room to spare, and an offset into it, gives that without `unsafe`. Where a
//! file system doesn't do it (a temporary folder in memory), the page cache is asked to let go of the file first: that is
//! advice, and follows a sync, after which nothing holds the pages.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::Advice;

/// What memory, place and length are multiples of: no device wants more than a page.
const ALIGN: usize = 4096;

/// Fills `out` from `offset`, past the page cache; says how many bytes there were.
pub(super) fn read_past_cache(path: &Path, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path);
    match direct.and_then(|file| read_blocks(&file, offset, out)) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let file = File::open(path)?;
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
            read_blocks(&file, offset, out)
        }
        other => other,
    }
}

/// Reads whole blocks around what is wanted.
fn read_blocks(file: &File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let start = offset - offset % ALIGN as u64;
    let lead = usize::try_from(offset - start).unwrap_or_default();
    let span = (lead + out.len()).next_multiple_of(ALIGN);
    let mut room = vec![0; span + ALIGN];
    let skip = room.as_ptr().align_offset(ALIGN);
    let blocks =
        room.get_mut(skip..).and_then(|room| room.get_mut(..span)).ok_or(io::ErrorKind::OutOfMemory)?;
    let mut there = 0;
    while there < span {
        let part = blocks.get_mut(there..).unwrap_or_default();
        match file.read_at(part, start + there as u64) {
            // A part of a block is the end of the file.
            Ok(bytes) if bytes % ALIGN != 0 || bytes == 0 => {
                there += bytes;
                break;
            }
            Ok(bytes) => there += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let found = blocks.get(lead..there.min(lead + out.len())).unwrap_or_default();
    out[..found.len()].copy_from_slice(found);
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_file_can_be_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..20_001_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(file.path(), &bytes).unwrap();
        file.as_file().sync_all().unwrap();
        for (offset, length) in
            [(0, 1), (0, 4096), (4096, 8192), (1, 5000), (12_288, 7713), (20_000, 1), (20_001, 9)]
        {
            let mut out = vec![0; length];
            let there = read_past_cache(file.path(), offset as u64, &mut out).unwrap();
            assert_eq!(out[..there], bytes[offset..(offset + length).min(bytes.len())], "{offset} {length}");
        }
    }
}
