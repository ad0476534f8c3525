//! What an answer changes: which records are done with, which wait, and whether the gate closes.

use super::gate::Why;
use super::lane::{LaneKey, State};
use super::lanes::{Job, JobId, Lanes, Outcome};
use super::verdict::{Failure, Verdict};
use crate::Moment;

/// A batch is split when it failed so often (contract, section 5).
const BATCH_FAILURES: u32 = 2;

impl<T: Clone> Lanes<T> {
    /// Takes the verdict on a job, and says what became of its records.
    pub fn answered(&mut self, now: Moment, id: JobId, verdict: &Verdict) -> Outcome<T> {
        let Some(job) = self.job_ended(id) else { return Outcome::Kept };
        if job.switches != self.switches {
            return self.answered_by_the_left(&job, verdict);
        }
        let trial = self.gate.trial_ended(id);
        match *verdict {
            Verdict::Accepted => self.accepted(&job, trial),
            Verdict::Refused => self.refused(now, &job, trial),
            Verdict::Unauthorized => self.unauthorized(now, &job, trial),
            Verdict::Retry { failure, retry_after } => {
                let suspect = self.note_failure(&job);
                let dead = failure == Failure::Server && self.patience_ends(now, &job);
                self.close_after(now, &job, trial, suspect, failure, retry_after);
                if matches!(failure, Failure::Server | Failure::Unknown) {
                    self.count_batch_failure(&job);
                }
                if dead {
                    return self.bury(&job);
                }
                let failures = job.lanes.first().and_then(|key| self.lanes.get(key));
                let failures = failures.map_or(1, |lane| lane.trouble.failures);
                let mut wait = self.settings.backoff.delay(failures, &mut self.chance);
                if let Some(asked) = retry_after {
                    wait = wait.max(self.settings.backoff.asked(asked, &mut self.chance));
                }
                self.put_to_sleep(&job, now + wait, !suspect);
                Outcome::Kept
            }
        }
    }

    fn accepted(&mut self, job: &Job, trial: bool) -> Outcome<T> {
        let delivered = self.delivered(job);
        self.passes += 1;
        if self.gate.accepted(trial) || self.outage {
            self.wake();
        }
        delivered
    }

    pub(super) fn delivered(&mut self, job: &Job) -> Outcome<T> {
        let mut delivered = Vec::with_capacity(job.records);
        for key in job.lanes.iter() {
            self.land(*key, |waiting| delivered.push(waiting));
        }
        Outcome::Delivered(delivered)
    }

    /// A refused batch is split at once; a record that is refused alone is tried a few times more.
    fn refused(&mut self, now: Moment, job: &Job, trial: bool) -> Outcome<T> {
        if trial {
            self.gate.answered_trial();
            self.wake();
        }
        if job.records > 1 {
            self.split(job);
            self.put_back(job);
            return Outcome::Kept;
        }
        let mut refusals = 0;
        self.each_launched(job, |waiting| {
            waiting.refusals += 1;
            refusals = waiting.refusals;
        });
        if refusals >= self.settings.tries {
            return self.bury(job);
        }
        let wait = self.settings.backoff.delay(refusals, &mut self.chance);
        self.put_to_sleep(job, now + wait, false);
        Outcome::Kept
    }

    /// Nobody is let in, and one trial a minute finds out when that ends. A suspect alone is kept
    /// out for what it holds (an application firewall does that): it doesn't stop the others. A
    /// batch that is shut out while others get through is split, so that it comes to stand alone.
    fn unauthorized(&mut self, now: Moment, job: &Job, trial: bool) -> Outcome<T> {
        let suspect = self.note_failure(job);
        if suspect && self.patience_ends(now, job) {
            return self.bury(job);
        }
        let wait = self.settings.trial_every;
        if trial || !suspect {
            self.close(now, Why::Unauthorized, wait, trial);
        }
        if suspect {
            self.put_to_sleep(job, now + wait, false);
        } else {
            if job.lanes.iter().any(|key| self.lanes.get(key).is_some_and(|lane| lane.trouble.others_pass)) {
                self.count_batch_failure(job);
            }
            self.put_back(job);
            self.shed(job);
        }
        Outcome::Kept
    }

    /// Takes the failure down in the job's lanes; true if it's one record that fails while others
    /// get through.
    fn note_failure(&mut self, job: &Job) -> bool {
        let closures = self.gate.closures();
        let mut suspect = false;
        for key in job.lanes.iter() {
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            lane.trouble.failed(self.passes, closures, job.records == 1);
            self.outage |= lane.trouble.streak > 1;
            suspect = job.records == 1 && lane.is_suspect();
        }
        suspect
    }

