//! How long a message that surely wasn't sent waits before it is tried again.

use std::time::Duration;

use super::errors::RETRY_AFTER_MAX_MS;
use crate::{Backoff, Chance};

/// The first wait; each doubles the one before.
pub const REPLAY_FIRST_MS: i64 = 1_000;
/// No wait that we choose ourselves is longer.
pub const REPLAY_MAX_MS: i64 = 5 * 60_000;
/// After so long the pair rate has paid back its whole burst (45 x 6 s): waiting longer gains nothing.
pub const PAIR_MAX_MS: i64 = super::pair::PAIR_BURST * super::pair::PAIR_EVERY_MS;

/// The wait in milliseconds after `failures` refusals in a row (1 or more) that name the rate, a fault of
/// the way there, or nothing.
///
/// Exponential with jitter: 1 to 2 s, then twice that, and so on up to 2.5 to 5 min. What the answer asks
/// for is the least, up to a day. `random` is any number that differs from message to message.
#[must_use]
pub fn replay_ms(failures: u32, retry_after_ms: Option<u64>, random: u64) -> i64 {
    let backoff = Backoff {
        first: Duration::from_millis(REPLAY_FIRST_MS.unsigned_abs()),
        max: Duration::from_millis(REPLAY_MAX_MS.unsigned_abs()),
        retry_after_max: Duration::from_millis(RETRY_AFTER_MAX_MS.unsigned_abs()),
    };
    let mut chance = Chance::new(random);
    let ours = backoff.delay(failures, &mut chance);
    let asked =
        retry_after_ms.map_or(Duration::ZERO, |ms| backoff.asked(Duration::from_millis(ms), &mut chance));
    let wait = ours.max(asked).min(backoff.retry_after_max);
    i64::try_from(wait.as_millis()).unwrap_or(RETRY_AFTER_MAX_MS)
}

/// The wait in milliseconds after `failures` refusals in a row (1 or more) for the pair rate.
///
/// Meta asks for 4^X s, X from 0 on; it is cut at [`PAIR_MAX_MS`].
#[must_use]
pub fn pair_ms(failures: u32) -> i64 {
    // 4^5 s is above the cut already.
    (1_000 * 4_i64.pow(failures.saturating_sub(1).min(5))).min(PAIR_MAX_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pair_rate_is_waited_for_as_meta_says() {
        let waits: Vec<i64> = [0, 1, 2, 3, 4, 5, 6, u32::MAX].into_iter().map(pair_ms).collect();
        assert_eq!(waits, [1_000, 1_000, 4_000, 16_000, 64_000, 256_000, 270_000, 270_000]);
    }

    proptest! {
        #[test]
        fn waits_double_within_bounds(failures in 1..40_u32, random: u64) {
            let wait = replay_ms(failures, None, random);
            let top = (2_000 << (failures - 1).min(20)).min(REPLAY_MAX_MS);
            prop_assert!((top / 2..=top).contains(&wait), "{}", wait);
        }

        #[test]
        fn what_is_asked_for_is_the_least(failures in 0..40_u32, asked: u64, random: u64) {
            let wait = replay_ms(failures, Some(asked), random);
            prop_assert!(wait >= i64::try_from(asked).unwrap_or(i64::MAX).min(RETRY_AFTER_MAX_MS));
            prop_assert!(wait <= RETRY_AFTER_MAX_MS);
        }
    }

    #[test]
    fn messages_that_failed_together_come_back_apart() {
        let mut waits: Vec<i64> = (0..100).map(|random| replay_ms(4, None, random)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 90);
    }
}
