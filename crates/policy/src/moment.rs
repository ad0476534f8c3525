//! Points in monotonic time.

use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock, counted from a start that the caller chooses.
///
/// Deadlines are kept in this type, so that a wall clock that jumps moves none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The caller's start.
    pub const START: Self = Self(Duration::ZERO);

    /// The point `elapsed` after the start.
    #[must_use]
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from `earlier` until here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}
