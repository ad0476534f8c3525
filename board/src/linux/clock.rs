//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec};

use crate::{BoardError, Code};

/// Sets the clock to `now_ms`, milliseconds since 1970.
///
/// # Errors
/// [`Code::Unsupported`] for a time before `floor_ms`, which lies in the past for certain; what the system says.
pub fn set_clock(now_ms: i64, floor_ms: i64) -> Result<(), BoardError> {
    if now_ms < floor_ms {
        return Err(BoardError::new(
            Code::Unsupported,
            format!(
                "{now_ms} ms since 1970 lies before the firmware was built ({floor_ms}); the time source is wrong"
            ),
        ));
    }
    let time =
        Timespec { tv_sec: now_ms.div_euclid(1000), tv_nsec: (now_ms.rem_euclid(1000) * 1_000_000) as _ };
    rustix::time::clock_settime(ClockId::Realtime, time).map_err(|error| BoardError::io("the clock", error))
}

/// Sets the clock to `floor_ms` where it stands before that. Says whether it did.
///
/// # Errors
/// What the system says.
pub fn set_clock_at_least(floor_ms: i64) -> Result<bool, BoardError> {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    if i64::try_from(passed).is_ok_and(|now_ms| now_ms >= floor_ms) {
        return Ok(false);
    }
    set_clock(floor_ms, floor_ms).map(|()| true)
}
