//! The CRM as a whole: open to every lane, or closed but for one trial at a time.

use std::time::Duration;

use super::lanes::JobId;
use crate::Moment;

/// So many lanes that fail with no success in between speak for the whole CRM. Two may be chance
/// (two bad records, one after another); each more costs one futile request per outage.
const LANES_THAT_CLOSE: u32 = 3;
/// Suspects have lost their word, but not when so many agree.
const SUSPECTS_THAT_CLOSE: u32 = 16;

/// Why the gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No connection, no answer, or errors in every lane.
    Unreachable,
    /// The CRM named a time (`Retry-After`).
    Throttled,
    /// 401 or 403.
    Unauthorized,
}

/// Whether the CRM lets us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every lane may send.
    Open,
    /// One trial at a time.
    Closed {
        /// Why.
        why: Why,
        /// When the next trial may go.
        until: Moment,
        /// Failures in a row, the one that closed the gate included.
        failures: u32,
    },
}

/// Who may send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Everybody,
    OneTrial,
    Nobody,
}

#[derive(Debug)]
pub(super) struct Gate {
    access: Access,
    trial: Option<JobId>,
    /// How often it closed; what a lane remembers from before a closure counts no more.
    closures: u64,
    /// Lanes that failed since the last success, each counted once.
    failing: u32,
    failing_suspects: u32,
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self { access: Access::Open, trial: None, closures: 0, failing: 0, failing_suspects: 0 }
    }

    pub(super) const fn access(&self) -> Access {
        self.access
    }

    pub(super) const fn closures(&self) -> u64 {
        self.closures
    }

    pub(super) fn admits(&self, now: Moment) -> Admission {
        match self.access {
            Access::Open => Admission::Everybody,
            Access::Closed { until, .. } if until <= now && self.trial.is_none() => Admission::OneTrial,
            Access::Closed { .. } => Admission::Nobody,
        }
    }

    /// When a trial may go, if the gate is closed and none is under way.
    pub(super) const fn trial_at(&self) -> Option<Moment> {
        match self.access {
            Access::Closed { until, .. } if self.trial.is_none() => Some(until),
            Access::Closed { .. } | Access::Open => None,
        }
    }

    pub(super) const fn trial_sent(&mut self, job: JobId) {
        self.trial = Some(job);
    }

    /// Takes the end of `job` down; true if it was the trial. To be called first for every answer.
    pub(super) fn trial_ended(&mut self, job: JobId) -> bool {
        let trial = self.trial == Some(job);
        if trial {
            self.trial = None;
        }
        trial
    }

    /// A job was accepted. True if that opened the gate. An answer to what was sent before the CRM
    /// asked for a pause, or shut us out, doesn't lift either.
    pub(super) fn accepted(&mut self, trial: bool) -> bool {
        self.failing = 0;
        self.failing_suspects = 0;
        match self.access {
            Access::Closed { why, .. } if trial || why == Why::Unreachable => {
                self.access = Access::Open;
                true
            }
            Access::Closed { .. } | Access::Open => false,
        }
    }

    /// The trial was refused on its own account: the CRM works and lets us in.
    pub(super) const fn answered_trial(&mut self) {
        self.access = Access::Open;
    }

    /// Another CRM stands behind it from now on: nothing is held against that one.
    pub(super) const fn renew(&mut self) {
        self.access = Access::Open;
        self.trial = None;
        self.failing = 0;
        self.failing_suspects = 0;
    }

    /// There is reason to believe that the CRM can be reached again: the next trial may go at once.
    /// A pause that it asked for, or a closed door, is another matter.
    pub(super) fn hasten(&mut self, now: Moment) {
        if let Access::Closed { why: Why::Unreachable, until, .. } = &mut self.access {
            *until = now.min(*until);
        }
    }

    /// Takes down that a lane failed (`first`: for the first time since the last success); true if
    /// the CRM is now to be taken for unreachable.
    pub(super) const fn lane_failed(&mut self, first: bool, suspect: bool) -> bool {
        if first && suspect {
            self.failing_suspects += 1;
        } else if first {
            self.failing += 1;
        }
        self.failing >= LANES_THAT_CLOSE || self.failing + self.failing_suspects >= SUSPECTS_THAT_CLOSE
    }

    /// Failures in a row if the gate closes, or stays closed, after one more.
    pub(super) const fn failures_after(&self) -> u32 {
        match self.access {
            Access::Open => 1,
            Access::Closed { failures, .. } => failures.saturating_add(1),
        }
    }

    /// Closes the gate for `wait`. While it is closed already only the trial prolongs it; what
    /// else comes in late from before can turn it into a stricter one.
    pub(super) fn close(&mut self, now: Moment, why: Why, wait: Duration, trial: bool) {
        let until = now + wait;
        self.access = match self.access {
            Access::Open => {
                self.closures += 1;
                Access::Closed { why, until, failures: 1 }
            }
            Access::Closed { failures, .. } if trial => {
                Access::Closed { why, until, failures: failures.saturating_add(1) }
            }
            Access::Closed { why: Why::Unreachable, until: before, failures } if why != Why::Unreachable => {
                Access::Closed { why, until: until.max(before), failures }
            }
            closed @ Access::Closed { .. } => closed,
        };
    }
}
