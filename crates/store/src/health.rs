//! How the store is doing.

use crate::Store;
use crate::state::{Counters, FoldProblem};

/// How the store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Counts since the start.
    pub counters: Counters,
    /// Bytes that count against the budget.
    pub live_bytes: u64,
    /// Bytes that the index takes on the disk.
    pub index_bytes: u64,
    /// Bytes handed to the index file since the start.
    pub index_bytes_written: u64,
    /// Bytes that the intake log takes on the disk.
    pub log_bytes: u64,
    /// Records in the tail that aren't folded yet.
    pub tail_records: u64,
    /// Records kept, the tail included.
    pub records: u64,
    /// The last fold failed because the disk is full.
    pub disk_full: bool,
    /// The budget is used up by what isn't delivered.
    pub over_budget: bool,
    /// The last fold failed for another reason than a full disk.
    pub fold_failing: bool,
    /// The disk has refused too often: the process should be restarted.
    pub broken: bool,
}

impl Store {
    /// How the store is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        let index_bytes = self.shared.disk.index_bytes().unwrap_or(0);
        let geometry = self.shared.geometry;
        let state = self.shared.lock();
        Health {
            counters: state.counters,
            live_bytes: state.live_bytes(),
            index_bytes,
            log_bytes: u64::from(geometry.segments) * geometry.segment_bytes,
            index_bytes_written: self.shared.index.written(),
            tail_records: state.tail.len() as u64,
            records: state.records + state.tail.len() as u64,
            disk_full: state.problem == Some(FoldProblem::DiskFull),
            over_budget: state.live_bytes() >= self.shared.max_bytes,
            fold_failing: state.problem == Some(FoldProblem::Failed),
            broken: state.broken,
        }
    }

    /// Whether the budget is used up, as [`Health::over_budget`]; asks no disk.
    #[must_use]
    pub fn is_over_budget(&self) -> bool {
        self.shared.lock().live_bytes() >= self.shared.max_bytes
    }
}
