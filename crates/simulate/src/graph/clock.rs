//! The simulator's sense of time, which a test may take over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A day where nobody says when days end, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What time it is for Meta: limits are counted and statuses stamped by it. Waiting isn't done by it:
/// delays are real time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since 1970. What goes back is taken as standing still.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The machine's clock, moved: a test that turns it on by a day has the next day at once.
#[derive(Debug, Clone, Default)]
pub struct MovedClock(Arc<AtomicI64>);

impl MovedClock {
    /// Turns the clock on, all clones of it too, by so many milliseconds.
    pub fn turn_on(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms().saturating_add(self.0.load(Ordering::Relaxed))
    }
}

/// A clock that only moves by hand.
#[derive(Debug, Clone, Default)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// Stands at so many milliseconds since 1970.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Sets it, and all clones of it.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }

    /// Turns it on, and all clones of it, by so many milliseconds.
    pub fn turn_on(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which local day it is: a function, so that this crate needs no tables of time zones.
#[derive(Clone)]
pub struct Days(Arc<dyn Fn(i64) -> i64 + Send + Sync>);

impl Days {
    /// Days by a function from milliseconds since 1970 to days since 1970 of the local date.
    #[must_use]
    pub fn new(day: impl Fn(i64) -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(day))
    }

    pub(crate) fn of(&self, now_ms: i64) -> i64 {
        (self.0)(now_ms)
    }
}

impl Default for Days {
    /// Days of UTC.
    fn default() -> Self {
        Self::new(|now_ms| now_ms.div_euclid(DAY_MS))
    }
}

impl fmt::Debug for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Days(..)")
    }
}

/// The date of a day since 1970, `2026-11-20`.
pub(crate) fn date(day: i64) -> String {
    let text = model::WallTime(day.saturating_mul(DAY_MS)).rfc3339_seconds();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date_and_ends_where_it_is_told() {
        let hong_kong = Days::new(|now_ms| (now_ms + 8 * 3_600_000).div_euclid(DAY_MS));
        // 2026-11-20T22:43:15Z
        let evening = 1_795_214_595_000;
        assert_eq!(date(Days::default().of(evening)), "2026-11-20");
        assert_eq!(date(hong_kong.of(evening)), "2026-11-21");
    }

    #[test]
    fn clones_of_a_clock_are_one_clock() {
        let clock = HandClock::new(5);
        let held: Arc<dyn Clock> = Arc::new(clock.clone());
        clock.turn_on(10);
        assert_eq!(held.now_ms(), 15);
        clock.set(7);
        assert_eq!(held.now_ms(), 7);
    }
}
