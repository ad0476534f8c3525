//! A group: what one write and one sync put into the log.
//!
//! ```text
//! 0   4  magic "wgl1"
//! 4   4  crc32 of the offset in the segment (8 bytes) and of the bytes 8 to 48
//! 8   8  generation of the segment
//! 16  8  number of the group, one more than the group before
//! 24  8  milliseconds that the box has seen pass since the store was made
//! 32  8  bytes of payload
//! 40  4  entries in the payload
//! 44  4  zero
//! 48     payload, then zeros up to a block boundary
//! ```
//! Numbers are little endian. Every crc starts from the store's salt, so that no sender can write
//! bytes that look like a group of ours, and no group of another store is taken for one. Nor is one
//! that a disk has put in another place: it would hide those between.

use super::{Unreadable, take};
use crate::options::BLOCK;

pub(crate) const HEADER: usize = 48;
const MAGIC: [u8; 4] = *b"wgl1";

/// Where every checksum of a store begins.
pub(crate) type Salt = [u8; 16];

pub(crate) fn crc(salt: &Salt, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// The checksum of the header that `bytes` begin with.
pub(crate) fn sum(salt: &Salt, offset: u64, bytes: &[u8]) -> u32 {
    crc(salt, &[&offset.to_le_bytes(), &bytes[8..HEADER]])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) generation: u64,
    pub(crate) number: u64,
    pub(crate) seen_ms: u64,
    pub(crate) payload: u64,
    pub(crate) entries: u32,
}

impl GroupHeader {
    /// Writes the header of the group at `offset` in its segment.
    pub(crate) fn write(&self, salt: &Salt, offset: u64, out: &mut [u8]) {
        out[..4].copy_from_slice(&MAGIC);
        out[8..16].copy_from_slice(&self.generation.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.seen_ms.to_le_bytes());
        out[32..40].copy_from_slice(&self.payload.to_le_bytes());
        out[40..44].copy_from_slice(&self.entries.to_le_bytes());
        out[44..48].fill(0);
        let sum = sum(salt, offset, out);
        out[4..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the header that `bytes` at `offset` in a segment begin with.
    pub(crate) fn read(salt: &Salt, offset: u64, mut bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() < HEADER {
            return Err(Unreadable("too short"));
        }
        let sum = sum(salt, offset, bytes);
        let bytes = &mut bytes;
        if take::<4>(bytes)? != MAGIC {
            return Err(Unreadable("no group"));
        }
        if u32::from_le_bytes(take(bytes)?) != sum {
            return Err(Unreadable("checksum of a group"));
        }
        Ok(Self {
            generation: u64::from_le_bytes(take(bytes)?),
            number: u64::from_le_bytes(take(bytes)?),
            seen_ms: u64::from_le_bytes(take(bytes)?),
            payload: u64::from_le_bytes(take(bytes)?),
            entries: u32::from_le_bytes(take(bytes)?),
        })
    }

    /// Bytes that the group takes in the segment.
    pub(crate) const fn extent(&self) -> u64 {
        extent(self.payload)
    }
}

/// Bytes that a group with so much payload takes: whole blocks.
pub(crate) const fn extent(payload: u64) -> u64 {
    (payload.saturating_add(HEADER as u64)).div_ceil(BLOCK).saturating_mul(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = [7; 16];

    #[test]
    fn a_header_survives_its_bytes_and_no_changed_bit_does() {
        let header = GroupHeader { generation: 3, number: 99, seen_ms: 12, payload: 4049, entries: 2 };
        let mut bytes = [0; HEADER];
        header.write(&SALT, 4096, &mut bytes);
        assert_eq!(GroupHeader::read(&SALT, 4096, &bytes), Ok(header));
        assert!(GroupHeader::read(&SALT, 8192, &bytes).is_err(), "another place");
        assert_eq!(header.extent(), 2 * BLOCK);
        assert!(GroupHeader::read(&[8; 16], 4096, &bytes).is_err());
        for bit in 0..HEADER * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(GroupHeader::read(&SALT, 4096, &changed).is_err(), "bit {bit}");
        }
    }
}
