//! How long to wait before the next try.

use std::time::Duration;

/// The shortest wait after a failure (contract, section 5).
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure that named no time itself (contract, section 5).
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is believed: a slip of the pen there must not stop a store for
/// days.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Exponential backoff with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// No wait is shorter; [`BACKOFF_FIRST`] by default.
    pub first: Duration,
    /// No wait that we choose is longer; [`BACKOFF_MAX`] by default.
    pub max: Duration,
    /// No wait that the other side chooses is longer; [`RETRY_AFTER_MAX`] by default.
    pub retry_after_max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: BACKOFF_FIRST, max: BACKOFF_MAX, retry_after_max: RETRY_AFTER_MAX }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 or more): between `first * 2^(failures-1)`
    /// and twice that, but never above `max`, where it lies between half of `max` and `max`.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: &mut Chance) -> Duration {
        let factor = 2_u32.saturating_pow(failures.clamp(1, 31));
        let top = self.first.saturating_mul(factor).min(self.max);
        chance.between(top / 2, top).clamp(self.first.min(self.max), self.max)
    }

    /// The wait that `Retry-After` asks for, within bounds; up to a tenth is added, so that many
    /// boxes in front of one CRM don't come back in the same instant.
    #[must_use]
    pub fn asked(&self, retry_after: Duration, chance: &mut Chance) -> Duration {
        let asked = retry_after.clamp(self.first.min(self.retry_after_max), self.retry_after_max);
        chance.between(asked, asked + asked / 10)
    }
}

/// A source of chance for jitter (SplitMix64); no secret may come from it.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts from `seed`: the same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration of `low` to `high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX - 1);
        low + Duration::from_nanos(self.next() % (span + 1))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_and_stop_at_thirty() {
        let backoff = Backoff::default();
        let mut chance = Chance::new(7);
        for (failures, low, high) in [
            (0, 1, 2),
            (1, 1, 2),
            (2, 2, 4),
            (3, 4, 8),
            (4, 8, 16),
            (5, 15, 30),
            (6, 15, 30),
            (u32::MAX, 15, 30),
        ] {
            let mut seen = Vec::new();
            for _ in 0..200 {
                let delay = backoff.delay(failures, &mut chance);
                assert!(delay >= Duration::from_secs(low), "{failures}: {delay:?}");
                assert!(delay <= Duration::from_secs(high), "{failures}: {delay:?}");
                seen.push(delay);
            }
            seen.sort();
            let spread = seen[seen.len() - 1].saturating_sub(seen[0]);
            assert!(spread > Duration::from_secs(high - low) / 2, "{failures}: no jitter to speak of");
        }
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept_within_bounds() {
        let backoff = Backoff::default();
        let mut chance = Chance::new(7);
        for (asked, low_ms, high_ms) in
            [(0, 1_000, 1_100), (1, 1_000, 1_100), (120, 120_000, 132_000), (u64::MAX, 3_600_000, 3_960_000)]
        {
            let delay = backoff.asked(Duration::from_secs(asked), &mut chance);
            assert!(delay >= Duration::from_millis(low_ms), "{asked}: {delay:?}");
            assert!(delay <= Duration::from_millis(high_ms), "{asked}: {delay:?}");
        }
    }
}
