//! By how much `now` goes ahead without that the box saw it pass.
//!
//! Meta's word puts a clock right by hours or years, and a correction of the clock is followed by seconds. Nothing
//! may be freed, given up or sent sooner for it: limits that last, waits and the pace go by the time that the box
//! itself saw pass, and the outbox is told of the rest.

use policy::sending::Reading;

/// What is less isn't worth a transaction, and frees less than a tenth of a second's messages.
const GAIN_MS: i64 = 100;

/// The gain of `now` over the monotonic clock, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaps {
    /// `now` less the monotonic clock, at the start.
    start_ms: i64,
    /// The largest gain that the outbox was told of. What `now` loses while it waits for a clock that is behind, and
    /// gains again, isn't counted twice.
    told_ms: i64,
}

impl Leaps {
    /// Begins with the first `now` of the process.
    pub(super) fn new(now_ms: i64, reading: Reading) -> Self {
        Self { start_ms: now_ms.saturating_sub(mono(reading)), told_ms: 0 }
    }

    /// What the outbox has to be told; 0 for nothing.
    pub(super) fn untold(&self, now_ms: i64, reading: Reading) -> i64 {
        let gain = now_ms.saturating_sub(mono(reading)).saturating_sub(self.start_ms);
        let untold = gain.saturating_sub(self.told_ms);
        if untold >= GAIN_MS { untold } else { 0 }
    }

    /// The outbox was told so much, and it is durable.
    pub(super) const fn told(&mut self, ms: i64) {
        self.told_ms = self.told_ms.saturating_add(ms);
    }
}

fn mono(reading: Reading) -> i64 {
    i64::try_from(reading.mono_ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(mono_ms: u64) -> Reading {
        Reading { wall_ms: 0, mono_ms }
    }

    #[test]
    fn a_leap_is_told_until_it_is_durable_and_then_no_more() {
        let mut leaps = Leaps::new(5_000, at(1_000));
        assert_eq!(leaps.untold(6_000, at(2_000)), 0);
        assert_eq!(leaps.untold(6_099, at(2_000)), 0);
        assert_eq!(leaps.untold(96_000, at(2_000)), 90_000);
        assert_eq!(leaps.untold(97_000, at(3_000)), 90_000, "the turn was refused");
        leaps.told(90_000);
        assert_eq!(leaps.untold(98_000, at(4_000)), 0);
        assert_eq!(leaps.untold(98_150, at(4_000)), 150);
    }

    #[test]
    fn a_clock_that_is_waited_for_and_put_right_again_and_again_leaps_once() {
        let mut leaps = Leaps::new(0, at(0));
        leaps.told(leaps.untold(15_000, at(10_000)));
        for round in 1..10 {
            let mono = 10_000 + round * 10_000;
            // At half speed since, and then Meta's word once more.
            assert_eq!(leaps.untold(mono, at(mono.unsigned_abs())), 0);
            assert_eq!(leaps.untold(mono + 5_000, at(mono.unsigned_abs())), 0);
        }
        assert_eq!(leaps.told_ms, 5_000);
    }
}
