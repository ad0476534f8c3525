//! Which records are done with: a floor, and bits above it.
//!
//! Records of one contact don't wait for those of another, so what is settled has gaps. Everything
//! up to the floor is settled; above it a bit a record. A backlog of a million records whose every
//! second one is settled takes 125 KiB.

use std::collections::{BTreeMap, BTreeSet};

/// Sequences in one chunk of bits.
const CHUNK: u64 = 4096;
const WORDS: usize = 64;
/// Bytes of a chunk as it is stored.
pub(crate) const CHUNK_BYTES: usize = WORDS * 8;

/// The settled sequences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settled {
    floor: u64,
    chunks: BTreeMap<u64, Box<[u64; WORDS]>>,
    dirty: BTreeSet<u64>,
}

impl Settled {
    pub(crate) fn new(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Takes a chunk as it was stored.
    pub(crate) fn load(&mut self, chunk: u64, bytes: &[u8]) {
        let mut words = Box::new([0; WORDS]);
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.chunks.insert(chunk, words);
        self.advance();
    }

    /// Everything up to here is settled, or was never a record.
    pub(crate) const fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        sequence <= self.floor
            || self.chunks.get(&(sequence / CHUNK)).is_some_and(|words| bit(words, sequence))
    }

    /// Settles one; false where it was settled already.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) {
            return false;
        }
        let chunk = sequence / CHUNK;
        let words = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; WORDS]));
        words[word_of(sequence)] |= 1 << (sequence % 64);
        self.dirty.insert(chunk);
        if sequence == self.floor + 1 {
            self.advance();
        }
        true
    }

    /// Settles `first` to `last`: sequences that will never be records.
    pub(crate) fn insert_range(&mut self, first: u64, last: u64) {
        if first <= self.floor + 1 {
            self.floor = self.floor.max(last);
            self.advance();
        } else {
            for sequence in first..=last {
                self.insert(sequence);
            }
        }
    }

    fn advance(&mut self) {
        while self.chunks.get(&((self.floor + 1) / CHUNK)).is_some_and(|words| bit(words, self.floor + 1)) {
            self.floor += 1;
        }
        let below = (self.floor + 1) / CHUNK;
        while let Some(entry) = self.chunks.first_entry().filter(|entry| *entry.key() < below) {
            self.dirty.insert(*entry.key());
            entry.remove();
        }
    }

    /// The chunks that changed since the last call; `None` stands for one that the floor has passed.
    pub(crate) fn take_dirty(&mut self) -> Vec<(u64, Option<[u8; CHUNK_BYTES]>)> {
        let chunks = std::mem::take(&mut self.dirty);
        chunks
            .into_iter()
            .map(|chunk| (chunk, self.chunks.get(&chunk).map(|words| to_bytes(words))))
            .collect()
    }
}

const fn word_of(sequence: u64) -> usize {
    ((sequence % CHUNK) / 64) as usize
}

const fn bit(words: &[u64; WORDS], sequence: u64) -> bool {
    words[word_of(sequence)] >> (sequence % 64) & 1 == 1
}

fn to_bytes(words: &[u64; WORDS]) -> [u8; CHUNK_BYTES] {
    let mut bytes = [0; CHUNK_BYTES];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_set_through_storing_and_loading(
            sequences in prop::collection::vec(1_u64..20_000, 0..300),
            ranges in prop::collection::vec((1_u64..20_000, 0_u64..5_000), 0..4),
        ) {
            let mut settled = Settled::default();
            let mut model = BTreeSet::new();
            let mut stored = BTreeMap::new();
            for (place, sequence) in sequences.iter().enumerate() {
                prop_assert_eq!(settled.insert(*sequence), model.insert(*sequence));
                if let Some((first, length)) = ranges.get(place) {
                    settled.insert_range(*first, first + length);
                    model.extend(*first..=first + length);
                }
                if place % 7 == 0 {
                    for (chunk, bytes) in settled.take_dirty() {
                        match bytes {
                            Some(bytes) => stored.insert(chunk, bytes),
                            None => stored.remove(&chunk),
                        };
                    }
                }
            }
            for (chunk, bytes) in settled.take_dirty() {
                match bytes {
                    Some(bytes) => stored.insert(chunk, bytes),
                    None => stored.remove(&chunk),
                };
            }
            let mut loaded = Settled::new(settled.floor());
            for (chunk, bytes) in &stored {
                loaded.load(*chunk, bytes);
            }
            let floor = (1..).find(|sequence| !model.contains(sequence)).unwrap() - 1;
            prop_assert_eq!(settled.floor(), floor);
            for sequence in 1..26_000 {
                prop_assert_eq!(settled.contains(sequence), model.contains(&sequence));
                prop_assert_eq!(loaded.contains(sequence), model.contains(&sequence));
            }
            prop_assert!(settled.chunks.keys().all(|chunk| chunk * CHUNK + CHUNK > floor));
        }
    }
}
