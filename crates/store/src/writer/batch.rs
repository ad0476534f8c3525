//! Gathering the jobs of one group.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::folding::CROWDED_EVERY;
use super::window;
use super::{Answer, FOLD_IDLE, Job, Work, Writer};
use crate::options::GROUP_BYTES;

/// So long marks that come alone wait for a group to go with. Their receipts are there already.
const MARKS_WAIT: Duration = Duration::from_millis(100);

/// The jobs of one group.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) work: Vec<Work>,
    /// Answers that wait for a sync and have nothing of their own to write.
    pub(super) flushes: Vec<Answer>,
    /// Answers that wait for a sign of life, and for nothing on the disk.
    pub(super) pings: Vec<Answer>,
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
            let alone = batch.work.iter().all(|work| matches!(work, Work::Transact(_)));
            let window = window::of_group(self.ring.flush_time(), self.company, alone);
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
            Job::Ping(answer) => batch.pings.push(answer),
            // A group takes all marks along that are there when it begins.
            Job::Marks | Job::Wake => {}
            Job::Close => batch.close = true,
        }
    }

    pub(super) fn idle(&self) -> Duration {
        let until =
            |since: Instant, after: Duration| (since + after).saturating_duration_since(Instant::now());
        let cannot_fold = self.cannot_fold();
        let mut idle = if cannot_fold { FOLD_IDLE } else { until(self.last_fold, FOLD_IDLE) };
        if self.crowded && !cannot_fold {
            idle = idle.min(until(self.last_fold, CROWDED_EVERY));
        }
        if let Some(since) = self.marks_since {
            idle = idle.min(until(since, self.options.sync_marks));
        }
        if let Some(since) = self.oldest_unfolded.filter(|_| !cannot_fold) {
            idle = idle.min(until(since, self.options.fold_every));
        }
        idle
    }
}
