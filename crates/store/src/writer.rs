//! The one thread that writes the log: group commit.
//!
//! All that waits is written and synced together, and answered after. While a group is on its way
//! to the disk the next one gathers, so that a slow disk makes larger groups and no timer is
//! needed; only where a sync takes long is a short wait worth it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use model::{Item, Kind, WallTime};
use ring::rand::SecureRandom as _;

use crate::contacts::{Contacts, GroupLessons, HashedAlias};
use crate::duplicates::{self, Duplicates};
use crate::error::Refused;
use crate::folder::{Done, Order};
use crate::format::entry::{EntryKind, Mark};
use crate::format::record_v1::{self, Lesson};
use crate::index::fold::{Fold, Memory};
use crate::keyed::Hash;
use crate::log::ring::{Draft, Placed, Ring, WriteError};
use crate::options::{GROUP_BYTES, Options};
use crate::state::{FoldProblem, TailEntry};
use crate::store::Shared;

/// A sync that takes longer than this makes waiting for company worth it …
const SLOW_SYNC: Duration = Duration::from_millis(2);
/// … for this part of its time: on a card with 10 ms it nearly doubles what 32 connections reach,
/// and halves the median (measured).
const WINDOW_PART: u32 = 10;
/// So many groups refused one after another, each in another segment, and the disk is given up.
const FAILURES_MAX: u32 = 3;
/// A store that nobody writes to is folded once a day, so that age still counts.
const FOLD_IDLE: Duration = Duration::from_secs(24 * 3600);

/// Called once with what became of a job.
pub type Answer = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// An item with its hashes, which the caller's thread has worked out.
pub(crate) struct Prepared {
    pub(crate) item: Item,
    pub(crate) event: Hash,
    pub(crate) aliases: Vec<HashedAlias>,
}

/// What the writer is asked to do.
pub(crate) enum Job {
    Append {
        items: Vec<Prepared>,
        received_at: WallTime,
        bytes: usize,
        answer: Answer,
    },
    /// Durable with the next group, or soon. The shared state knows it already.
    Mark(Mark),
    /// The same, but durable before the answer.
    MarkNow(Mark, Answer),
    /// Answers when everything before it is durable.
    Flush(Answer),
    /// Answers when everything before it is in redb.
    Fold(Answer),
    /// Looks whether a fold is done.
    Wake,
    Close,
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
    /// A wait for a free segment was in vain, and no fold has come through since.
    pub(crate) stalled: bool,
    pub(crate) fold_waiters: Vec<Answer>,
    /// The floor that the last fold knew.
    pub(crate) folded_floor: u64,
    pub(crate) last_fold: Instant,
    pub(crate) oldest_unfolded: Option<Instant>,
    pub(crate) marks_since: Option<Instant>,
    pub(crate) failures: u32,
}

/// The jobs of one group.
#[derive(Default)]
struct Batch {
    appends: Vec<(Vec<Prepared>, WallTime, Answer)>,
    marks: Vec<Mark>,
    /// Answers that wait for a sync and have nothing of their own to write.
    flushes: Vec<Answer>,
    bytes: usize,
    close: bool,
}

