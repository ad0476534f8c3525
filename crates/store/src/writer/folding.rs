//! The writer's side of a fold: when one is due, and what changes when it is done.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{FOLD_IDLE, Writer};
use crate::duplicates;
use crate::error::Refused;
use crate::folder::{Done, Order};
use crate::index::fold::{Fold, Memory};
use crate::index::retention;
use crate::state::FoldProblem;

/// Near the end of the budget room is made this often, and not for each record that is delivered;
/// past it, while webhooks are refused, at once.
pub(super) const CROWDED_EVERY: Duration = Duration::from_secs(1);

impl Writer {
    /// Waits a bounded time for a segment to be folded, where none is free.
    pub(super) fn wait_for_room(&mut self, bytes: u64) -> Result<(), Refused> {
        self.wait_for_fold(&|writer| writer.ring.has_room(bytes))
    }

    /// Waits a bounded time for values to be folded, where there are too many in memory.
    pub(super) fn wait_for_values(&mut self) -> Result<(), Refused> {
        self.wait_for_fold(&|writer| !writer.shared.lock().values.is_full())
    }

    fn wait_for_fold(&mut self, is_enough: &dyn Fn(&Self) -> bool) -> Result<(), Refused> {
        if is_enough(self) {
            return Ok(());
        }
        self.order_fold();
        self.collect_fold();
        // Who comes after a wait that was in vain isn't kept waiting again.
        let wait = if self.stalled { Duration::ZERO } else { self.options.fold_wait };
        let deadline = Instant::now() + wait;
        while !is_enough(self) {
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

    pub(super) fn no_room(&self) -> Refused {
        match self.shared.lock().problem {
            Some(FoldProblem::DiskFull) => Refused::Full,
            Some(FoldProblem::Failed) => Refused::Disk,
            None => Refused::Busy,
        }
    }

    pub(super) fn collect_fold(&mut self) {
        while let Ok(done) = self.done.try_recv() {
            self.take_fold(done);
        }
    }

    pub(super) fn take_fold(&mut self, done: Done) {
        let Done { fold, folded } = done;
        self.folding = false;
        self.stalled = false;
        self.last_fold = Instant::now();
        self.day = fold.day;
        self.ring.set_folded(fold.position);
        match self.refresh() {
            Ok(()) => {
                self.duplicates.folded(&fold.duplicates);
                self.contacts.folded(&fold.contacts);
            }
            // What was folded stays in memory too: the old readers don't know it.
            Err(error) => tracing::error!(%error, "the index can't be read after a fold"),
        }
        let mut state = self.shared.lock();
        state.folded(fold.next_sequence - 1);
        state.values.folded();
        state.people.folded(&fold.contacts);
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
        if !self.options.deliver {
            // Who delivers comes to them and counts them; here nobody does.
            state.counters.damaged += folded.lost.iter().map(|lost| lost.records).sum::<u64>();
        }
        if folded.dropped.early > 0 {
            tracing::warn!(
                blocks = folded.dropped.early,
                "the budget is used up: delivered history went early"
            );
        }
        let clean = state.tail.is_empty() && state.dead.is_empty() && state.values.is_empty();
        drop(state);
        self.oldest_unfolded = (!clean).then(Instant::now);
        // Who waits for a fold waits for one that began after the question.
        if self.fold_waiters.is_empty() || clean {
            for answer in self.fold_waiters.drain(..) {
                answer(Ok(()));
            }
        }
    }

    /// Whether one is under way, or they are held back.
    pub(super) fn cannot_fold(&self) -> bool {
        self.folding || self.shared.folds_held.load(Ordering::Acquire)
    }

    pub(super) fn fold_if_due(&mut self) {
        if self.cannot_fold() {
            return;
        }
        let due = {
            let state = self.shared.lock();
            let many = state.tail.len().max(state.dead.len()) >= self.options.fold_records;
            // Where nothing came and nothing was settled since the last fold, another makes no room.
            let floor = state.settled.floor();
            let delivered = floor > state.dropped && self.last_fold_at != (floor, state.newest + 1);
            // Values that were replaced or removed count until they are folded.
            self.crowded = state.live_bytes() >= retention::target(self.options.max_bytes)
                && (delivered || state.values.has_more());
            let refusing = delivered && state.live_bytes() >= self.options.max_bytes;
            many || state.values.is_due()
                || (self.crowded && (refusing || self.last_fold.elapsed() >= CROWDED_EVERY))
        };
        let old = self.oldest_unfolded.is_some_and(|since| since.elapsed() >= self.options.fold_every);
        let long = self.ring.unfolded_bytes() >= self.options.fold_bytes;
        let idle = self.last_fold.elapsed() >= FOLD_IDLE;
        if due || old || long || idle || !self.fold_waiters.is_empty() {
            self.order_fold();
        }
    }

    pub(super) fn order_fold(&mut self) {
        if self.cannot_fold() {
            return;
        }
        let seen_ms = self.seen_ms();
        let day = duplicates::day_of(seen_ms);
        let memory =
            Memory { state: &mut self.shared.lock(), duplicates: &self.duplicates, contacts: &self.contacts };
        let fold = Fold::take(memory, self.ring.position(), seen_ms, day, day != self.day);
        self.last_fold_at = (fold.floor, fold.next_sequence);
        self.folding = self.orders.try_send(Order::Fold(Box::new(fold))).is_ok();
    }

    pub(super) fn sync_marks_if_due(&mut self, close: bool) {
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
