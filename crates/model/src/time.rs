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

impl WallTime {
    /// The instant `seconds` after 1970, held within the years 0 to 9999.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// RFC 3339 in UTC without fractions, `2026-11-20T22:43:15Z`; an instant outside the years 0
    /// to 9999 is written as the nearest one inside (the last is 9999-12-30T22:00:00Z, which every
    /// zone can still write with four digits).
    #[must_use]
    pub fn rfc3339_seconds(self) -> String {
        format!("{:.0}", self.in_range())
    }

    /// RFC 3339 in UTC with milliseconds, `2026-11-20T22:43:15.042Z`.
    #[must_use]
    pub fn rfc3339_millis(self) -> String {
        format!("{:.3}", self.in_range())
    }

    fn in_range(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.clamp(FIRST_MS, jiff::Timestamp::MAX.as_second() * 1_000))
            .unwrap_or_default()
    }
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
    }

    #[test]
    fn years_that_cannot_be_written_become_the_nearest_that_can() {
        assert_eq!(WallTime(i64::MAX).rfc3339_seconds(), "9999-12-30T22:00:00Z");
        assert_eq!(WallTime::from_seconds(i64::MIN).rfc3339_seconds(), "0000-01-01T00:00:00Z");
    }
}
