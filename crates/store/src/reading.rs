//! Reading the journal: pages for who pulls, what is undelivered for who delivers.

use std::sync::Arc;

use model::{Record, Sequence, WallTime};

use crate::Store;
use crate::error::ReadError;
use crate::hand::bytes_of;
use crate::index::schema;
use crate::view::{self, Flow, Seen};

/// What a page of the journal is to hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query {
    /// Only records behind this one; from the oldest on where it is `None`.
    pub after: Option<Sequence>,
    /// At most so many records.
    pub limit: usize,
    /// At most about so many bytes.
    pub bytes: usize,
}

/// A page of the journal.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, in order.
    pub records: Vec<Arc<Record>>,
    /// Where the next page begins; never behind a record that may still appear. Who goes on from here
    /// arrives at `newest`.
    pub next: Sequence,
    /// The oldest record that is kept, or the place of the next where there is none.
    pub oldest: Sequence,
    /// As [`Store::newest`] when the page was begun.
    pub newest: Sequence,
}

/// How much waits, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Records that aren't settled.
    pub pending: u64,
    /// When the oldest of them was received, by the box's clock then.
    pub oldest_received_at: Option<WallTime>,
}

/// Records that one look at the journal goes through at most when it filters.
const SCAN_MAX: usize = 10_000;

impl Store {
    /// A page of the journal: the records that `wanted` takes.
    ///
    /// # Errors
    /// [`ReadError::Gone`] where `after` is outside of what is kept, or what the disk says.
    pub fn page(&self, query: &Query, wanted: &dyn Fn(&Record) -> bool) -> Result<Page, ReadError> {
        let (dropped, newest, given_out) = {
            let state = self.shared.lock();
            (state.dropped, state.certain, state.newest)
        };
        let oldest = Sequence(dropped + 1);
        let after = query.after.unwrap_or(Sequence(dropped));
        if after.0 < dropped || after.0 > given_out {
            return Err(ReadError::Gone { oldest, newest: Sequence(newest) });
        }
        let mut page = Page { records: Vec::new(), next: after, oldest, newest: Sequence(newest) };
        let mut bytes = 0;
        let mut looked = 0;
        let mut flow = Flow::On;
        let outcome = view::scan(&self.shared, after.0, &|_, _| true, &mut |seen| {
            looked += 1;
            match seen {
                Seen::Record(record) => {
                    if wanted(record) {
                        bytes += bytes_of(record);
                        if !page.records.is_empty() && bytes > query.bytes {
                            flow = Flow::Stop;
                            return flow;
                        }
                        page.records.push(Arc::clone(record));
                    }
                    page.next = record.sequence;
                }
                Seen::Damaged { last, .. } => page.next = Sequence(last),
            }
            if page.records.len() >= query.limit || looked >= SCAN_MAX {
                flow = Flow::Stop;
            }
            flow
        });
        // The journal may end with sequences that are no records: of a group that was refused, say.
        // Whoever waited for one of them to be seen would wait for ever.
        let outcome = outcome.and_then(|()| {
            if flow == Flow::On && page.next < page.newest && !self.has_dropped(page.next)? {
                page.next = page.newest;
            }
            Ok(())
        });
        // What was read before the error is a page; the next one begins with the error.
        if page.next == after {
            outcome?;
        }
        Ok(page)
    }

    /// Whether records behind `after` have gone by now, which the reader hasn't seen then.
    fn has_dropped(&self, after: Sequence) -> Result<bool, ReadError> {
        // The index knows before the state does.
        Ok(schema::checkpoint(&self.shared.index.begin_read()?)?.dropped > after.0)
    }

    /// The same as [`Store::undelivered`] from memory alone, for who keeps up with the intake: never
    /// blocks. `None` where the disk has to be asked.
    #[must_use]
    pub fn at_hand(&self, after: Sequence, limit: usize, bytes: usize) -> Option<Vec<Arc<Record>>> {
        let state = self.shared.lock();
        let records = state.hand.after(after, limit, bytes, &state.settled)?;
        Some(records.into_iter().map(|record| state.shown(record)).collect())
    }

    /// Records behind `after` that aren't settled, in order: at most `limit` and about `bytes`.
    ///
    /// # Errors
    /// What the disk says; to be asked again after a while. Records that are damaged, or that the disk has
    /// refused again and again, are set aside, counted and settled; they are no error.
    pub fn undelivered(
        &self,
        after: Sequence,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError> {
        if let Some(records) = self.at_hand(after, limit, bytes) {
            return Ok(records);
        }
        let floor = self.shared.lock().settled.floor();
        let mut records = Vec::new();
        let mut taken = 0;
        let mut lost = Vec::new();
        let mut known = 0;
        let wanted = |first, last| {
            let state = self.shared.lock();
            (first..=last).any(|sequence| !state.settled.contains(sequence))
        };
        let outcome = view::scan(&self.shared, after.0.max(floor), &wanted, &mut |seen| {
            match seen {
                Seen::Record(record) => {
                    if self.shared.lock().settled.contains(record.sequence.0) {
                        return Flow::On;
                    }
                    taken += bytes_of(record);
                    if !records.is_empty() && taken > bytes {
                        return Flow::Stop;
                    }
                    records.push(Arc::clone(record));
                }
                Seen::Damaged { first, last, bytes } => {
                    let state = self.shared.lock();
                    let before = lost.len();
                    lost.extend(
                        (first..=last).filter(|sequence| !state.settled.contains(*sequence)).map(Sequence),
                    );
                    drop(state);
                    if self.shared.set_aside(&format!("record-{first}"), bytes) {
                        known += (lost.len() - before) as u64;
                    }
                }
            }
            if records.len() >= limit { Flow::Stop } else { Flow::On }
        });
        if !lost.is_empty() {
            tracing::error!(records = lost.len(), "records can't be read any more; see the folder `damaged`");
            let mut state = self.shared.lock();
            state.counters.damaged += lost.len() as u64;
            state.counters.known += known;
            drop(state);
            self.settle(&lost);
        }
        // What stands before the error is delivered meanwhile; the next reading begins with the error.
        if records.is_empty() {
            outcome?;
        }
        Ok(records)
    }

    /// How much waits, and since when.
    ///
    /// # Errors
    /// What the disk says.
    pub fn backlog(&self) -> Result<Backlog, ReadError> {
        let pending = self.shared.lock().pending;
        if pending == 0 {
            return Ok(Backlog::default());
        }
        let oldest = self.undelivered(Sequence::START, 1, 1)?;
        Ok(Backlog { pending, oldest_received_at: oldest.first().map(|record| record.received_at) })
    }

    /// One record, wherever it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn record(&self, sequence: Sequence) -> Result<Option<Arc<Record>>, ReadError> {
        let mut found = None;
        view::scan(&self.shared, sequence.0.saturating_sub(1), &|_, _| true, &mut |seen| {
            if let Seen::Record(record) = seen
                && record.sequence == sequence
            {
                found = Some(Arc::clone(record));
            }
            Flow::Stop
        })?;
        Ok(found)
    }
}
