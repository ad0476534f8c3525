//! The one thread that writes the log: group commit.
//!
//! All that waits is written and synced together, and answered after. While a group is on its way
//! to the disk the next one gathers, so that a slow disk makes larger groups and no timer is
//! needed; only where a sync takes long, or under load, is a short wait worth it.

mod batch;
mod folding;
mod place;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use model::{Item, Kind, Record, WallTime};

use self::batch::Batch;
use self::place::Group;
use crate::contacts::{Contacts, HashedAlias};
use crate::duplicates::Duplicates;
use crate::error::Refused;
use crate::folder::{Done, Order};
use crate::format::record_v1::Lesson;
use crate::keyed::Hash;
use crate::log::ring::{Draft, Placed, Ring, WriteError};
use crate::options::Options;
use crate::state::TailEntry;
use crate::store::Shared;

/// A store that nobody writes to is folded once a day, so that age still counts.
const FOLD_IDLE: Duration = Duration::from_secs(24 * 3600);
/// So many groups refused one after another, each in another segment, and the disk is given up.
const FAILURES_MAX: u32 = 3;

/// Called once with what became of a job.
pub type Answer = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// An item with its hashes, which the caller's thread has worked out.
pub(crate) struct Prepared {
    pub(crate) item: Item,
    pub(crate) event: Hash,
    pub(crate) aliases: Vec<HashedAlias>,
}

/// What a webhook holds, or a part of it.
pub(crate) struct Append {
    pub(crate) items: Vec<Prepared>,
    pub(crate) received_at: WallTime,
    pub(crate) bytes: usize,
    pub(crate) answer: Answer,
    /// Shared by the parts of a webhook: one was refused. Those behind it must be refused, too, or
    /// they'd get their places before it when the webhook comes again.
    pub(crate) refused: Option<Arc<AtomicBool>>,
}

impl Append {
    /// Whether a part before this one was refused.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| refused.load(Ordering::Acquire))
    }
}

/// What the writer is asked to do.
pub(crate) enum Job {
    Append(Append),
    /// There are marks in the shared state: durable with the next group, or soon.
    Marks,
    /// Answers when everything before it is durable.
    Flush(Answer),
    /// Answers when everything before it is in redb.
    Fold(Answer),
    /// Looks whether a fold is done.
    Wake,
    Close,
}

impl Job {
    /// Answers who waits that nothing came of it.
    pub(crate) fn refuse(self, refused: Refused) {
        match self {
            Self::Append(Append { answer, .. }) | Self::Flush(answer) | Self::Fold(answer) => {
                answer(Err(refused));
            }
            Self::Marks | Self::Wake | Self::Close => {}
        }
    }
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Options,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) orders: SyncSender<Order>,
    pub(crate) done: Receiver<Done>,
    pub(crate) ring: Ring,
    pub(crate) duplicates: Duplicates,
    pub(crate) contacts: Contacts,
    pub(crate) next_sequence: u64,
    pub(crate) day: u64,
    /// Time that the box had seen pass when the store was opened, and when that was.
    pub(crate) seen_before_ms: u64,
    pub(crate) opened: Instant,
    pub(crate) random: ring::rand::SystemRandom,
    pub(crate) held: Option<Job>,
    pub(crate) folding: bool,
    /// Floor and next sequence of the last fold that was ordered.
    pub(crate) last_fold_at: (u64, u64),
    /// The budget is nearly used up, and another fold would make room.
    pub(crate) crowded: bool,
    /// A wait for a free segment was in vain, and no fold has come through since.
    pub(crate) stalled: bool,
    pub(crate) fold_waiters: Vec<Answer>,
    pub(crate) last_fold: Instant,
    pub(crate) oldest_unfolded: Option<Instant>,
    pub(crate) marks_since: Option<Instant>,
    pub(crate) failures: u32,
    /// Webhooks in the last group.
    pub(crate) company: usize,
    /// Comes by for marks without being called.
    pub(crate) lingers: bool,
}

impl Writer {
    pub(crate) fn run(mut self) {
        loop {
            let batch = self.gather();
            let close = batch.close;
            self.commit(batch);
            self.collect_fold();
            self.fold_if_due();
            self.sync_marks_if_due(close);
            if close {
                while let Ok(job) = self.jobs.try_recv() {
                    job.refuse(Refused::Closed);
                }
                // The folder stops by itself when this end of its channel is gone.
                let _ = self.orders.try_send(Order::Close);
                return;
            }
        }
    }

