//! Campaign messages near a limit: in batches, so that what is left lasts for the day.
//!
//! Above `batch_above` of any limit campaign messages no longer go as fast as they may, but a batch every
//! `batch_every`, of such a size that the rest of the limit is spread over the rest of the day. Replies and service
//! messages go as ever and take from the same rest, so each batch is measured anew.

/// Whether campaign messages are to go in batches: the next message would be above `batch_above` (0 to 1) of a
/// limit. `limits` holds what is used of each, and the limit.
#[must_use]
pub fn is_near(limits: &[(u64, u64)], batch_above: f64) -> bool {
    limits.iter().any(|(used, limit)| *used >= free_of_batches(*limit, batch_above))
}

/// How much of a limit goes before batches begin: `batch_above` of it, whole units.
pub(super) fn free_of_batches(limit: u64, batch_above: f64) -> u64 {
    // In whole millionths: 0.8 is no number that a float can hold, and 0.8 of 1,000 is 800.
    let millionths = (batch_above.clamp(0.0, 1.0) * 1e6).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000; NaN is 0")]
    let millionths = millionths as u128;
    u64::try_from(u128::from(limit) * millionths / 1_000_000).unwrap_or(limit)
}

/// What is left of the batch that is under way. To be kept on disk with what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batches {
    /// When the next batch begins, in milliseconds since 1970.
    pub next_at_ms: i64,
    /// So many campaign messages may go before that.
    pub left: u64,
}

impl Batches {
    /// The state at `now_ms`: a new batch if one is due, else what is left of this one.
    ///
    /// `remaining` is what is left of the tightest limit until it is reset at `resets_at_ms`. No batch is
    /// larger than that, and each but the last leaves a whole `every_ms` to the reset, in which it can go out.
    #[must_use]
    pub fn at(self, now_ms: i64, remaining: u64, resets_at_ms: i64, every_ms: i64) -> Self {
        let every_ms = every_ms.max(1);
        // A batch further away than one interval was planned with another setting.
        let due = now_ms >= self.next_at_ms || self.next_at_ms.saturating_sub(now_ms) > every_ms;
        if !due {
            return Self { left: self.left.min(remaining), ..self };
        }
        Self {
            next_at_ms: now_ms.saturating_add(every_ms),
            left: size(remaining, until(now_ms, resets_at_ms, every_ms)),
        }
    }

    /// The state after one campaign message; `None` while the batch is used up.
    #[must_use]
    pub fn take(self) -> Option<Self> {
        Some(Self { left: self.left.checked_sub(1)?, ..self })
    }
}

/// How many batches there are until the reset, this one included; 1 or more.
pub(super) fn until(now_ms: i64, resets_at_ms: i64, every_ms: i64) -> u64 {
    let whole = resets_at_ms.saturating_sub(now_ms).max(0) / every_ms.max(1);
    whole.unsigned_abs().max(1)
}

/// How many messages are in a batch when so many batches are left.
pub(super) fn size(remaining: u64, batches: u64) -> u64 {
    (remaining / batches.max(1)).max(1).min(remaining)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn near_is_above_the_share_of_any_limit() {
        assert!(!is_near(&[(799, 1_000), (0, 250)], 0.8));
        assert!(is_near(&[(800, 1_000), (0, 250)], 0.8), "the next one would be above");
        assert!(is_near(&[(0, 1_000), (200, 250)], 0.8));
        assert!(!is_near(&[(999, 1_000)], 1.0) && is_near(&[(1_000, 1_000)], 1.0));
        assert!(is_near(&[(0, 1_000)], 0.0) && is_near(&[(0, 0)], 0.8) && !is_near(&[], 0.8));
        assert!(
            !is_near(&[(u64::MAX / 2, u64::MAX)], 0.8) && is_near(&[(u64::MAX, u64::MAX)], f64::INFINITY)
        );
        assert!(is_near(&[(0, 9)], f64::NAN), "a share that is no number is the cautious one");
    }

    #[test]
    fn the_rest_is_spread_over_the_rest_of_the_day() {
        // 200 messages, 10 h, a batch every hour.
        let first = Batches::default().at(HOUR, 200, 11 * HOUR, HOUR);
        assert_eq!(first, Batches { next_at_ms: 2 * HOUR, left: 20 });
        let used_up = (0..20).try_fold(first, |state, _| state.take()).unwrap();
        assert_eq!(used_up.take(), None);
        assert_eq!(used_up.at(2 * HOUR - 1, 180, 11 * HOUR, HOUR), used_up);
        // Replies took 90 meanwhile.
        assert_eq!(used_up.at(2 * HOUR, 90, 11 * HOUR, HOUR).left, 10);
        // Few messages are not cut to none, and none stay none.
        assert_eq!(Batches::default().at(0, 3, 100 * HOUR, HOUR).left, 1);
        assert_eq!(Batches::default().at(0, 0, 100 * HOUR, HOUR).left, 0);
        // The last batch takes what there is.
        assert_eq!(Batches::default().at(0, 77, HOUR, HOUR).left, 77);
    }

    #[test]
    fn a_shorter_interval_is_taken_up_at_once() {
        let day = Batches::default().at(0, 100, 24 * HOUR, 12 * HOUR);
        assert_eq!(day.at(60_000, 50, 24 * HOUR, HOUR).next_at_ms, 60_000 + HOUR);
    }

    proptest! {
        #[test]
        fn never_more_than_remains_and_all_of_it_by_the_end_of_the_day(
            remaining in 0..3_000_u64,
            length in 1..26 * HOUR,
            every in 60_000..8 * HOUR,
            step in 1_000..60_000_i64,
            others in prop::collection::vec((0..26 * HOUR, 0..50_u64), 0..10),
            before in (0..26 * HOUR, 0..5_000_u64),
        ) {
            let mut left = remaining;
            let mut state = Batches { next_at_ms: before.0, left: before.1 };
            let mut now = 0;
            while now < length {
                for (_, count) in others.iter().filter(|(at, _)| (now..now + step).contains(at)) {
                    left = left.saturating_sub(*count);
                }
                state = state.at(now, left, length, every);
                prop_assert!(state.left <= left);
                while let Some(next) = state.take() {
                    (state, left) = (next, left - 1);
                }
                now += step;
            }
            // With demand all of it goes, if the day is long enough for the batch that follows one before it.
            if length >= 2 * every + 2 * step && before.0 <= every {
                prop_assert_eq!(left, 0);
            }
        }
    }
}
