//! Dead letters as the outside asks for them: redb's, and what changed since the last fold.

use std::sync::Arc;

use model::{Record, Sequence, WallTime};

use crate::Store;
use crate::dead::{self, DeadChange, DeadLetter, Letter};
use crate::error::{ReadError, Refused};
use crate::format::entry::Mark;
use crate::index::schema;

/// Of what the CRM says so many characters are kept.
const REASON_MAX: usize = 500;

impl Store {
    /// Notes that the CRM has refused this one for good.
    pub fn give_up(
        &self,
        sequence: Sequence,
        reason: &str,
        status: Option<u16>,
        attempts: u32,
        at: WallTime,
    ) {
        let reason: String = reason.chars().take(REASON_MAX).collect();
        self.mark(Mark::Dead { sequence: sequence.0, reason, status, attempts, at_ms: at.0 });
    }

    /// Has a dead letter sent again; durable when this returns.
    ///
    /// # Errors
    /// As for an append. A letter that isn't there is no error; ask [`Store::dead_letter`] first.
    pub fn retry_dead_letter(&self, sequence: Sequence) -> Result<(), Refused> {
        self.mark_now(Mark::Retry { sequence: sequence.0 })
    }

    /// Throws a dead letter away; durable when this returns.
    ///
    /// # Errors
    /// As for an append.
    pub fn drop_dead_letter(&self, sequence: Sequence) -> Result<(), Refused> {
        self.mark_now(Mark::Dropped { sequence: sequence.0 })
    }

    /// Dead letters behind `after`, in order of sequence, at most `limit`; only those that are to
    /// be sent again where `retrying`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letters(
        &self,
        after: Sequence,
        limit: usize,
        retrying: bool,
    ) -> Result<Vec<DeadLetter>, ReadError> {
        let mut letters = Vec::new();
        let mut after = after.0;
        while letters.len() < limit {
            let Some(sequence) = self.next_letter(after, retrying)? else { break };
            after = sequence;
            if let Some(letter) =
                self.dead_letter(Sequence(sequence))?.filter(|letter| !retrying || letter.retrying)
            {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    /// The next place behind `after` where a letter may be.
    fn next_letter(&self, after: u64, retrying: bool) -> Result<Option<u64>, ReadError> {
        let changed = self.shared.lock().dead.range(after + 1..).next().map(|(sequence, _)| *sequence);
        let transaction = self.shared.index.begin_read()?;
        let stored = if retrying {
            let table = transaction.open_table(schema::RETRIES)?;
            table.range(after + 1..)?.next().transpose()?.map(|(sequence, _)| sequence.value())
        } else {
            let table = transaction.open_table(schema::DEAD)?;
            table.range(after + 1..)?.next().transpose()?.map(|(sequence, _)| sequence.value())
        };
        Ok(match (changed, stored) {
            (Some(changed), Some(stored)) => Some(changed.min(stored)),
            (changed, stored) => changed.or(stored),
        })
    }

    /// One dead letter.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letter(&self, sequence: Sequence) -> Result<Option<DeadLetter>, ReadError> {
        let change = self.shared.lock().dead.get(&sequence.0).cloned();
        if change == Some(DeadChange::Gone) {
            return Ok(None);
        }
        let transaction = self.shared.index.begin_read()?;
        let stored = transaction.open_table(schema::DEAD)?.get(sequence.0)?;
        let stored = stored.and_then(|bytes| dead::from_bytes(sequence.0, bytes.value()).ok());
        let retrying = transaction.open_table(schema::RETRIES)?.get(sequence.0)?.is_some();
        let (letter, record, retrying) = match (change, stored) {
            (Some(DeadChange::Put { letter, retry }), stored) => {
                let record = match stored.and_then(|(_, record)| record) {
                    Some(record) => Some(record),
                    None => self.record(sequence)?,
                };
                (letter, record, retry)
            }
            (Some(DeadChange::Retry), Some((letter, record))) => (letter, record, true),
            (None, Some((letter, record))) => (letter, record, retrying),
            (Some(DeadChange::Retry | DeadChange::Gone) | None, _) => return Ok(None),
        };
        let Letter { reason, status, attempts, at_ms } = letter;
        Ok(Some(DeadLetter { record, sequence, reason, status, attempts, at: WallTime(at_ms), retrying }))
    }

    /// Dead letters, how many.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letter_count(&self) -> Result<u64, ReadError> {
        use redb::ReadableTableMetadata as _;
        let changes: Vec<(u64, bool)> = {
            let state = self.shared.lock();
            let is_put = |change: &DeadChange| matches!(change, DeadChange::Put { .. });
            let relevant = state.dead.iter().filter(|(_, change)| **change != DeadChange::Retry);
            relevant.map(|(sequence, change)| (*sequence, is_put(change))).collect()
        };
        let transaction = self.shared.index.begin_read()?;
        let table = transaction.open_table(schema::DEAD)?;
        let mut count = table.len()?;
        for (sequence, put) in changes {
            match (put, table.get(sequence)?.is_some()) {
                (true, false) => count += 1,
                (false, true) => count -= 1,
                _ => {}
            }
        }
        Ok(count)
    }

    /// Dead letters behind `after` that are to be sent again, as records with `replayed` set.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replays(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Record>>, ReadError> {
        let letters = self.dead_letters(after, limit, true)?;
        let replay = |letter: DeadLetter| {
            letter.record.map(|record| Arc::new(Record { replayed: true, ..Record::clone(&record) }))
        };
        Ok(letters.into_iter().filter_map(replay).collect())
    }
}
