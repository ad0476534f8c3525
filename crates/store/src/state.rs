//! What writer, folder and readers share: the tail's index, and what became of records.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{ContactId, Kind, Record};

use crate::dead::{self, DeadChange, DeadChanges, Letter};
use crate::format::entry::Mark;
use crate::hand::Hand;
use crate::marks::Marks;
use crate::people::People;
use crate::settled::Settled;
use crate::spoiled::Spoiled;
use crate::unread::Unread;
use crate::values::Values;

/// A durable record that isn't in redb yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TailEntry {
    pub(crate) sequence: u64,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) seen_ms: u64,
}

impl TailEntry {
    /// Whether both are packed in the same place.
    pub(crate) const fn is_beside(&self, other: &Self) -> bool {
        self.generation == other.generation && self.offset == other.offset
    }
}

/// Why the last fold didn't get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoldProblem {
    /// No room for it, even after delivered history went.
    DiskFull,
    /// redb or the disk refused.
    Failed,
}

/// Counts since the start, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Groups made durable.
    pub groups: u64,
    /// Events recognised as seen before.
    pub duplicates: u64,
    /// Events taken, by kind in the order of [`model::Kind::ALL`].
    pub records: [u64; Kind::ALL.len()],
    /// Folds into redb.
    pub folds: u64,
    /// Folds that failed and were tried again.
    pub fold_failures: u64,
    /// Groups that the disk refused.
    pub write_failures: u64,
    /// Places in the log where something acknowledged may be missing; found at a start.
    pub holes: u64,
    /// Records and groups that couldn't be read and were set aside.
    pub damaged: u64,
    /// Of `holes` and `damaged` together, those that a version that stayed had set aside before.
    pub known: u64,
    /// Blocks of delivered history that went before their time, for want of room.
    pub dropped_early: u64,
    /// Bytes written to the intake log.
    pub log_bytes_written: u64,
}

/// Who is to be told of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// The writer knows that there are some.
    Nobody,
    /// The writer.
    Writer,
    /// The writer, and there are so many that they're to be waited for.
    AndWait,
}

/// The shared state, behind one lock that is held for moments only.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tail: VecDeque<TailEntry>,
    pub(crate) tail_bytes: u64,
    pub(crate) settled: Settled,
    pub(crate) hand: Hand,
    pub(crate) marks: Marks,
    pub(crate) unread: Unread,
    pub(crate) spoiled: Spoiled,
    pub(crate) pending: u64,
    /// The newest sequence that was given out, or may have been; 0 before the first.
    pub(crate) newest: u64,
    /// Every sequence up to this one is a record or will never be: lower than `newest` where the disk
    /// doesn't give out the end of the log, since the records in there are back once it does.
    pub(crate) certain: u64,
    pub(crate) dead: DeadChanges,
    /// Changes whenever a dead letter is to be sent again.
    pub(crate) replays: u64,
    pub(crate) people: People,
    pub(crate) values: Values,
    pub(crate) content_bytes: u64,
    pub(crate) records: u64,
    pub(crate) dropped: u64,
    pub(crate) seen_ms: u64,
    /// What a sync takes, smoothed; known after the first.
    pub(crate) flush_time: Option<std::time::Duration>,
    pub(crate) problem: Option<FoldProblem>,
    pub(crate) broken: bool,
    pub(crate) counters: Counters,
}

impl State {
    /// Takes in a durable record. `settled` where nothing is to be delivered.
    pub(crate) fn add(&mut self, entry: TailEntry, settled: bool) {
        // Sequences that went down with a refused group are never records.
        if entry.sequence > self.newest + 1 {
            self.settled.insert_range(self.newest + 1, entry.sequence - 1);
        }
        self.newest = entry.sequence;
        self.certain = entry.sequence;
        if !self.tail.back().is_some_and(|last| last.is_beside(&entry)) {
            self.tail_bytes += u64::from(entry.length);
        }
        self.tail.push_back(entry);
        self.pending += 1;
        if settled {
            self.settle(entry.sequence);
        }
    }

