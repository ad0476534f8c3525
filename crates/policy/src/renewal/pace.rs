//! When an attempt may begin.

use std::collections::VecDeque;
use std::time::Duration;

use model::WallTime;
use serde::{Deserialize, Serialize};

use super::{Urgency, passed};
use crate::{Backoff, Chance, Moment};

/// Attempts in any hour, whatever became of them.
pub const ATTEMPTS_PER_HOUR: usize = 12;
/// Attempts in any hour that the authority refused. Let's Encrypt lets five validations of a name fail in an hour.
pub const REFUSALS_PER_HOUR: usize = 4;
/// The longest that an authority is left alone because it said so. Later than that it is asked once more, which costs it
/// one request.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(12 * HOUR);

const HOUR: u64 = 3_600;
const MINUTE: u64 = 60;
/// The first wait after an authority that can't be reached, or a disk that refuses.
const UNREACHABLE_FIRST: Duration = Duration::from_secs(MINUTE);
/// The first wait after a refusal: a quarter of an hour is what [`REFUSALS_PER_HOUR`] allows.
const REFUSED_FIRST: Duration = Duration::from_secs(15 * MINUTE);
/// Between two attempts, however much somebody is in a hurry.
const GAP: Duration = Duration::from_secs(5);
/// After a success nothing is renewed for a third of the new certificate's life, or this, whatever clocks say: five
/// certificates for the same names in a week is what Let's Encrypt gives.
const REST_MAX: Duration = Duration::from_secs(48 * HOUR);

/// What an attempt has failed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The authority can't be reached, is ill, or didn't come to an end.
    Unreachable,
    /// It said no: a name can't be proved, or isn't allowed.
    Refused,
    /// It has had enough, and perhaps said for how long.
    Limited(Option<Duration>),
    /// The box's own disk refuses.
    Local,
}

/// What a restart has to know so as not to begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Failures since the last success.
    pub failures: u32,
    /// What the last attempt has failed by.
    pub trouble: Option<Trouble>,
    /// When the last attempt ended, by the clock of then.
    pub ended: WallTime,
    /// How long to wait from then on.
    pub wait: Duration,
    /// The last refusals, by the clock of then; [`REFUSALS_PER_HOUR`] of them at most.
    pub refused: Vec<WallTime>,
}

/// Paces attempts.
#[derive(Debug)]
pub struct Pace {
    on_its_way: bool,
    failures: u32,
    trouble: Option<Trouble>,
    /// Not before this.
    earliest: Moment,
    ended: Option<Moment>,
    begun: VecDeque<Moment>,
    refused: VecDeque<Moment>,
    kept: Kept,
    chance: Chance,
}

impl Pace {
    /// Goes on from what was kept, when the clock says `wall`. The time that a wait has left never grows: a clock that
    /// went back since means that all of it is left.
    #[must_use]
    pub fn new(kept: Kept, wall: WallTime, now: Moment, chance: Chance) -> Self {
        let most = if kept.failures == 0 { REST_MAX } else { RETRY_AFTER_MAX / 10 * 11 };
        let left = kept.wait.min(most).saturating_sub(passed(kept.ended, wall).unwrap_or_default());
        let hour = Duration::from_secs(HOUR);
        let recent = kept.refused.iter().filter(|at| passed(**at, wall).is_none_or(|since| since < hour));
        let refused: VecDeque<Moment> = recent.map(|_| now).take(REFUSALS_PER_HOUR).collect();
        Self {
            on_its_way: false,
            failures: kept.failures,
            trouble: kept.trouble,
            earliest: now + left,
            ended: None,
            begun: VecDeque::new(),
            refused,
            kept,
            chance,
        }
    }

    /// When an attempt may begin, if one is due; `None` while one is on its way.
    #[must_use]
    pub fn earliest(&self) -> Option<Moment> {
        if self.on_its_way {
            return None;
        }
        let hour = Duration::from_secs(HOUR);
        let full = |recent: &VecDeque<Moment>, bound: usize| {
            let place = recent.len().checked_sub(bound)?;
            recent.get(place).map(|oldest| *oldest + hour)
        };
        let bounds = [
            full(&self.begun, ATTEMPTS_PER_HOUR),
            full(&self.refused, REFUSALS_PER_HOUR),
            self.ended.map(|ended| ended + GAP),
        ];
        Some(bounds.into_iter().flatten().fold(self.earliest, Moment::max))
    }

