//! The one thread that writes the log: group commit.
//!
//! All that waits is written and synced together, and answered after. While a group is on its way
//! to the disk the next one gathers, so that a slow disk makes larger groups and no timer is
//! needed; only where a sync takes long, or under load, is a short wait worth it.

mod batch;
mod folding;
mod place;
mod transact;
pub(crate) mod window;
mod work;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use self::batch::Batch;
use self::place::{Group, Taken};
pub use self::work::Answer;
pub(crate) use self::work::{Append, Job, Own, Prepared, Transact, Work};
use crate::contacts::Contacts;
use crate::duplicates::Duplicates;
use crate::error::Refused;
use crate::folder::{Done, Order};
use crate::log::ring::{Draft, Placed, Ring, WriteError};
use crate::options::Options;
use crate::state::TailEntry;
use crate::store::Shared;

/// A store that nobody writes to is folded once a day, so that age still counts.
const FOLD_IDLE: Duration = Duration::from_secs(24 * 3600);
/// So many groups refused one after another, each in another segment, and the disk is given up.
const FAILURES_MAX: u32 = 3;

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
    /// Webhooks and transactions in the last group.
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
        let Batch { work, flushes, pings, .. } = batch;
        let mut group = Group::default();
        let mut answers = flushes;
        let sync_asked = !answers.is_empty();
        let transacts = work.iter().any(|work| matches!(work, Work::Transact(_)));
        let room = if transacts { self.wait_for_values() } else { Ok(()) };
        let (mut intake, marks) = {
            let mut state = self.shared.lock();
            (self.intake(&state), state.marks.take())
        };
        self.company = work.len();
        self.lingers = true;
        for work in work {
            answers.extend(match work {
                Work::Append(append) => self.take_webhook(append, &mut intake, &mut group),
                Work::Transact(transact) => self.take_transaction(*transact, &mut intake, room, &mut group),
            });
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
        let sync = !group.order.is_empty() || group.taken.own.transactions > 0 || sync_asked;
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
        for answer in pings {
            answer(Ok(()));
        }
    }

    /// Gives a webhook its place in `group`, and back who is to be answered with it; `None` where it
    /// was refused.
    fn take_webhook(
        &mut self,
        append: Append,
        intake: &mut Result<(), Refused>,
        group: &mut Group,
    ) -> Option<Answer> {
        if append.is_cut_off() {
            Work::Append(append).refuse(Refused::Busy);
            return None;
        }
        let Append { items, received_at, answer, .. } = append;
        let taken = intake.and_then(|()| self.place(items, received_at, group));
        if taken == Err(Refused::Disk) {
            // An index that can't be read isn't asked again for each of them.
            *intake = taken;
        }
        match taken {
            Ok(()) => Some(answer),
            Err(refused) => {
                answer(Err(refused));
                None
            }
        }
    }

    fn write(&mut self, group: Group, sync: bool) -> Result<(), Refused> {
        let Group { drafts, order, taken, .. } = group;
        let bytes = drafts.iter().map(|draft| draft.body.len() as u64 + 64).sum();
        self.wait_for_room(bytes)?;
        let seen_ms = self.seen_ms();
        match self.ring.write(drafts, seen_ms, sync) {
            Ok(placed) => {
                self.failures = 0;
                for event in order {
                    self.duplicates.insert(event);
                }
                for lesson in &taken.learned {
                    self.contacts.learn(lesson);
                }
                self.publish(&placed, taken, seen_ms, sync);
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
                drop(state);
                if taken.own.transactions > 0 {
                    self.disown();
                }
                Err(Refused::Disk)
            }
        }
    }

    fn publish(&mut self, placed: &[Placed], taken: Taken, seen_ms: u64, sync: bool) {
        let Taken { records, kinds, learned, own } = taken;
        if !placed.is_empty() || own.transactions > 0 {
            self.oldest_unfolded.get_or_insert_with(Instant::now);
        }
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
            state.flush_time = self.ring.flush_time();
            for lesson in &learned {
                state.people.learn(lesson);
            }
            own.publish(&mut state);
            for (count, more) in state.counters.records.iter_mut().zip(kinds) {
                *count += more;
            }
            state.counters.groups += u64::from(sync);
            state.counters.log_bytes_written = self.ring.written();
            state.newest
        };
        if !placed.is_empty() {
            (self.shared.on_durable)(model::Sequence(newest));
        }
    }
}
