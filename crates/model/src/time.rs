//! Points in wall-clock time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, as some clock told them.
///
/// Wall time is policy, never order: the box's clock may be wrong by years (it has no battery),
/// so order comes from [`crate::Sequence`] and deadlines from a monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct WallTime(pub i64);

/// 0000-01-01T00:00:00Z, the first instant that RFC 3339 can write.
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-30T22:00:00Z, the last one that every zone can still write with four digits.
const LAST_MS: i64 = 253_402_207_200_000;
const DAY_MS: i64 = 24 * 3600 * 1_000;

impl WallTime {
    /// The instant `seconds` after 1970, held within the years 0 to 9999.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The instant so long before.
    #[must_use]
    pub fn minus(self, time: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// RFC 3339 in UTC without fractions, `2026-11-20T22:43:15Z`; an instant outside the years 0
    /// to 9999 is written as the nearest one inside (the last is 9999-12-30T22:00:00Z, which every
    /// zone can still write with four digits).
    #[must_use]
    pub fn rfc3339_seconds(self) -> String {
        let mut text = self.digits();
        text[19] = b'Z';
        text[..20].iter().map(|digit| char::from(*digit)).collect()
    }

    /// RFC 3339 in UTC with milliseconds, `2026-11-20T22:43:15.042Z`.
    #[must_use]
    pub fn rfc3339_millis(self) -> String {
        self.digits().iter().map(|digit| char::from(*digit)).collect()
    }

    /// Appends [`Self::rfc3339_seconds`] where the instant has no milliseconds, else
    /// [`Self::rfc3339_millis`].
    pub fn push_rfc3339(self, out: &mut Vec<u8>) {
        if self.0 % 1_000 == 0 {
            out.extend_from_slice(&self.digits()[..19]);
            out.push(b'Z');
        } else {
            self.push_rfc3339_millis(out);
        }
    }

    /// Appends [`Self::rfc3339_millis`].
    pub fn push_rfc3339_millis(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.digits());
    }

    /// `2026-11-20T22:43:15.042Z`.
    fn digits(self) -> [u8; 24] {
        let ms = self.0.clamp(FIRST_MS, LAST_MS);
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let ms = ms.rem_euclid(DAY_MS);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], ms / 3_600_000);
        put(&mut text[14..16], ms / 60_000 % 60);
        put(&mut text[17..19], ms / 1_000 % 60);
        put(&mut text[20..23], ms % 1_000);
        text
    }
}

/// Writes a number with leading zeros.
fn put(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        // One digit.
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Year, month and day of a day since 1970, in the Gregorian calendar carried back.
///
/// Years are counted from March, so that the odd day of leap years comes last, in eras of 400
/// years, which all have the same number of days: `civil_from_days` of
/// <https://howardhinnant.github.io/date_algorithms.html>.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_the_contract_shows() {
        let time = WallTime(1_795_214_595_042);
        assert_eq!(time.rfc3339_seconds(), "2026-11-20T22:43:15Z");
        assert_eq!(time.rfc3339_millis(), "2026-11-20T22:43:15.042Z");
        let mut out = Vec::new();
        time.push_rfc3339(&mut out);
        WallTime(1_795_214_595_000).push_rfc3339(&mut out);
        assert_eq!(out, b"2026-11-20T22:43:15.042Z2026-11-20T22:43:15Z");
    }

    #[test]
    fn years_that_cannot_be_written_become_the_nearest_that_can() {
        assert_eq!(WallTime(i64::MAX).rfc3339_seconds(), "9999-12-30T22:00:00Z");
        assert_eq!(WallTime::from_seconds(i64::MIN).rfc3339_seconds(), "0000-01-01T00:00:00Z");
        assert_eq!(LAST_MS, jiff::Timestamp::MAX.as_second() * 1_000);
    }

    #[test]
    fn days_are_written_as_another_calendar_writes_it() {
        // A step that meets every day of the week, every hour and every millisecond.
        let steps = std::iter::successors(Some(FIRST_MS), |ms| ms.checked_add(61_234_567_891));
        for ms in steps.take_while(|ms| *ms <= LAST_MS).chain(-100_000..100_000) {
            let theirs = jiff::Timestamp::from_millisecond(ms).unwrap();
            assert_eq!(WallTime(ms).rfc3339_millis(), format!("{theirs:.3}"));
            assert_eq!(WallTime(ms).rfc3339_seconds(), format!("{theirs:.0}"));
        }
        // Every day of 400 years, after which the calendar begins again.
        for day in (0..146_097).map(|day| day * DAY_MS) {
            let theirs = jiff::Timestamp::from_millisecond(day).unwrap();
            assert_eq!(WallTime(day).rfc3339_seconds(), theirs.to_string());
        }
    }
}