    /// Begins an attempt; false when it may not. [`Pace::kept`] is then as if it had failed, so that a process which
    /// dies of it doesn't begin anew at once.
    pub fn begin(&mut self, urgency: Urgency, wall: WallTime, now: Moment) -> bool {
        let may = self.earliest().is_some_and(|earliest| earliest <= now);
        if may {
            self.on_its_way = true;
            remember(&mut self.begun, now, ATTEMPTS_PER_HOUR);
            self.kept.failures = self.failures.saturating_add(1);
            self.kept.ended = wall;
            self.kept.wait = self.wait(Trouble::Unreachable, self.kept.failures, urgency);
            self.kept.trouble = Some(Trouble::Unreachable);
        }
        may
    }

    /// The attempt has brought a certificate that lives for `length`.
    pub fn succeeded(&mut self, length: Duration, wall: WallTime, now: Moment) {
        let rest = (length / 3).min(REST_MAX);
        self.over(rest, now);
        (self.failures, self.trouble) = (0, None);
        self.kept = Kept { ended: wall, wait: rest, ..Kept::default() };
    }

    /// The attempt has failed.
    pub fn failed(&mut self, trouble: Trouble, urgency: Urgency, wall: WallTime, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.wait(trouble, self.failures, urgency);
        self.over(wait, now);
        self.trouble = Some(trouble);
        if trouble == Trouble::Refused {
            remember(&mut self.refused, now, REFUSALS_PER_HOUR);
            self.kept.refused.push(wall);
            let spare = self.kept.refused.len().saturating_sub(REFUSALS_PER_HOUR);
            self.kept.refused.drain(..spare);
        }
        (self.kept.failures, self.kept.ended, self.kept.wait) = (self.failures, wall, wait);
        self.kept.trouble = Some(trouble);
    }

    fn over(&mut self, wait: Duration, now: Moment) {
        self.on_its_way = false;
        self.ended = Some(now);
        self.earliest = now + wait;
    }

    fn wait(&mut self, trouble: Trouble, failures: u32, urgency: Urgency) -> Duration {
        let most = |calm: u64, near: u64, over: u64| {
            Duration::from_secs(match urgency {
                Urgency::Calm => calm,
                Urgency::Near => near,
                Urgency::Over => over,
            })
        };
        let backoff = |first, max| Backoff { first, max, retry_after_max: RETRY_AFTER_MAX };
        let refused = backoff(REFUSED_FIRST, most(6 * HOUR, HOUR, HOUR));
        match trouble {
            Trouble::Unreachable | Trouble::Local => {
                let most = most(4 * HOUR, 30 * MINUTE, 10 * MINUTE);
                backoff(UNREACHABLE_FIRST, most).delay(failures, &mut self.chance)
            }
            Trouble::Refused | Trouble::Limited(None) => refused.delay(failures, &mut self.chance),
            Trouble::Limited(Some(asked)) => {
                backoff(UNREACHABLE_FIRST, RETRY_AFTER_MAX).asked(asked, &mut self.chance)
            }
        }
    }

    /// The clock was set: what failed for its sake is tried again at once. A refusal, a limit and the rest after a
    /// success don't come of clocks.
    pub fn clock_stepped(&mut self, now: Moment) {
        if matches!(self.trouble, Some(Trouble::Unreachable)) {
            self.earliest = self.earliest.min(now);
        }
    }

    /// A person wants it at once, having mended something. What the authority asked for stays, and so does the rest
    /// after a success.
    pub fn asked(&mut self, now: Moment) {
        let asks_itself = matches!(self.trouble, Some(Trouble::Limited(Some(_))));
        if self.failures > 0 && !asks_itself {
            self.earliest = self.earliest.min(now);
        }
    }

    /// Other names are wanted: what was got before, and failed before, was for others.
    pub fn other_names(&mut self, now: Moment) {
        self.earliest = self.earliest.min(now);
    }

    /// What was got is lost: the rest after a success is for one that is there. What the authority refused, or asked
    /// for, stays.
    pub fn lost(&mut self, now: Moment) {
        if self.failures == 0 {
            self.earliest = self.earliest.min(now);
        }
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// What a restart has to know.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }
}

fn remember(recent: &mut VecDeque<Moment>, now: Moment, bound: usize) {
    while recent.len() >= bound {
        recent.pop_front();
    }
    recent.push_back(now);
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