    /// Counts the time that a single record keeps failing; true if that is long enough, with others
    /// getting through to the last.
    fn patience_ends(&mut self, now: Moment, job: &Job) -> bool {
        let [key] = &*job.lanes else { return false };
        let Some(lane) = self.lanes.get_mut(key).filter(|_| job.records == 1) else { return false };
        let since = *lane.trouble.failing_since.get_or_insert(now);
        lane.trouble.others_pass && now.since(since) >= self.settings.alone_for
    }

    /// Closes the gate where the failure speaks for the whole CRM.
    fn close_after(
        &mut self,
        now: Moment,
        job: &Job,
        trial: bool,
        suspect: bool,
        failure: Failure,
        retry_after: Option<std::time::Duration>,
    ) {
        let first = job.lanes.first().and_then(|key| self.lanes.get(key));
        let first = first.is_some_and(|lane| lane.trouble.streak == 1);
        let many = self.gate.lane_failed(first, suspect);
        if let Some(asked) = retry_after.filter(|_| !suspect) {
            let wait = self.settings.backoff.asked(asked, &mut self.chance);
            self.close(now, Why::Throttled, wait, trial);
        } else if trial || many || failure == Failure::NotSent {
            let wait = self.settings.backoff.delay(self.gate.failures_after(), &mut self.chance);
            self.close(now, Why::Unreachable, wait, trial);
        }
    }

    fn close(&mut self, now: Moment, why: Why, wait: std::time::Duration, trial: bool) {
        self.gate.close(now, why, wait, trial);
        self.outage = true;
    }

    /// A batch that failed often enough is split.
    fn count_batch_failure(&mut self, job: &Job) {
        if job.records == 1 {
            return;
        }
        let mut most = 0;
        self.each_launched(job, |waiting| {
            waiting.batch_failures += 1;
            most = most.max(waiting.batch_failures);
        });
        if most >= BATCH_FAILURES {
            self.split(job);
        }
    }

    /// From now on the records of this job go in batches of half its size at most.
    fn split(&mut self, job: &Job) {
        let half = job.records.div_ceil(2);
        self.each_launched(job, |waiting| {
            waiting.together = waiting.together.min(half);
            waiting.batch_failures = 0;
        });
    }

    /// Gives a single record up.
    fn bury(&mut self, job: &Job) -> Outcome<T> {
        let mut dead = Outcome::Kept;
        for key in job.lanes.iter() {
            let mut attempts = 0;
            if let Some(lane) = self.lanes.get_mut(key) {
                attempts = lane.launched().map(|waiting| waiting.attempts).max().unwrap_or(0);
            }
            self.land(*key, |record| dead = Outcome::DeadLetter { record, attempts });
        }
        dead
    }

    /// Takes what is in flight of a lane out for good.
    fn land(&mut self, key: LaneKey, mut done: impl FnMut(T)) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            for waiting in lane.land() {
                self.window.release(&waiting, true);
                done(waiting.body);
            }
        }
        self.relist(key);
    }

    /// Lets the job's records go again, at once.
    pub(super) fn put_back(&mut self, job: &Job) {
        for key in job.lanes.iter() {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.state = State::Ready;
            }
            self.relist(*key);
        }
    }

    /// Lets the job's lanes wait. What is at fault itself stays alone from now on.
    fn put_to_sleep(&mut self, job: &Job, until: Moment, wakes: bool) {
        for key in job.lanes.iter() {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.state = State::Asleep(until);
                lane.trouble.wakes = wakes;
                if let Some(first) = lane.queue.front_mut().filter(|_| !wakes) {
                    first.together = 1;
                }
            }
            self.relist(*key);
        }
        self.shed(job);
    }

    /// Keeps nothing in memory behind a record that failed alone: it could only wait, and others
    /// need the room.
    fn shed(&mut self, job: &Job) {
        for key in job.lanes.iter().filter(|_| job.records == 1) {
            if let Some(lane) = self.lanes.get_mut(key) {
                for waiting in lane.shed() {
                    self.window.release(&waiting, false);
                }
            }
            self.relist(*key);
        }
    }

    /// The CRM works again: nobody sleeps on but those whose trouble is their own.
    pub(super) fn wake(&mut self) {
        self.outage = false;
        let asleep: Vec<_> = self.index.asleep.iter().map(|(_, key)| *key).collect();
        for key in asleep {
            if let Some(lane) = self.lanes.get_mut(&key)
                && lane.trouble.wakes
            {
                lane.state = State::Ready;
                lane.trouble.failures = 0;
            }
            self.relist(key);
        }
    }

    fn each_launched(&mut self, job: &Job, mut change: impl FnMut(&mut super::lane::Waiting<T>)) {
        for key in job.lanes.iter() {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.launched().for_each(&mut change);
            }
        }
    }
}
