//! A block: some records one after another, compressed together, as redb keeps them.
//!
//! ```text
//! 0   1  version, 1
//! 1   1  coding of the content: 0 plain, 1 LZ4 behind its length (4 bytes)
//! 2   2  records in the block
//! 4   4  key that the content is sealed with
//! 8   4  crc32 of the bytes 0 to 8 and 12 to the end
//! 12  8  sequence of the last record
//! 20  8  milliseconds that the box had seen pass when the last record came
//! 28     content; per record: 8 bytes sequence, 4 bytes length, the record
//! ```
//! The key in redb is the sequence of the first record.

use std::sync::Arc;

use model::{Record, Sequence};

use super::seal::{self, KeyId};
use super::{Unreadable, record_v1, take};

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const HEADER: usize = 28;

/// Content of a block before compression. Some 12 records: what LZ4 makes of it fits a page of
/// redb (4 KiB), and reading one record unpacks little besides.
pub(crate) const CONTENT_BYTES: usize = 10 << 10;
/// Largest content that is unpacked: one webhook of 4 MiB with its names, and a margin. A length
/// beyond it is damage.
const CONTENT_MAX: usize = 8 << 20;

/// Bytes of a block's content that a record takes.
pub(crate) const fn room_of(record: &[u8]) -> usize {
    12 + record.len()
}

/// Collects records into a block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    content: Vec<u8>,
    first: u64,
    last: u64,
    count: u16,
    seen_ms: u64,
}

impl BlockBuilder {
    /// Whether a record of `bytes` still fits; the first always does.
    pub(crate) const fn fits(&self, bytes: usize) -> bool {
        self.count == 0 || (self.content.len() + bytes <= CONTENT_BYTES && self.count < u16::MAX)
    }

    /// Bytes collected so far.
    pub(crate) const fn content(&self) -> usize {
        self.content.len()
    }

    /// Whether `bytes` are collected, or as many records as a block can count.
    pub(crate) const fn is_filled(&self, bytes: usize) -> bool {
        self.content.len() >= bytes || self.count == u16::MAX
    }

    pub(crate) fn push(&mut self, sequence: u64, seen_ms: u64, record: &[u8]) {
        if self.count == 0 {
            self.first = sequence;
            self.content.reserve(CONTENT_BYTES.max(room_of(record)));
        }
        self.last = sequence;
        self.seen_ms = seen_ms;
        self.count += 1;
        self.content.extend(sequence.to_le_bytes());
        self.content.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.content.extend(record);
    }

    /// The key and the bytes of what was collected, and an empty builder again; `None` of nothing.
    pub(crate) fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.count == 0 {
            return None;
        }
        let built = std::mem::take(self);
        let packed = lz4_flex::compress_prepend_size(&built.content);
        let (coding, content) =
            if packed.len() < built.content.len() { (LZ4, packed) } else { (PLAIN, built.content) };
        let (key, content) = seal::seal(&content);
        let mut bytes = Vec::with_capacity(HEADER + content.len());
        bytes.extend([VERSION, coding]);
        bytes.extend(built.count.to_le_bytes());
        bytes.extend(key.0.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(built.last.to_le_bytes());
        bytes.extend(built.seen_ms.to_le_bytes());
        bytes.extend(content.as_ref());
        put_checksum(&mut bytes);
        Some((built.first, bytes))
    }
}

/// The checksum of a block, over all of it but the place where it stands.
fn sum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..8]);
    hasher.update(&bytes[12..]);
    hasher.finalize()
}