/// Records of a group on their way to the disk.
#[derive(Default)]
struct Group {
    drafts: Vec<Draft>,
    events: HashSet<Hash>,
    order: Vec<Hash>,
    kinds: [u64; 6],
    lessons: GroupLessons,
    learned: Vec<Lesson>,
    duplicates: u64,
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
                // The folder stops by itself when this end of its channel is gone.
                let _ = self.orders.try_send(Order::Close);
                return;
            }
        }
    }

    /// Waits for jobs and takes what is there, up to a group's worth.
    fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let first = match self.held.take() {
            Some(job) => Some(job),
            None => match self.jobs.recv_timeout(self.idle()) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Job::Close),
            },
        };
        let Some(first) = first else { return batch };
        self.take(first, &mut batch);
        self.take_waiting(&mut batch);
        if !batch.appends.is_empty() {
            let window = self.window();
            let deadline = Instant::now() + window;
            while !window.is_zero() && self.held.is_none() && !batch.close {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.jobs.recv_timeout(left) {
                    Ok(job) => self.take(job, &mut batch),
                    Err(_) => break,
                }
            }
        }
        batch
    }

    fn take_waiting(&mut self, batch: &mut Batch) {
        while self.held.is_none() && !batch.close {
            match self.jobs.try_recv() {
                Ok(job) => self.take(job, batch),
                Err(_) => break,
            }
        }
    }

    fn take(&mut self, job: Job, batch: &mut Batch) {
        match job {
            Job::Append { bytes, .. } if batch.bytes > 0 && batch.bytes + bytes > GROUP_BYTES => {
                self.held = Some(job);
            }
            Job::Append { items, received_at, bytes, answer } => {
                batch.bytes += bytes;
                batch.appends.push((items, received_at, answer));
            }
            Job::Mark(mark) => {
                batch.bytes += mark_bytes(&mark);
                batch.marks.push(mark);
            }
            Job::MarkNow(mark, answer) => {
                batch.bytes += mark_bytes(&mark);
                batch.marks.push(mark);
                batch.flushes.push(answer);
            }
            Job::Flush(answer) => batch.flushes.push(answer),
            Job::Fold(answer) => self.fold_waiters.push(answer),
            Job::Wake => {}
            Job::Close => batch.close = true,
        }
    }

    fn window(&self) -> Duration {
        match self.ring.flush_time() {
            Some(flush) if flush > SLOW_SYNC => flush / WINDOW_PART,
            _ => Duration::ZERO,
        }
    }

    fn idle(&self) -> Duration {
        let until =
            |since: Instant, after: Duration| (since + after).saturating_duration_since(Instant::now());
        let mut idle = until(self.last_fold, FOLD_IDLE);
        if let Some(since) = self.marks_since {
            idle = idle.min(until(since, self.options.sync_marks));
        }
        if let Some(since) = self.oldest_unfolded.filter(|_| !self.folding) {
            idle = idle.min(until(since, self.options.fold_every));
        }
        idle
    }

    fn seen_ms(&self) -> u64 {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen_before_ms.saturating_add(since)
    }

    /// Writes one group and answers everybody in it.
    fn commit(&mut self, batch: Batch) {
        let Batch { appends, marks, flushes, .. } = batch;
        let mut group = Group::default();
        let mut answers = flushes;
        let sync_asked = !answers.is_empty();
        let mut intake = self.intake();
        for (items, received_at, answer) in appends {
            let taken = intake.and_then(|()| self.place(items, received_at, &mut group));
            if taken == Err(Refused::Disk) {
                // Later jobs must not build on what the refused one taught about contacts.
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

    /// Whether records are taken at all.
    fn intake(&self) -> Result<(), Refused> {
        let state = self.shared.lock();
        if state.broken {
            Err(Refused::Closed)
        } else if state.live_bytes() >= self.options.max_bytes {
            Err(Refused::Full)
        } else {
            Ok(())
        }
    }

    /// Gives the new ones among `items` their places in `group`. On a refusal the group is as it
    /// was before.
    fn place(
        &mut self,
        items: Vec<Prepared>,
        received_at: WallTime,
        group: &mut Group,
    ) -> Result<(), Refused> {
        let before = (group.drafts.len(), group.order.len(), group.learned.len());
        let kinds = group.kinds;
        for prepared in items {
            if let Err(error) = self.place_one(prepared, received_at, group) {
                tracing::error!(%error, "the index can't be asked whether an event is new");
                group.drafts.truncate(before.0);
                for hash in group.order.drain(before.1..) {
                    group.events.remove(&hash);
                }
                group.learned.truncate(before.2);
                group.kinds = kinds;
                return Err(Refused::Disk);
            }
        }
        Ok(())
    }

    fn place_one(
        &mut self,
        prepared: Prepared,
        received_at: WallTime,
        group: &mut Group,
    ) -> Result<(), redb::Error> {
        let Prepared { item, event, aliases } = prepared;
        if group.events.contains(&event) || self.seen(&event)? {
            group.duplicates += 1;
            return Ok(());
        }
        let lesson = if item.contact.is_some() {
            let fresh = fresh_contact(&self.random, received_at);
            match self.contacts.resolve(&aliases, &group.lessons, fresh) {
                Ok(lesson) => lesson,
                Err(_) => {
                    self.refresh()?;
                    self.contacts.resolve(&aliases, &group.lessons, fresh)?
                }
            }
        } else {
            Lesson::default()
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if let Some(kind) = Kind::ALL.iter().position(|kind| *kind == item.kind) {
            group.kinds[kind] += 1;
        }
        let body = record_v1::to_bytes(&item, received_at, &lesson);
        group.drafts.push(Draft { kind: EntryKind::Record, sequence, body });
        group.lessons.add(&lesson);
        group.learned.push(lesson);
        group.events.insert(event);
        group.order.push(event);
        Ok(())
    }

    /// Whether an event was seen. When redb was opened again since, the readers are renewed.
    fn seen(&mut self, event: &Hash) -> Result<bool, redb::Error> {
        match self.duplicates.contains(event) {
            Ok(seen) => Ok(seen),
            Err(_) => {
                self.refresh()?;
                self.duplicates.contains(event)
            }
        }
    }

    fn refresh(&mut self) -> Result<(), redb::Error> {
        let transaction = self.shared.index.begin_read().map_err(|error| match error {
            crate::ReadError::Index(error) => *error,
            _ => redb::Error::DatabaseClosed,
        })?;
        self.duplicates.refresh(&transaction)?;
        self.contacts.refresh(&transaction)
    }

    fn write(&mut self, group: Group, sync: bool) -> Result<(), Refused> {
        let Group { drafts, order, learned, kinds, .. } = group;
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
                self.publish(&placed, kinds, &learned, seen_ms, sync);
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

    fn publish(&mut self, placed: &[Placed], kinds: [u64; 6], learned: &[Lesson], seen_ms: u64, sync: bool) {
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

    /// Waits a bounded time for a segment to be folded, where none is free.
    fn wait_for_room(&mut self, bytes: u64) -> Result<(), Refused> {
        if self.ring.has_room(bytes) {
            return Ok(());
        }
        self.order_fold();
        self.collect_fold();
        // Who comes after a wait that was in vain isn't kept waiting again.
        let wait = if self.stalled { Duration::ZERO } else { self.options.fold_wait };
        let deadline = Instant::now() + wait;
        while !self.ring.has_room(bytes) {
            self.order_fold();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.done.recv_timeout(left) {
                Ok(done) => self.take_fold(done),
                Err(_) => {
                    self.stalled = true;
                    return Err(self.no_room());
                }
            }
        }
        Ok(())
    }

    fn no_room(&self) -> Refused {
        match self.shared.lock().problem {
            Some(FoldProblem::DiskFull) => Refused::Full,
            Some(FoldProblem::Failed) => Refused::Disk,
            None => Refused::Busy,
        }
    }

    fn collect_fold(&mut self) {
        while let Ok(done) = self.done.try_recv() {
            self.take_fold(done);
        }
    }

    fn take_fold(&mut self, done: Done) {
        let Done { fold, folded } = done;
        self.folding = false;
        self.stalled = false;
        self.last_fold = Instant::now();
        self.day = fold.day;
        self.folded_floor = fold.floor;
        self.ring.set_folded(fold.position);
        self.duplicates.folded(&fold.duplicates);
        self.contacts.folded(&fold.contacts);
        if let Err(error) = self.refresh() {
            tracing::error!(%error, "the index can't be read after a fold");
        }
        let mut state = self.shared.lock();
        state.folded(fold.next_sequence - 1);
        for (sequence, change) in &fold.dead {
            if state.dead.get(sequence) == Some(change) {
                state.dead.remove(sequence);
            }
        }
        state.content_bytes = folded.checkpoint.content_bytes;
        state.records = folded.checkpoint.records;
        state.dropped = state.dropped.max(folded.checkpoint.dropped);
        state.counters.folds += 1;
        state.counters.dropped_early += folded.dropped.early;
        if folded.dropped.early > 0 {
            tracing::warn!(
                blocks = folded.dropped.early,
                "the budget is used up: delivered history went early"
            );
        }
        if !folded.lost.is_empty() {
            tracing::error!(records = folded.lost.len(), "records in the log can't be read any more");
            state.counters.damaged += folded.lost.len() as u64;
            state.apply(&Mark::Settled(folded.lost));
        }
        let clean = state.tail.is_empty() && state.dead.is_empty();
        drop(state);
        self.oldest_unfolded = (!clean).then(Instant::now);
        // Who waits for a fold waits for one that began after the question.
        if self.fold_waiters.is_empty() || clean {
            for answer in self.fold_waiters.drain(..) {
                answer(Ok(()));
            }
        }
    }

    fn fold_if_due(&mut self) {
        if self.folding {
            return;
        }
        let due = {
            let state = self.shared.lock();
            let many = state.tail.len().max(state.dead.len()) >= self.options.fold_records;
            // Only where a fold finds something new: history that can't go yet would be tried again
            // and again, at the price of a commit each.
            let news = !state.tail.is_empty() || state.settled.floor() > self.folded_floor;
            let crowded = state.live_bytes() >= self.options.max_bytes && news;
            many || crowded
        };
        let old = self.oldest_unfolded.is_some_and(|since| since.elapsed() >= self.options.fold_every);
        let long = self.ring.unfolded_bytes() >= self.options.fold_bytes;
        let idle = self.last_fold.elapsed() >= FOLD_IDLE;
        if due || old || long || idle || !self.fold_waiters.is_empty() {
            self.order_fold();
        }
    }

    fn order_fold(&mut self) {
        if self.folding {
            return;
        }
        let seen_ms = self.seen_ms();
        let day = duplicates::day_of(seen_ms);
        let memory =
            Memory { state: &mut self.shared.lock(), duplicates: &self.duplicates, contacts: &self.contacts };
        let fold = Fold::take(memory, self.ring.position(), seen_ms, day, day != self.day);
        self.folding = self.orders.try_send(Order::Fold(Box::new(fold))).is_ok();
    }

    fn sync_marks_if_due(&mut self, close: bool) {
        let due = self.marks_since.is_some_and(|since| close || since.elapsed() >= self.options.sync_marks);
        if !due {
            return;
        }
        self.marks_since = None;
        let seen_ms = self.seen_ms();
        if let Err(error) = self.ring.sync_marks(seen_ms) {
            // They are in memory and go into redb with the next fold; a power cut before it costs
            // repeats, which are allowed.
            tracing::warn!(?error, "delivered marks couldn't be synced");
        }
    }
}

fn mark_bytes(mark: &Mark) -> usize {
    match mark {
        Mark::Settled(sequences) => 64 + sequences.len() * 10,
        Mark::Dead { reason, .. } => 96 + reason.len(),
        Mark::Retry { .. } | Mark::Dropped { .. } | Mark::Sealed { .. } => 64,
    }
}

/// A ULID: when the box first saw the person, and 80 bits of chance.
fn fresh_contact(random: &ring::rand::SystemRandom, seen_at: WallTime) -> u128 {
    let mut chance = [0; 16];
    // Without randomness ids stay unique by their millisecond, which is better than no intake.
    let _ = random.fill(&mut chance[6..]);
    let ms = u128::from(seen_at.0.unsigned_abs()) & 0xFFFF_FFFF_FFFF;
    ms << 80 | u128::from_be_bytes(chance)
}