    fn seen_ms(&self) -> u64 {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen_before_ms.saturating_add(since)
    }

    /// Writes one group and answers everybody in it.
    fn commit(&mut self, batch: Batch) {
        let Batch { appends, flushes, .. } = batch;
        let mut group = Group::default();
        let mut answers = flushes;
        let sync_asked = !answers.is_empty();
        let (mut intake, marks) = {
            let mut state = self.shared.lock();
            (self.intake(&state), state.marks.take())
        };
        self.company = appends.len();
        self.lingers = true;
        for append in appends {
            if append.is_cut_off() {
                Job::Append(append).refuse(Refused::Busy);
                continue;
            }
            let Append { items, received_at, answer, .. } = append;
            let taken = intake.and_then(|()| self.place(items, received_at, &mut group));
            if taken == Err(Refused::Disk) {
                // An index that can't be read isn't asked again for each of them.
                intake = taken;
            }
            match taken {
                Ok(()) => answers.push(answer),
                Err(refused) => answer(Err(refused)),
            }
        }
        if group.duplicates > 0 {
            self.shared.lock().counters.duplicates += group.duplicates;
        }
        for mark in &marks {
            group.drafts.push(Draft::mark(mark));
        }
        if !marks.is_empty() {
            self.oldest_unfolded.get_or_insert_with(Instant::now);
        }
        let records = !group.order.is_empty();
        let sync = records || sync_asked;
        let result = if group.drafts.is_empty() && !(sync && self.ring.is_unsynced()) {
            Ok(())
        } else {
            self.write(group, sync)
        };
        if sync && result.is_ok() {
            self.marks_since = None;
        } else if !marks.is_empty() {
            self.marks_since.get_or_insert_with(Instant::now);
        }
        for answer in answers {
            answer(result);
        }
    }

    fn write(&mut self, group: Group, sync: bool) -> Result<(), Refused> {
        let Group { drafts, records, order, learned, kinds, .. } = group;
        let bytes = drafts.iter().map(|draft| draft.body.len() as u64 + 64).sum();
        self.wait_for_room(bytes)?;
        let seen_ms = self.seen_ms();
        match self.ring.write(drafts, seen_ms, sync) {
            Ok(placed) => {
                self.failures = 0;
                for event in order {
                    self.duplicates.insert(event);
                }
                for lesson in &learned {
                    self.contacts.learn(lesson);
                }
                self.publish(&placed, records, kinds, &learned, seen_ms, sync);
                Ok(())
            }
            Err(WriteError::NoRoom) => Err(self.no_room()),
            Err(WriteError::Disk(error)) => {
                self.failures += 1;
                let broken = self.failures >= FAILURES_MAX;
                tracing::error!(%error, broken, "the intake log can't be written; the group was refused");
                let mut state = self.shared.lock();
                state.counters.write_failures += 1;
                state.broken |= broken;
                Err(Refused::Disk)
            }
        }
    }

    fn publish(
        &mut self,
        placed: &[Placed],
        records: Vec<Arc<Record>>,
        kinds: [u64; Kind::ALL.len()],
        learned: &[Lesson],
        seen_ms: u64,
        sync: bool,
    ) {
        let newest = {
            let mut state = self.shared.lock();
            for place in placed {
                let entry = TailEntry {
                    sequence: place.sequence,
                    generation: place.generation,
                    offset: place.offset,
                    length: place.length,
                    seen_ms,
                };
                state.add(entry, !self.options.deliver);
            }
            for record in records {
                state.hand.push(record);
            }
            state.seen_ms = seen_ms;
            for lesson in learned {
                state.joined.extend(lesson.joined.iter().map(|from| (*from, lesson.contact)));
            }
            for (count, more) in state.counters.records.iter_mut().zip(kinds) {
                *count += more;
            }
            state.counters.groups += u64::from(sync);
            state.counters.log_bytes_written = self.ring.written();
            state.newest
        };
        if !placed.is_empty() {
            self.oldest_unfolded.get_or_insert_with(Instant::now);
            (self.shared.on_durable)(model::Sequence(newest));
        }
    }
}
