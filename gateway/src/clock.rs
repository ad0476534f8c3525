//! The wall clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use model::WallTime;

/// What the box's clock says. It may be wrong by years: nothing but labels and ages come from it.
#[must_use]
pub(crate) fn now() -> WallTime {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    WallTime(ms)
}
