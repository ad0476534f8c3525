//! The moment at which a client's certificate has to be valid.
//!
//! The box's clock may be wrong by years, and then it must neither let an old certificate in nor lock Meta out. So a
//! certificate is judged by what is known of now, which is a span: within it the sender is believed, and what can't
//! be valid at any moment of it is refused.

/// Times of Meta's that are this old may still be news: a webhook is sent again for up to seven days.
const OLD_NEWS_MS: i64 = 8 * 24 * 3_600_000;
/// 2025-01-01T00:00:00Z: this program is younger.
const BEGINNING_MS: i64 = 1_735_689_600_000;
/// 2100-01-01T00:00:00Z: no clock is believed beyond.
const LATEST_MS: i64 = 4_102_444_800_000;

/// What is known of the time. Nothing, by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// A time that goes on by itself and takes no credit from a jump, in milliseconds since 1970.
    pub now_ms: i64,
    /// The machine's clock says about the same.
    pub trusted: bool,
    /// Now is no earlier, since somebody who knows has said so.
    pub proved_ms: Option<i64>,
}

impl Known {
    /// Now is no earlier than the first and no later than the second.
    ///
    /// A clock that is trusted is believed unless what is proved contradicts it: a box that was first started with a
    /// clock years ahead has nothing else to tell it by. What is proved may be a week old.
    fn span(self) -> (i64, i64) {
        let proved = self.proved_ms.map(|proved| (proved, proved.saturating_add(OLD_NEWS_MS)));
        let (low, high) = proved.unwrap_or((BEGINNING_MS, LATEST_MS));
        let (low, high) = if self.trusted && (low..=high).contains(&self.now_ms) {
            (self.now_ms, self.now_ms)
        } else {
            (low, high)
        };
        (low.max(BEGINNING_MS), high.max(BEGINNING_MS))
    }

    /// The moment to judge a chain by: that at which all of it has begun to be valid, as far as now can be then.
    pub(super) fn moment_ms(self, begun_ms: i64) -> i64 {
        let (low, high) = self.span();
        begun_ms.clamp(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 3_600_000;
    /// 2026-11-22, about.
    const NOW: i64 = BEGINNING_MS + 690 * DAY_MS;
    const YEAR_MS: i64 = 365 * DAY_MS;

    fn valid(known: Known, from: i64, to: i64) -> bool {
        (from..=to).contains(&known.moment_ms(from))
    }

    #[test]
    fn a_certificate_is_judged_by_what_is_known_of_now() {
        let year = (NOW - YEAR_MS / 2, NOW + YEAR_MS / 2);
        let expired = (NOW - 2 * YEAR_MS, NOW - DAY_MS);
        let future = (NOW + 30 * DAY_MS, NOW + YEAR_MS);
        let right = Known { now_ms: NOW, trusted: true, proved_ms: None };
        let proved = Known { now_ms: NOW, trusted: true, proved_ms: Some(NOW - DAY_MS / 24) };
        // In 1970, and nothing known; on a shelf for years, by the last known time.
        let unset = Known { now_ms: 0, trusted: false, proved_ms: None };
        // First started with a clock years ahead: believed until somebody says otherwise.
        let ahead = Known { now_ms: NOW + 20 * YEAR_MS, trusted: true, proved_ms: None };
        let outvoted = Known { proved_ms: Some(NOW), ..ahead };
        let unset_proved = Known { proved_ms: Some(NOW), ..unset };
        for (known, [current, past, later]) in [
            (right, [true, false, false]),
            (proved, [true, false, false]),
            (unset, [true, true, true]),
            (Known::default(), [true, true, true]),
            (ahead, [false, false, false]),
            (outvoted, [true, false, false]),
            (unset_proved, [true, false, false]),
        ] {
            assert_eq!(valid(known, year.0, year.1), current, "current by {known:?}");
            assert_eq!(valid(known, expired.0, expired.1), past, "expired by {known:?}");
            assert_eq!(valid(known, future.0, future.1), later, "future by {known:?}");
        }
        assert!(!valid(unset, 0, BEGINNING_MS - DAY_MS), "older than this program");
    }

    #[test]
    fn what_meta_sent_a_week_late_does_not_keep_its_new_certificate_out() {
        let late = Known { now_ms: 0, trusted: false, proved_ms: Some(NOW - 7 * DAY_MS) };
        assert!(valid(late, NOW - DAY_MS, NOW + YEAR_MS));
        assert!(!valid(late, NOW + 3 * DAY_MS, NOW + YEAR_MS));
    }
}
