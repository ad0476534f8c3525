//! Another endpoint takes over, or the only one works again.

use super::gate::Access;
use super::lanes::{Job, JobId, Lanes, Outcome};
use super::verdict::Verdict;
use crate::Moment;

impl<T: Clone> Lanes<T> {
    /// Whatever goes from now on goes to another endpoint, which has doors, a rate and troubles of its own:
    /// the gate opens, whyever it was closed, and nobody sleeps on. Tries and refusals of a record are still
    /// counted together.
    ///
    /// Of the jobs in flight only what was accepted counts from now on; see [`Lanes::abandon`], too.
    pub fn switched(&mut self) {
        self.switches += 1;
        self.gate.renew();
        self.outage = false;
        let keys: Vec<_> = self.lanes.keys().copied().collect();
        for key in keys {
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.moved();
            }
            self.relist(key);
        }
    }

    /// How often the endpoint was changed.
    #[must_use]
    pub const fn switches(&self) -> u64 {
        self.switches
    }

    /// The endpoint in use seems to work again, as probes of it say: what waited for that goes. Behind a
    /// closed gate a trial goes first, at once, and the others with its success: whoever answers probes may
    /// still take no records.
    pub fn works_again(&mut self, now: Moment) {
        match self.gate.access() {
            Access::Open => self.wake(),
            Access::Closed { .. } => self.gate.hasten(now),
        }
    }

    /// Gives up the jobs that went before the endpoint was changed for the `switches`-th time: their requests
    /// were dropped unanswered. Their records may go again; returns how many they are.
    pub fn abandon(&mut self, switches: u64) -> usize {
        let before = |(id, job): (&JobId, &Job)| (job.switches < switches).then_some(*id);
        let given_up: Vec<_> = self.jobs.iter().filter_map(before).collect();
        let mut records = 0;
        for id in given_up {
            if let Some(job) = self.job_ended(id) {
                records += job.records;
                self.put_back(&job);
            }
        }
        records
    }

    /// An endpoint that was left has answered. What it has taken it has; all else says nothing about the
    /// records, nor about the endpoint in use.
    pub(super) fn answered_by_the_left(&mut self, job: &Job, verdict: &Verdict) -> Outcome<T> {
        if *verdict == Verdict::Accepted {
            return self.delivered(job);
        }
        self.put_back(job);
        Outcome::Kept
    }
}
