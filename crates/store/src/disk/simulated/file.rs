//! A file of the simulated disk: what is live, what is durable, and what is in between.

use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Units (sectors or blocks) that were written and not synced.
    dirty: BTreeSet<usize>,
    unit: usize,
    /// Whether an unsynced unit may come back as any bytes.
    garbage: bool,
}

impl File {
    pub(super) fn new(length: usize, unit: usize, garbage: bool) -> Self {
        Self { live: vec![0; length], durable: vec![0; length], dirty: BTreeSet::new(), unit, garbage }
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        self.live[offset..offset + data.len()].copy_from_slice(data);
        if !data.is_empty() {
            self.dirty.extend(offset / self.unit..=(offset + data.len() - 1) / self.unit);
        }
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.live.resize(length, 0);
        // A longer file is no content yet; a shorter one is made so after its end was freed.
        self.durable.resize(length, 0);
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for unit in std::mem::take(&mut self.dirty) {
            let range = unit * self.unit..((unit + 1) * self.unit).min(self.live.len());
            if range.start < range.end {
                self.durable[range.clone()].copy_from_slice(&self.live[range]);
            }
        }
    }

    /// What a failed sync does: nothing reaches the disk, readers still see it, and no later sync
    /// tries again.
    pub(super) fn give_up(&mut self) {
        self.dirty.clear();
    }

    /// Lets go of what memory holds: readers see the disk.
    pub(super) fn forget(&mut self) {
        if self.dirty.is_empty() {
            self.live.clone_from(&self.durable);
        }
    }

    /// What is found after a power cut.
    pub(super) fn after_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut found = self.durable.clone();
        for unit in &self.dirty {
            let range = unit * self.unit..((unit + 1) * self.unit).min(found.len());
            if range.start >= range.end {
                continue;
            }
            match random.below(if self.garbage { 4 } else { 2 }) {
                0 => {}
                1 => found[range.clone()].copy_from_slice(&self.live[range]),
                2 => {
                    let cut = range.start + random.below((range.end - range.start) as u64) as usize;
                    found[range.start..cut].copy_from_slice(&self.live[range.start..cut]);
                }
                _ => found[range].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
            }
        }
        found
    }
}

/// A small generator (xorshift), so that a failure can be played again from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}
