//! A filter over the hashes of a tree: says of most of what isn't there that it isn't.
//!
//! A new event is in none of the trees. Without a filter each of them is asked, which costs a page
//! that isn't in memory. What the filter lets through is looked up; it never decides alone that an
//! event was seen.
//!
//! ```text
//! 0  1  version, 1
//! 1  4  crc32 of what follows
//! 5     blocks of 64 bytes
//! ```
//! A hash belongs to one block: its first 8 bytes as a fraction of 2^64, times the blocks. In that
//! block it sets 7 bits; each is named by 9 bits of its last 8 bytes, the lowest first.

use crate::format::{Unreadable, take};
use crate::keyed::Hash;

const VERSION: u8 = 1;
const HEADER: usize = 5;
/// Bytes of a block, a line of the processor's cache.
const BLOCK: usize = 64;
/// Bits that a hash has: one in about 70 of what isn't there is let through.
const BITS: usize = 10;
/// Bits that a hash sets.
const PROBES: u32 = 7;

/// A filter over a set that doesn't change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    /// A filter that lets all of `hashes` through.
    pub(crate) fn over(hashes: &[Hash]) -> Self {
        let blocks = (hashes.len() * BITS).div_ceil(8 * BLOCK).max(1);
        let mut filter = Self(vec![0; blocks * BLOCK]);
        for hash in hashes {
            let begin = filter.block(hash);
            for bit in bits(hash) {
                filter.0[begin + bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }

    /// Whether the hash may be in the set; false only where it isn't.
    pub(crate) fn may_hold(&self, hash: &Hash) -> bool {
        let begin = self.block(hash);
        bits(hash).all(|bit| self.0[begin + bit / 8] >> (bit % 8) & 1 == 1)
    }

    /// Where the hash's block begins.
    fn block(&self, hash: &Hash) -> usize {
        let blocks = (self.0.len() / BLOCK) as u128;
        let place = (u128::from(u64::from_le_bytes(half(hash, 0))) * blocks) >> 64;
        usize::try_from(place).unwrap_or(0) * BLOCK
    }

    /// Bytes in memory, and nearly so many on the disk.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.0.len());
        bytes.push(VERSION);
        bytes.extend(crc32fast::hash(&self.0).to_le_bytes());
        bytes.extend(&self.0);
        bytes
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Result<Self, Unreadable> {
        let [version] = take(&mut bytes)?;
        let sum = u32::from_le_bytes(take(&mut bytes)?);
        let whole = !bytes.is_empty() && bytes.len().is_multiple_of(BLOCK);
        if version != VERSION || !whole || crc32fast::hash(bytes) != sum {
            return Err(Unreadable("a filter"));
        }
        Ok(Self(bytes.to_vec()))
    }
}

fn half(hash: &Hash, from: usize) -> [u8; 8] {
    let mut half = [0; 8];
    half.copy_from_slice(&hash[from..from + 8]);
    half
}

fn bits(hash: &Hash) -> impl Iterator<Item = usize> {
    let drawn = u64::from_le_bytes(half(hash, 8));
    (0..PROBES).map(move |probe| (drawn >> (9 * probe) & 0x1FF) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::HashKey;

    fn hashes(from: u64, count: u64) -> Vec<Hash> {
        let key = HashKey::new(b"k");
        (from..from + count).map(|number| key.hash(0, &[&number.to_le_bytes()])).collect()
    }

    #[test]
    fn what_is_there_gets_through_and_little_else() {
        for count in [0, 1, 51, 52, 10_000] {
            let there = hashes(0, count);
            let filter = Filter::over(&there);
            assert!(there.iter().all(|hash| filter.may_hold(hash)));
            assert_eq!(Filter::from_bytes(&filter.to_bytes()), Ok(filter));
        }
        let filter = Filter::over(&hashes(0, 10_000));
        let through = hashes(10_000, 10_000).iter().filter(|hash| filter.may_hold(hash)).count();
        assert!((20..250).contains(&through), "{through} of 10,000");
        assert_eq!(filter.len(), 12_544);
    }

    #[test]
    fn damaged_bytes_are_no_filter() {
        let bytes = Filter::over(&hashes(0, 10)).to_bytes();
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 4;
            assert!(Filter::from_bytes(&changed).is_err(), "byte {byte}");
        }
        assert!(Filter::from_bytes(&bytes[..5]).is_err());
        assert!(Filter::from_bytes(&[]).is_err());
    }
}
