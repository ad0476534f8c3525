//! Gathering the jobs of one group.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::folding::CROWDED_EVERY;
use super::{Answer, FOLD_IDLE, Job, Work, Writer};
use crate::options::GROUP_BYTES;

/// A sync that takes longer than this makes waiting for company worth it …
const SLOW_SYNC: Duration = Duration::from_millis(2);
/// … for this part of its time: on a card with 10 ms it nearly doubles what 32 connections reach,
/// and halves the median (measured).
const SLOW_PART: u32 = 10;
/// Under load for twice that, so that those whom the last group has answered are back in time: who
/// misses a group waits for two syncs.
const SLOW_BUSY_PART: u32 = 5;
/// With a fast sync it is the processor that counts: under load half the sync's time makes groups
/// twice as large, for half as many syncs, and latency gets no worse (measured).
const FAST_BUSY_PART: u32 = 2;
/// No wait is longer, however slow the disk: the queue must hold what comes meanwhile.
const WINDOW_MAX: Duration = Duration::from_millis(5);

/// So many webhooks in the last group, and more are on their way.
const BUSY_COMPANY: usize = 4;
/// So long marks that come alone wait for a group to go with. Their receipts are there already.
const MARKS_WAIT: Duration = Duration::from_millis(100);

/// The jobs of one group.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) work: Vec<Work>,
    /// Answers that wait for a sync and have nothing of their own to write.
    pub(super) flushes: Vec<Answer>,
    pub(super) bytes: usize,
    pub(super) close: bool,
}

impl Writer {
    /// Waits for jobs and takes what is there, up to a group's worth.
    pub(super) fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let first = self.held.take().or_else(|| self.wait());
        let Some(first) = first else { return batch };
        self.take(first, &mut batch);
        self.take_waiting(&mut batch);
        if !batch.work.is_empty() {
            // Asleep, not at the queue: there every webhook that comes would wake this thread.
            let window = window(self.ring.flush_time(), self.company);
            if !window.is_zero() && self.held.is_none() && !batch.close {
                std::thread::sleep(window);
                self.take_waiting(&mut batch);
            }
        }
        batch
    }

    /// Waits for a job; `None` if the time for something else has come, such as for marks that
    /// nobody has called for.
    fn wait(&mut self) -> Option<Job> {
        if self.lingers {
            match self.jobs.recv_timeout(self.idle().min(MARKS_WAIT)) {
                Err(RecvTimeoutError::Timeout) if self.shared.lock().marks.rest() => return None,
                Err(RecvTimeoutError::Timeout) => self.lingers = false,
                Err(RecvTimeoutError::Disconnected) => return Some(Job::Close),
                Ok(job) => return Some(job),
            }
        }
        match self.jobs.recv_timeout(self.idle()) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Job::Close),
        }
    }

    pub(super) fn take_waiting(&mut self, batch: &mut Batch) {
        while self.held.is_none() && !batch.close && batch.bytes < GROUP_BYTES {
            match self.jobs.try_recv() {
                Ok(job) => self.take(job, batch),
                Err(_) => break,
            }
        }
    }

    pub(super) fn take(&mut self, job: Job, batch: &mut Batch) {
        match job {
            Job::Work(work) if batch.bytes > 0 && batch.bytes + work.bytes() > GROUP_BYTES => {
                self.held = Some(Job::Work(work));
            }
            Job::Work(work) => {
                batch.bytes += work.bytes();
                batch.work.push(work);
            }
            Job::Flush(answer) => batch.flushes.push(answer),
            Job::Fold(answer) => self.fold_waiters.push(answer),
            // A group takes all marks along that are there when it begins.
            Job::Marks | Job::Wake => {}
            Job::Close => batch.close = true,
        }
    }

    pub(super) fn idle(&self) -> Duration {
        let until =
            |since: Instant, after: Duration| (since + after).saturating_duration_since(Instant::now());
        let mut idle = if self.folding { FOLD_IDLE } else { until(self.last_fold, FOLD_IDLE) };
        if self.crowded && !self.folding {
            idle = idle.min(until(self.last_fold, CROWDED_EVERY));
        }
        if let Some(since) = self.marks_since {
            idle = idle.min(until(since, self.options.sync_marks));
        }
        if let Some(since) = self.oldest_unfolded.filter(|_| !self.folding) {
            idle = idle.min(until(since, self.options.fold_every));
        }
        idle
    }
}

/// How long a group waits for company, by the measured time of a sync and the webhooks in the group
/// before.
fn window(flush: Option<Duration>, company: usize) -> Duration {
    let Some(flush) = flush else { return Duration::ZERO };
    let window = match (flush > SLOW_SYNC, company >= BUSY_COMPANY) {
        (true, true) => flush / SLOW_BUSY_PART,
        (true, false) => flush / SLOW_PART,
        (false, true) => flush / FAST_BUSY_PART,
        (false, false) => Duration::ZERO,
    };
    window.min(WINDOW_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_on_a_slow_disk_and_under_load() {
        let ms = Duration::from_millis;
        for (flush, company, wait) in [
            (None, 32, Duration::ZERO),
            (Some(ms(2)), BUSY_COMPANY - 1, Duration::ZERO),
            (Some(ms(2)), BUSY_COMPANY, ms(1)),
            (Some(ms(10)), 0, ms(1)),
            (Some(ms(10)), 32, ms(2)),
            (Some(ms(500)), 32, WINDOW_MAX),
        ] {
            assert_eq!(window(flush, company), wait, "{flush:?} {company}");
        }
    }
}
