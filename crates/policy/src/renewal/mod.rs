//! When the box gets itself a new certificate.
//!
//! Values without I/O: how old a certificate is by hostile clocks ([`Life::age`]), at which age it is renewed
//! ([`Life::due_at`]), which moment of an authority's window is taken ([`choose`]), and when an attempt may begin
//! ([`Pace`]). The shell tells what became of attempts, and carries state over restarts ([`Kept`]).
//!
//! What always holds: never two attempts at once; in any hour at most [`ATTEMPTS_PER_HOUR`] attempts and
//! [`REFUSALS_PER_HOUR`] refusals, whatever clocks and people do; no wait that the box chooses is longer than some
//! hours, and none that an authority asks for longer than half a day.
//!
//! A clock is believed as little as can be. What a certificate says about itself is the authority's clock, which is
//! right. The age of a certificate is at least the time that the box itself saw pass since it got it. Where the
//! box's clock was off by more than a life when the certificate came, the age is what that same clock says has passed
//! since, so that it neither renews all the time nor never.

mod life;
mod pace;
mod window;

pub use life::{ALARM_BEFORE, Life, Urgency};
pub use pace::{ATTEMPTS_PER_HOUR, Kept, Pace, REFUSALS_PER_HOUR, RETRY_AFTER_MAX, Trouble};
pub use window::{Choice, Window, ask_again, choose};

use std::time::Duration;

use model::WallTime;

use crate::Moment;

/// A clock that has moved by more than this against the monotonic one was set.
pub const STEP: Duration = Duration::from_secs(60);

/// Whether the wall clock was set between two readings of both clocks.
#[must_use]
pub fn stepped(before: (WallTime, Moment), now: (WallTime, Moment)) -> bool {
    let passed = i64::try_from(now.1.since(before.1).as_millis()).unwrap_or(i64::MAX);
    let told = now.0.0.saturating_sub(before.0.0);
    u128::from(told.abs_diff(passed)) > STEP.as_millis()
}

/// Milliseconds from `since` to `until`; `None` where that is backwards.
fn passed(since: WallTime, until: WallTime) -> Option<Duration> {
    u64::try_from(until.0.saturating_sub(since.0)).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_drifts() {
        let at = |wall: i64, mono: u64| (WallTime(wall), Moment::after_start(Duration::from_millis(mono)));
        for (now, expected) in [
            (at(60_000, 60_000), false),
            (at(120_000, 60_000), false),
            (at(120_001, 60_000), true),
            (at(0, 60_000), false),
            (at(-1, 60_000), true),
            (at(i64::MIN, 60_000), true),
            (at(i64::MAX, 0), true),
        ] {
            assert_eq!(stepped(at(0, 0), now), expected, "{now:?}");
        }
    }
}
