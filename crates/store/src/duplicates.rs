//! Which events the box has seen: two are the same when `source` and `id` are.
//!
//! Two levels. What came lately is a set in memory, stored as sorted runs (one a fold, so that
//! storing it is cheap); when it has grown, or the day is over, it goes into a tree of that day in
//! redb, in one commit. Days are days that the box saw pass, and a day's tree is dropped whole.

use redb::{ReadOnlyTable, ReadTransaction};

use crate::index::schema;
use crate::keyed::{Hash, HashSet};

/// Hashes kept in memory at most; some 4 MiB as a set.
pub(crate) const RECENT_MAX: usize = 100_000;
/// Milliseconds in a day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The day of a time that the box saw pass.
pub(crate) const fn day_of(seen_ms: u64) -> u64 {
    seen_ms / DAY_MS
}

/// The memory of what was seen.
#[derive(Default)]
pub(crate) struct Duplicates {
    /// Not yet in a tree.
    recent: HashSet,
    /// Of these, not yet in redb at all.
    unfolded: Vec<Hash>,
    trees: Vec<ReadOnlyTable<Hash, ()>>,
}

impl Duplicates {
    /// Takes a run that was stored.
    pub(crate) fn load(&mut self, run: &[u8]) {
        self.recent.extend(run.as_chunks::<16>().0);
    }

    /// Reads trees through `transaction` from now on.
    pub(crate) fn refresh(&mut self, transaction: &ReadTransaction) -> Result<(), redb::Error> {
        self.trees = schema::duplicate_days(transaction)?
            .into_iter()
            .map(|day| transaction.open_table(schema::duplicates(&schema::duplicates_name(day))))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Whether the event was seen.
    pub(crate) fn contains(&self, hash: &Hash) -> Result<bool, redb::Error> {
        if self.recent.contains(hash) {
            return Ok(true);
        }
        // A redelivery is likelier to be of today than of last week.
        for tree in self.trees.iter().rev() {
            if tree.get(hash)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes an event that is durable.
    pub(crate) fn insert(&mut self, hash: Hash) {
        if self.recent.insert(hash) {
            self.unfolded.push(hash);
        }
    }

    /// What a fold is to store: the new ones, or all of them where they're to go into a tree.
    pub(crate) fn snapshot(&self, close_day: bool) -> DuplicatesFold {
        if close_day || self.recent.len() >= RECENT_MAX {
            let mut all: Vec<Hash> = self.recent.iter().copied().collect();
            all.sort_unstable();
            DuplicatesFold { hashes: all, into_tree: true, unfolded: self.unfolded.len() }
        } else {
            let mut run = self.unfolded.clone();
            run.sort_unstable();
            DuplicatesFold { hashes: run, into_tree: false, unfolded: self.unfolded.len() }
        }
    }

    /// A snapshot is in redb.
    pub(crate) fn folded(&mut self, fold: &DuplicatesFold) {
        self.unfolded.drain(..fold.unfolded.min(self.unfolded.len()));
        if fold.into_tree {
            self.recent = self.unfolded.iter().copied().collect();
        }
    }
}

/// The part of a fold that concerns duplicates.
pub(crate) struct DuplicatesFold {
    pub(crate) hashes: Vec<Hash>,
    /// Into the tree of the day, in place of all runs.
    pub(crate) into_tree: bool,
    unfolded: usize,
}
