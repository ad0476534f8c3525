//! A table in memory with the store's guarantee: a transaction is there whole or not at all.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use wagate_outbox::{Change, Pair, Table, TableError};

/// What is on the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Which contacts turned out to be one person.
    pub(crate) families: Vec<Vec<u128>>,
    /// Bytes of all changes so far, keys included, and how many they were.
    pub(crate) written: (usize, usize),
}

impl Disk {
    pub(crate) fn apply(&mut self, changes: &[Change]) {
        for (key, value) in changes {
            assert!((1..=128).contains(&key.len()), "the store takes keys of up to 128 bytes: {}", key.len());
            assert!(value.as_ref().is_none_or(|value| value.len() <= 256 * 1024), "a value of the store");
            self.written.0 += key.len() + value.as_ref().map_or(0, Vec::len);
            self.written.1 += 1;
            match value {
                Some(value) => _ = self.values.insert(key.clone(), value.clone()),
                None => _ = self.values.remove(key),
            }
        }
    }

    pub(crate) fn join(&mut self, one: u128, other: u128) {
        let mut both = self.family(one);
        both.extend(self.family(other));
        both.sort_unstable();
        both.dedup();
        self.families.retain(|family| !family.iter().any(|member| both.contains(member)));
        self.families.push(both);
    }

    /// How many keys there are of a kind.
    pub(crate) fn count(&self, space: u8) -> usize {
        self.values.range(vec![space]..vec![space + 1]).count()
    }
}

impl Table for Disk {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(self.values.get(key).cloned())
    }

    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        let found = self.values.range(from.to_vec()..to.to_vec());
        Ok(found.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn family(&self, contact: u128) -> Vec<u128> {
        let known = self.families.iter().find(|family| family.contains(&contact));
        known.cloned().unwrap_or_else(|| vec![contact])
    }

    fn hash(&self, text: &[u8]) -> [u8; 16] {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, text).hash(&mut hasher);
            hasher.finish().to_be_bytes()
        };
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&half(1));
        hash[8..].copy_from_slice(&half(2));
        hash
    }
}
