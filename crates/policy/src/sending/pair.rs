//! The pair rate: one message in 6 s to one customer, 45 of them at once.
//!
//! Meta lends a burst of 45 "from the future" and refuses what is past it with 131056 (throughput, "pair
//! rate limits" of <https://developers.facebook.com/docs/whatsapp/cloud-api/overview>). GCRA, the generic cell
//! rate algorithm, keeps exactly that in one number: the time at which all that was taken is paid back.

/// One message to a customer in so many milliseconds, in the long run.
pub const PAIR_EVERY_MS: i64 = 6_000;
/// So many at once after a long silence.
pub const PAIR_BURST: i64 = 45;

/// How far the time of paying back may lie ahead before one more is taken.
const AHEAD_MAX_MS: i64 = (PAIR_BURST - 1) * PAIR_EVERY_MS;

/// What was taken of the pair rate of one number and one customer.
///
/// In any window of length `t`, both ends included, at most `45 + t / 6 s` are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// When everything taken so far is paid back (the "theoretical arrival time" of GCRA), in milliseconds
    /// since 1970. This is all there is to keep on disk.
    pub tat_ms: i64,
}

impl Default for Pair {
    fn default() -> Self {
        Self::IDLE
    }
}

impl Pair {
    /// Nothing was taken; what is forgotten is this again.
    pub const IDLE: Self = Self { tat_ms: i64::MIN };

    /// Takes one message.
    ///
    /// # Errors
    /// When the next may be taken, in milliseconds since 1970, if that isn't yet.
    pub fn take(self, now_ms: i64) -> Result<Self, i64> {
        let earliest = self.tat_ms.saturating_sub(AHEAD_MAX_MS);
        if now_ms < earliest {
            return Err(earliest);
        }
        Ok(Self { tat_ms: self.tat_ms.max(now_ms).saturating_add(PAIR_EVERY_MS) })
    }

    /// Meta said 131056: by its own count the burst is used up. Takes nothing for `wait_ms`, and then one at a
    /// time.
    #[must_use]
    pub fn refused(self, now_ms: i64, wait_ms: i64) -> Self {
        let next = now_ms.saturating_add(wait_ms.max(0));
        Self { tat_ms: self.tat_ms.max(next.saturating_add(AHEAD_MAX_MS)) }
    }

    /// Whether it may be forgotten: everything is paid back.
    #[must_use]
    pub const fn is_idle(self, now_ms: i64) -> bool {
        self.tat_ms <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_then_one_in_six_seconds() {
        let mut pair = Pair::IDLE;
        for _ in 0..PAIR_BURST {
            pair = pair.take(1_000).unwrap();
        }
        assert_eq!(pair.take(1_000), Err(7_000));
        assert_eq!(pair.take(6_999), Err(7_000));
        pair = pair.take(7_000).unwrap();
        assert_eq!(pair.take(7_000), Err(13_000));
        assert!(!pair.is_idle(1_000 + 46 * PAIR_EVERY_MS - 1) && pair.is_idle(1_000 + 46 * PAIR_EVERY_MS));
    }

    #[test]
    fn after_a_refusal_there_is_no_burst() {
        let pair = Pair::IDLE.refused(1_000, 4_000);
        assert_eq!(pair.take(1_000), Err(5_000));
        assert_eq!(pair.take(5_000).unwrap().take(5_000), Err(11_000));
        let late = pair.refused(1_000, -1);
        assert_eq!(late, pair, "a refusal never frees anything");
    }

    proptest! {
        /// The model counts what it saw: it takes one more if every window that ends with it has room.
        #[test]
        fn it_takes_all_that_the_rate_allows_and_not_one_more(
            gaps in prop::collection::vec(prop_oneof![Just(0), 0..20_i64, 0..7_000_i64, 0..400_000_i64], 1..300),
        ) {
            let mut now = 0_i64;
            let mut taken: Vec<i64> = Vec::new();
            let mut pair = Pair::IDLE;
            for gap in gaps {
                now += gap;
                if pair.is_idle(now) {
                    pair = Pair::IDLE;
                }
                let fits = taken.iter().rev().zip(2_i64..).all(|(first, count)| {
                    count <= PAIR_BURST + (now - first) / PAIR_EVERY_MS
                });
                match pair.take(now) {
                    Ok(next) => {
                        prop_assert!(fits, "one too many at {}", now);
                        pair = next;
                        taken.push(now);
                    }
                    Err(at) => {
                        prop_assert!(!fits, "one too few at {}", now);
                        prop_assert!(at > now && pair.take(at - 1).is_err() && pair.take(at).is_ok());
                    }
                }
            }
        }
    }
}