    /// Takes in what became of records and leaves it for the writer, and says who has to be told.
    pub(crate) fn mark(&mut self, mark: Mark) -> Call {
        self.apply(&mark);
        let call = self.marks.push(mark);
        if self.marks.is_full() {
            Call::AndWait
        } else if call {
            Call::Writer
        } else {
            Call::Nobody
        }
    }

    /// Takes in what became of records.
    pub(crate) fn apply(&mut self, mark: &Mark) {
        match mark {
            Mark::Settled(sequences) => {
                for sequence in sequences {
                    self.used(*sequence);
                    if !self.settle(*sequence) {
                        // Settled before: a dead letter that has got through after all.
                        self.dead.insert(*sequence, DeadChange::Gone);
                    }
                }
            }
            Mark::Dead { sequence, reason, status, attempts, at_ms } => {
                self.used(*sequence);
                self.settle(*sequence);
                let letter =
                    Letter { reason: reason.clone(), status: *status, attempts: *attempts, at_ms: *at_ms };
                self.dead.insert(*sequence, DeadChange::Put { letter, retry: false });
            }
            Mark::Retry { sequence } => {
                dead::retry(&mut self.dead, *sequence);
                self.replays += 1;
            }
            Mark::Dropped { sequence } => {
                self.dead.insert(*sequence, DeadChange::Gone);
            }
            Mark::Sealed { burned, .. } => {
                if let Some((first, last)) = burned {
                    self.settled.insert_range(*first, *last);
                    self.used(*last);
                }
            }
        }
    }

    /// Notes at the end of a replay that `count` sequences behind the newest may have been given out, to
    /// records that aren't here today.
    pub(crate) fn burn(&mut self, count: u64) {
        if count == 0 {
            self.certain = self.newest;
        } else {
            self.used(self.newest.saturating_add(count));
        }
    }

    /// Notes that a sequence was given out, though its record is lost: it is never used again.
    fn used(&mut self, sequence: u64) {
        if sequence > self.newest {
            self.settled.insert_range(self.newest + 1, sequence);
            self.newest = sequence;
        }
    }

    fn settle(&mut self, sequence: u64) -> bool {
        let new = self.settled.insert(sequence);
        if new {
            self.pending = self.pending.saturating_sub(1);
            self.hand.trim(&self.settled);
        }
        new
    }

    /// A record under the contact that its own was joined with since.
    pub(crate) fn shown(&self, mut record: Arc<Record>) -> Arc<Record> {
        if !self.people.have_joined() {
            return record;
        }
        let contact = record.contact_id.as_ref().and_then(ContactId::to_bits);
        let root = contact.map(|contact| (contact, self.people.root(contact)));
        if let Some((_, root)) = root.filter(|(contact, root)| contact != root) {
            Arc::make_mut(&mut record).contact_id = Some(ContactId::from_bits(root));
        }
        record
    }

    /// The first record that isn't folded, or what would be it.
    pub(crate) fn first_unfolded(&self) -> u64 {
        self.tail.front().map_or(self.newest + 1, |entry| entry.sequence)
    }

    /// Bytes that count against the budget.
    pub(crate) const fn live_bytes(&self) -> u64 {
        self.content_bytes + self.tail_bytes + self.values.bytes()
    }

    /// Forgets tail entries up to `sequence`, which are in redb now.
    pub(crate) fn folded(&mut self, sequence: u64) {
        while self.tail.front().is_some_and(|entry| entry.sequence <= sequence) {
            let Some(entry) = self.tail.pop_front() else { break };
            if !self.tail.front().is_some_and(|next| next.is_beside(&entry)) {
                self.tail_bytes -= u64::from(entry.length);
                self.unread.forget(&entry);
            }
        }
    }
}
