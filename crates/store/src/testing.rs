//! A disk for the tests of those who build on the store: its plug can be pulled, and it can fail.
//!
//! With the feature `test-util` alone. What was written and not synced may be there after a power cut,
//! be missing, or be there in part, block by block and in any order.

use std::sync::Arc;

use crate::disk::simulated::{self, Fault};
use crate::{OpenError, Options, Store};

/// A store so small that everything rolls over within a handful of records: 3 segments of 256 KiB,
/// folded every 24 records or 96 KiB of log.
#[must_use]
pub fn small() -> Options {
    Options {
        segment_bytes: 256 << 10,
        segments: 3,
        fold_records: 24,
        fold_bytes: 96 << 10,
        cache_bytes: 1 << 20,
        ..Options::default()
    }
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk(simulated::SimulatedDisk);

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// An empty disk that works.
    #[must_use]
    pub fn new() -> Self {
        Self(simulated::SimulatedDisk::new())
    }

    /// Opens the store on it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, options: Options) -> Result<Store, OpenError> {
        Store::open(Arc::new(self.0.clone()), options, Box::new(|_| {}))
    }

    /// Operations so far: writes and syncs, of the log and of the index. The number of the next.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.operations()
    }

    /// Lets the operation with that number fail, once.
    pub fn fail_at(&self, operation: u64) {
        self.0.inject(operation, Fault::ErrorOnce);
    }

    /// Lets no operation from that number on reach the disk.
    pub fn cut_power_at(&self, operation: u64) {
        self.0.inject(operation, Fault::PowerCut);
    }

    /// From that number on there's no room for the index, `times` operations long.
    pub fn fill_at(&self, operation: u64, times: u64) {
        self.0.inject(operation, Fault::FullFor(times));
    }

    /// Takes back what was asked for with one of these.
    pub fn mend(&self) {
        self.0.inject(u64::MAX, Fault::ErrorOnce);
    }

    /// The disk as it is found after the plug was pulled; `seed` chooses what became of writes that
    /// weren't synced. The store on this one may still be open, and is of no consequence any more.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Self {
        Self(self.0.after_power_cut(seed))
    }

    /// The disk as another process finds it after this one was killed.
    #[must_use]
    pub fn kill(&self) -> Self {
        Self(self.0.after_kill())
    }
}

#[cfg(test)]
mod tests {
    use model::WallTime;

    use super::*;
    use crate::{Change, Refused, Transaction};

    fn put(store: &Store, value: u8) -> Result<(), Refused> {
        let changes = vec![Change { key: b"key".to_vec(), value: Some(vec![value]) }];
        store.transact_and_wait(Transaction { changes, ..Transaction::default() }, WallTime(0))
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let disk = SimulatedDisk::new();
        let store = disk.open(small()).unwrap();
        put(&store, 1).unwrap();
        disk.fail_at(disk.operations());
        assert_eq!(put(&store, 2), Err(Refused::Disk));
        put(&store, 3).unwrap();
        disk.fill_at(disk.operations(), 3);
        put(&store, 4).unwrap();
        store.fold().unwrap();
        disk.mend();
        disk.cut_power_at(disk.operations());
        assert!(put(&store, 5).is_err());
        assert!(disk.open(small()).is_err());
        let value = |disk: &SimulatedDisk| disk.open(small()).unwrap().value(b"key").unwrap();
        // What was on its way may have arrived.
        assert!(matches!(value(&disk.power_cut(0)).as_deref(), Some([4 | 5])));
        let running = disk.power_cut(1);
        let store = running.open(small()).unwrap();
        put(&store, 6).unwrap();
        assert_eq!(value(&running.kill()), Some(vec![6]));
    }
}
