//! The customer service window: free-form messages for 24 h after the customer last wrote.
//!
//! It is judged at the moment of the intent, with a margin: Meta judges when the request arrives there, and
//! its answer for a request that comes too late is 131047
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages>).

/// So long after the customer's last message the window closes.
pub const SERVICE_WINDOW_MS: i64 = 24 * 3_600_000;
/// So long before that the box takes it for closed: a call may take 30 s.
pub const MARGIN_MS: i64 = 30_000;

/// When the window closes that a message of the customer's at `last_inbound_ms` opened.
#[must_use]
pub const fn closes_at(last_inbound_ms: i64) -> i64 {
    last_inbound_ms.saturating_add(SERVICE_WINDOW_MS)
}

/// Whether a free-form message may go now, given when the customer last wrote.
///
/// That a message out of the future keeps it open for no longer is up to [`after_inbound`].
#[must_use]
pub fn is_open(last_inbound_ms: Option<i64>, now_ms: i64) -> bool {
    last_inbound_ms.is_some_and(|last| now_ms < closes_at(last).saturating_sub(MARGIN_MS))
}

/// What to remember as the customer's last message when one of `inbound_ms` comes in: the latest so far, never
/// later than now, so that no window is open for longer than 24 h from now.
#[must_use]
pub fn after_inbound(last_inbound_ms: Option<i64>, inbound_ms: i64, now_ms: i64) -> i64 {
    let heard = inbound_ms.min(now_ms);
    last_inbound_ms.map_or(heard, |last| last.max(heard))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_795_132_800_000;

    #[test]
    fn the_window_is_open_for_a_day_less_half_a_minute() {
        let last = SERVICE_WINDOW_MS - MARGIN_MS;
        for (now, open) in [(0, true), (1, true), (last - 1, true), (last, false), (last + 1, false)] {
            assert_eq!(is_open(Some(T), T + now), open, "{now}");
        }
        assert!(!is_open(None, T));
        assert_eq!(closes_at(T), T + 86_400_000);
    }

    #[test]
    fn a_message_out_of_the_future_opens_no_longer_window() {
        let remembered = after_inbound(None, T + 10 * SERVICE_WINDOW_MS, T);
        assert!(is_open(Some(remembered), T));
        assert!(!is_open(Some(remembered), T + SERVICE_WINDOW_MS));
        assert!(is_open(Some(i64::MAX), T));
        assert!(!is_open(Some(i64::MIN), i64::MAX));
    }

    #[test]
    fn an_older_message_that_comes_late_shortens_no_window() {
        assert_eq!(after_inbound(Some(T), T - 5_000, T + 1), T);
        assert_eq!(after_inbound(Some(T), T + 5_000, T + 6_000), T + 5_000);
    }
}