/// Puts the checksum in its place, where there is one.
pub(crate) fn put_checksum(bytes: &mut [u8]) {
    if bytes.len() >= HEADER {
        let sum = sum(bytes);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

/// What the front of a block says of it, without unpacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockInfo {
    pub(crate) count: u16,
    pub(crate) last: u64,
    pub(crate) seen_ms: u64,
}

/// Reads the front of a block.
///
/// # Errors
/// When the block isn't whole: nothing that it says of itself can be relied on then.
pub(crate) fn info(bytes: &[u8]) -> Result<BlockInfo, Unreadable> {
    check(bytes)?;
    let count = u16::from_le_bytes(take(&mut &bytes[2..])?);
    let mut rest = &bytes[12..];
    Ok(BlockInfo {
        count,
        last: u64::from_le_bytes(take(&mut rest)?),
        seen_ms: u64::from_le_bytes(take(&mut rest)?),
    })
}

fn check(bytes: &[u8]) -> Result<(), Unreadable> {
    if bytes.first() != Some(&VERSION) {
        return Err(Unreadable("version of a block"));
    }
    if bytes.len() < HEADER {
        return Err(Unreadable("too short"));
    }
    if u32::from_le_bytes(take(&mut &bytes[8..])?) != sum(bytes) {
        return Err(Unreadable("checksum of a block"));
    }
    Ok(())
}

/// Bytes of the content, unpacked.
pub(crate) fn content(bytes: &[u8]) -> Result<usize, Unreadable> {
    check(bytes)?;
    let opened = seal::open(KeyId(u32::from_le_bytes(take(&mut &bytes[4..])?)), &bytes[HEADER..])?;
    if bytes[1] == LZ4 {
        Ok(u32::from_le_bytes(take(&mut opened.as_ref())?) as usize)
    } else {
        Ok(opened.len())
    }
}

/// A record of a block, under its sequence.
pub(crate) type Slot = (u64, Result<Arc<Record>, Unreadable>);

/// Unpacks a block. A record in it that can't be read is `Err` in its place and costs only itself.
pub(crate) fn records(bytes: &[u8]) -> Result<Vec<Slot>, Unreadable> {
    let mut records = Vec::new();
    each(bytes, |sequence, record| {
        records.push((sequence, record_v1::from_bytes(Sequence(sequence), record)));
    })?;
    Ok(records)
}

/// Shows each record of a block, in its stored bytes, to `visit`.
pub(crate) fn each(bytes: &[u8], mut visit: impl FnMut(u64, &[u8])) -> Result<(), Unreadable> {
    check(bytes)?;
    let mut rest = bytes;
    let [_, coding] = take(&mut rest)?;
    let count = u16::from_le_bytes(take(&mut rest)?);
    let key = KeyId(u32::from_le_bytes(take(&mut rest)?));
    take::<20>(&mut rest)?;
    let opened = seal::open(key, rest)?;
    let unpacked;
    let mut content = match coding {
        PLAIN => opened.as_ref(),
        LZ4 => {
            let (size, packed) =
                lz4_flex::block::uncompressed_size(&opened).map_err(|_| Unreadable("length of a block"))?;
            if size > CONTENT_MAX {
                return Err(Unreadable("length of a block"));
            }
            unpacked = lz4_flex::decompress(packed, size).map_err(|_| Unreadable("packing of a block"))?;
            unpacked.as_slice()
        }
        _ => return Err(Unreadable("coding of a block")),
    };
    for _ in 0..count {
        let sequence = u64::from_le_bytes(take(&mut content)?);
        let length = u32::from_le_bytes(take(&mut content)?) as usize;
        let record = content.get(..length).ok_or(Unreadable("length of a record"))?;
        content = &content[length..];
        visit(sequence, record);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::WallTime;

    use super::*;
    use crate::format::record_v1::{Lesson, tests::sample_item};

    #[test]
    fn records_survive_their_block() {
        let record = record_v1::to_bytes(&sample_item(), WallTime(1), &Lesson::default());
        let mut builder = BlockBuilder::default();
        assert!(builder.finish().is_none());
        for sequence in 5..15 {
            assert!(builder.fits(record.len()));
            builder.push(sequence, sequence * 100, &record);
        }
        let (first, bytes) = builder.finish().unwrap();
        assert_eq!(first, 5);
        assert!(bytes.len() < 10 * record.len() / 2, "packed to {}", bytes.len());
        assert_eq!(info(&bytes), Ok(BlockInfo { count: 10, last: 14, seen_ms: 1400 }));
        let read = records(&bytes).unwrap();
        assert_eq!(read.len(), 10);
        for (place, (sequence, record)) in read.into_iter().enumerate() {
            assert_eq!(sequence, 5 + place as u64);
            assert_eq!(record.unwrap().item, sample_item());
        }
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 0x40;
            assert!(records(&changed).is_err(), "byte {byte}");
            assert!(info(&changed).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn content_that_does_not_pack_is_kept_as_it_is() {
        let mut builder = BlockBuilder::default();
        builder.push(1, 0, &[0xA5]);
        let (_, bytes) = builder.finish().unwrap();
        assert_eq!(bytes[1], PLAIN);
        let mut seen = Vec::new();
        each(&bytes, |sequence, record| seen.push((sequence, record.to_vec()))).unwrap();
        assert_eq!(seen, [(1, vec![0xA5])]);
    }
}
