//! What an authority suggests: ACME Renewal Information, RFC 9773.

use std::time::Duration;

use model::WallTime;
use serde::{Deserialize, Serialize};

use super::{Life, passed};
use crate::Chance;

/// How often an authority is asked that doesn't say; and after an answer that can't be used (RFC 9773, section 4.3.3).
const ASK_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// It may ask for less or more, within these (the same section has them at a minute and a day; an hour keeps a slip of
/// the pen there from costing a handshake a minute).
const ASK_EVERY_LEAST: Duration = Duration::from_secs(3_600);
const ASK_EVERY_MOST: Duration = Duration::from_secs(24 * 3_600);

/// The window in which an authority wants a certificate to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first moment, by the authority's clock.
    pub start: WallTime,
    /// The last.
    pub end: WallTime,
}

/// A moment of a window; kept, so that looking often doesn't mean renewing early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What it was chosen of.
    pub window: Window,
    /// The moment.
    pub at: WallTime,
}

/// The moment of `window` at which to renew: the one that was chosen `before` while the window is the same, else any.
/// `None` for a window that is none, or that ends when the certificate has ended.
#[must_use]
pub fn choose(before: Option<Choice>, window: Window, life: &Life, chance: &mut Chance) -> Option<Choice> {
    if let Some(choice) = before.filter(|choice| choice.window == window) {
        return Some(choice);
    }
    let span = passed(window.start, window.end).filter(|span| !span.is_zero())?;
    if window.end >= life.ends {
        return None;
    }
    let into = i64::try_from(chance.between(Duration::ZERO, span).as_millis()).ok()?;
    Some(Choice { window, at: WallTime(window.start.0.saturating_add(into)) })
}

/// How long until the authority is asked again that said `retry_after`.
#[must_use]
pub fn ask_again(retry_after: Option<Duration>) -> Duration {
    retry_after.map_or(ASK_EVERY, |asked| asked.clamp(ASK_EVERY_LEAST, ASK_EVERY_MOST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Life = Life { begins: WallTime(0), ends: WallTime(90_000) };

    #[test]
    fn a_choice_stays_for_as_long_as_the_window_does() {
        let window = Window { start: WallTime(60_000), end: WallTime(70_000) };
        let mut chance = Chance::new(1);
        let first = choose(None, window, &LIFE, &mut chance).unwrap();
        for _ in 0..100 {
            assert_eq!(choose(Some(first), window, &LIFE, &mut chance), Some(first));
        }
        let other = Window { start: WallTime(1), end: WallTime(2) };
        assert_eq!(choose(Some(first), other, &LIFE, &mut chance).unwrap().window, other);
    }

    #[test]
    fn a_window_that_is_none_is_no_choice() {
        for (start, end) in [(5, 5), (6, 5), (60_000, 90_000), (i64::MIN, i64::MAX)] {
            let window = Window { start: WallTime(start), end: WallTime(end) };
            assert_eq!(choose(None, window, &LIFE, &mut Chance::new(1)), None, "{start} {end}");
        }
    }

    #[test]
    fn an_authority_is_asked_between_once_an_hour_and_once_a_day() {
        for (asked, hours) in [(None, 6), (Some(0), 1), (Some(7_200), 2), (Some(u64::MAX), 24)] {
            assert_eq!(ask_again(asked.map(Duration::from_secs)).as_secs(), hours * 3_600);
        }
    }

    proptest! {
        #[test]
        fn what_is_chosen_lies_in_the_window(start in -90_000..90_000_i64, span in 1..90_000_i64, seed: u64) {
            let window = Window { start: WallTime(start), end: WallTime(start + span) };
            if let Some(choice) = choose(None, window, &LIFE, &mut Chance::new(seed)) {
                prop_assert!(choice.at >= window.start && choice.at <= window.end);
                prop_assert!(window.end < LIFE.ends);
            } else {
                prop_assert!(window.end >= LIFE.ends);
            }
        }
    }
}
