//! A table with the store's guarantee, that a transaction is there whole or not at all: in memory, or the store
//! itself on a simulated disk.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::WallTime;
use store::testing::{SimulatedDisk, small};
use store::{Store, Transaction};
use wagate_outbox::{Change, Pair, Table, TableError};

use crate::chance::Chance;

/// What is on the disk.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Which contacts turned out to be one person.
    pub(crate) families: Vec<Vec<u128>>,
    /// Bytes of all changes so far, keys included, and how many they were.
    pub(crate) written: (usize, usize),
    /// Questions so far.
    pub(crate) read: Cell<usize>,
    stored: Option<Stored>,
}

/// The real store, and the plug of its disk.
struct Stored {
    disk: SimulatedDisk,
    /// `None` only while it is opened anew.
    store: Option<Store>,
    chance: Chance,
    /// The plug is pulled no more.
    safe: bool,
}

impl Stored {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    /// The plug will be pulled, some operations from now.
    fn endanger(&mut self) {
        if self.safe {
            return;
        }
        let after = self.chance.below(120);
        self.disk.cut_power_at(self.disk.operations() + after);
    }
}

impl Disk {
    /// The store itself, whose plug is pulled now and then.
    pub(crate) fn stored(seed: u64) -> Self {
        let disk = SimulatedDisk::new();
        let store = Some(disk.open(small()).unwrap());
        let mut stored = Stored { disk, store, chance: Chance::of(seed, &[6]), safe: false };
        stored.endanger();
        Self { stored: Some(stored), ..Self::default() }
    }

    /// From the next start on nobody pulls the plug.
    pub(crate) fn be_safe(&mut self) {
        if let Some(stored) = &mut self.stored {
            stored.safe = true;
        }
    }

    /// The program ends: by itself, or with the power.
    pub(crate) fn restart(&mut self) {
        let Some(stored) = &mut self.stored else { return };
        let seed = stored.chance.next();
        let left = if seed.is_multiple_of(4) { stored.disk.kill() } else { stored.disk.power_cut(seed) };
        stored.store = None;
        stored.disk = left;
        stored.store = Some(stored.disk.open(small()).unwrap());
        stored.endanger();
    }

    /// Whether the disk holds what these changes leave.
    pub(crate) fn holds(&self, changes: &[Change]) -> bool {
        changes.iter().all(|(key, value)| self.value(key).is_ok_and(|known| known == *value))
    }

    /// Makes a transaction durable; false if nobody knows whether it is.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> bool {
        for (key, value) in changes {
            assert!((1..=128).contains(&key.len()), "the store takes keys of up to 128 bytes: {}", key.len());
            assert!(value.as_ref().is_none_or(|value| value.len() <= 256 * 1024), "a value of the store");
            self.written.0 += key.len() + value.as_ref().map_or(0, Vec::len);
            self.written.1 += 1;
            if self.stored.is_some() {
                continue;
            }
            match value {
                Some(value) => _ = self.values.insert(key.clone(), value.clone()),
                None => _ = self.values.remove(key),
            }
        }
        let Some(stored) = &self.stored else { return true };
        let changes = changes
            .iter()
            .map(|(key, value)| store::Change { key: key.clone(), value: value.clone() })
            .collect();
        let transaction = Transaction { changes, essential: true, ..Transaction::default() };
        stored.store().transact_and_wait(transaction, WallTime(0)).is_ok()
    }

    pub(crate) fn join(&mut self, one: u128, other: u128) {
        let mut both = self.family(one);
        both.extend(self.family(other));
        both.sort_unstable();
        both.dedup();
        self.families.retain(|family| !family.iter().any(|member| both.contains(member)));
        self.families.push(both);
    }

    /// Overwrites every value of a kind with nonsense, or with what it was before.
    pub(crate) fn damage(&mut self, space: u8) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let keys: Vec<_> = self.values.range(vec![space]..vec![space + 1]).collect();
        let whole: BTreeMap<_, _> =
            keys.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        self.values.extend(whole.keys().map(|key| (key.clone(), vec![0xff; 3])));
        whole
    }

    /// Makes the values of keys that begin so unreadable.
    pub(crate) fn damage_at(&mut self, prefix: &[u8]) {
        let hit = self.values.iter_mut().filter(|(key, _)| key.starts_with(prefix));
        assert!(hit.map(|(_, value)| *value = vec![0xff; 3]).count() > 0, "nothing is there");
    }

    /// How many keys there are of a kind.
    pub(crate) fn count(&self, space: u8) -> usize {
        self.values.range(vec![space]..vec![space + 1]).count()
    }
}

impl Table for Disk {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.read.set(self.read.get() + 1);
        if let Some(stored) = &self.stored {
            return stored.store().value(key).map_err(|error| TableError(Box::new(error)));
        }
        Ok(self.values.get(key).cloned())
    }

    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        self.read.set(self.read.get() + 1);
        if let Some(stored) = &self.stored {
            return stored.store().values(from, to, limit).map_err(|error| TableError(Box::new(error)));
        }
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
