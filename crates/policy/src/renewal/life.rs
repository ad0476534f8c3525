//! How old a certificate is, and what follows from it.

use std::time::Duration;

use model::WallTime;

use super::passed;

/// An alarm is up from this long before the end; less where lives are shorter than 47 days, see
/// [`Life::alarm_before`].
pub const ALARM_BEFORE: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Authorities write a time up to an hour in the past into `notBefore`, and clocks are off by a day at most when they
/// aren't off by years.
const EARLY: Duration = Duration::from_secs(24 * 3_600);

/// From when until when a certificate is valid, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// `notBefore`
    pub begins: WallTime,
    /// `notAfter`
    pub ends: WallTime,
}

/// How much a renewal matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// There is time.
    Calm,
    /// The end is near: an alarm is up.
    Near,
    /// There is no certificate that is valid.
    Over,
}

impl Life {
    /// How long it is valid in all.
    #[must_use]
    pub fn length(&self) -> Duration {
        passed(self.begins, self.ends).unwrap_or_default()
    }

    /// How much of it is over: by `now`, knowing that it came when the clock said `got`, and that the box itself saw
    /// `watched` pass since.
    #[must_use]
    pub fn age(&self, got: WallTime, watched: Duration, now: WallTime) -> Duration {
        let was_right = got >= self.begins.minus(EARLY) && got < self.ends;
        let told = if was_right {
            passed(self.begins, now)
        } else {
            // The clock was wrong then. If it still is it tells what has passed since; if not, what it says is true.
            [passed(got, now), passed(self.begins, now)].into_iter().flatten().min()
        };
        told.unwrap_or_default().max(watched)
    }

    /// The age at which it is renewed: two thirds of its life, or the moment that was chosen of the authority's
    /// window, which is never so late that an alarm would be up before it was tried.
    #[must_use]
    pub fn due_at(&self, chosen: Option<WallTime>) -> Duration {
        let length = self.length();
        match chosen {
            Some(at) => {
                let latest = length.saturating_sub(self.alarm_before() + length / 30);
                passed(self.begins, at).unwrap_or_default().min(latest)
            }
            None => length / 3 * 2,
        }
    }

    /// How long before its end an alarm is due: [`ALARM_BEFORE`], or three tenths of its life, which is most of what is
    /// left when it ought to be renewed.
    #[must_use]
    pub fn alarm_before(&self) -> Duration {
        ALARM_BEFORE.min(self.length() / 10 * 3)
    }

    /// How long after this age [`Life::urgency`] says something else; `None` once it is over.
    #[must_use]
    pub fn turns_after(&self, age: Duration) -> Option<Duration> {
        let near = self.length().saturating_sub(self.alarm_before()) + Duration::from_millis(1);
        [near, self.length()].into_iter().find(|turn| *turn > age).map(|turn| turn - age)
    }

    /// How much a renewal matters at this age.
    #[must_use]
    pub fn urgency(&self, age: Duration) -> Urgency {
        match self.length().saturating_sub(age) {
            Duration::ZERO => Urgency::Over,
            left if left < self.alarm_before() => Urgency::Near,
            _ => Urgency::Calm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T00:00:00Z.
    const T: i64 = 1_795_132_800_000;
    const DAY: i64 = 24 * 3_600_000;
    const LIFE: Life = Life { begins: WallTime(T - 3_600_000), ends: WallTime(T - 3_600_000 + 90 * DAY) };

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 24 * 3_600)
    }

    fn age(got: i64, watched: Duration, now: i64) -> u64 {
        LIFE.age(WallTime(got), watched, WallTime(now)).as_secs() / (24 * 3_600)
    }

    #[test]
    fn the_age_is_right_by_a_right_clock_and_bounded_by_a_wrong_one() {
        let years = 10 * 365 * DAY;
        for (what, got, watched, now, expected) in [
            ("right", T, 0, T + 60 * DAY, 60),
            ("fetched late, of an order that had been forgotten", T + 50 * DAY, 0, T + 60 * DAY, 60),
            ("ten years ahead then and now", T + years, 0, T + years + 5 * DAY, 5),
            ("ten years ahead then, right now", T + years, 0, T + 5 * DAY, 5),
            ("in 1970 then and now", 0, 0, 5 * DAY, 5),
            ("in 1970 then, right now", 0, 0, T + 5 * DAY, 5),
            ("right then, in 1970 now: what the box saw pass", T, 5, 0, 5),
            ("right then, ten years ahead now: once more", T, 0, T + years, 3650),
            ("slower than what the box saw pass", T, 70, T + 5 * DAY, 70),
        ] {
            assert_eq!(age(got, days(watched), now), expected, "{what}");
        }
    }

    #[test]
    fn it_is_renewed_at_two_thirds_or_when_the_authority_says_so() {
        assert_eq!(LIFE.due_at(None), days(60));
        assert_eq!(LIFE.due_at(Some(WallTime(LIFE.begins.0 + 10 * DAY))), days(10));
        assert_eq!(LIFE.due_at(Some(WallTime(0))), Duration::ZERO, "the authority is in a hurry");
        assert_eq!(LIFE.due_at(Some(WallTime(T + 1_000 * DAY))), days(73), "three days before the alarm");
    }

    #[test]
    fn an_alarm_is_up_for_fourteen_days_or_three_tenths_of_a_short_life() {
        assert_eq!(LIFE.alarm_before(), days(14));
        for (age, expected) in [
            (0, Urgency::Calm),
            (76, Urgency::Calm),
            (77, Urgency::Near),
            (89, Urgency::Near),
            (90, Urgency::Over),
        ] {
            assert_eq!(LIFE.urgency(days(age)), expected, "{age}");
            let turn = LIFE.turns_after(days(age)).map(|wait| LIFE.urgency(days(age) + wait));
            assert_eq!(turn.is_none(), expected == Urgency::Over);
            assert!(turn.is_none_or(|then| then >= expected), "{age}");
        }
        let to_near = LIFE.turns_after(days(70)).unwrap();
        assert_eq!(LIFE.urgency(days(70) + to_near), Urgency::Near);
        assert_eq!(LIFE.urgency(days(70) + to_near - Duration::from_millis(1)), Urgency::Calm);
        let short = Life { ends: WallTime(LIFE.begins.0 + 6 * DAY), ..LIFE };
        assert_eq!(short.alarm_before(), days(18) / 10);
        assert!(short.due_at(None) < short.length() - short.alarm_before());
        let none = Life { ends: LIFE.begins, ..LIFE };
        assert_eq!(none.urgency(Duration::ZERO), Urgency::Over);
    }
}
