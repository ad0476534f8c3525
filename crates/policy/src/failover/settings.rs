//! The bounds of failover.

use std::time::Duration;

/// Strikes nearer to one another than this count once: calls that were under way together see one and the
/// same trouble.
pub const STRIKES_APART: Duration = Duration::from_millis(500);
/// After a strike of a live call the endpoint is probed so soon: whether it is the endpoint is to be known
/// in seconds.
pub const CONFIRM_AFTER: Duration = Duration::from_secs(1);
/// How often the good probes that closing a breaker takes may double: with the defaults to 64 minutes of them.
pub const HYSTERESIS_MAX: u32 = 7;
/// Who answers that we aren't let in, or ask too often, is probed more rarely by this factor: a probe is a
/// call like any other, and a person has to see to it.
pub const NEUTRAL_RECHECKS: u32 = 30;

/// What happened so many rechecks ago is long ago, however often endpoints are probed: an hour by default.
pub const LONG_RECHECKS: u32 = 360;

/// `[whatsapp.health]` and `[crm.health]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Between probes of a quiet, healthy endpoint.
    pub every: Duration,
    /// Between probes after a bad one.
    pub recheck: Duration,
    /// An answer within this time is good.
    pub normal: Duration,
    /// A later answer is a strike; at least [`Settings::normal`].
    pub slow: Duration,
    /// So many strikes open the breaker; at least 1.
    pub strikes: u32,
    /// So many good probes in a row close it, or so many calls answered in time; at least 1.
    pub recover: u32,
}

impl Default for Settings {
    /// The contract's (section 2).
    fn default() -> Self {
        Self {
            every: Duration::from_secs(3600),
            recheck: Duration::from_secs(10),
            normal: Duration::from_millis(800),
            slow: Duration::from_millis(1500),
            strikes: 3,
            recover: 3,
        }
    }
}

impl Settings {
    /// Good probes in a row that close a breaker.
    pub(super) const fn patience(&self, level: u32) -> u32 {
        self.recover.saturating_mul(1 << if level < HYSTERESIS_MAX { level } else { HYSTERESIS_MAX })
    }

    /// A long time: `every`, and no less than [`LONG_RECHECKS`], so that a configuration that probes often doesn't
    /// forget as fast.
    pub(super) fn long(&self) -> Duration {
        self.every.max(self.recheck.saturating_mul(LONG_RECHECKS))
    }

    /// How many levels an endpoint is forgiven whose breaker stayed closed for so long: one for each long time, or
    /// for each of what closing it had taken where that was longer.
    pub(super) fn forgiven(&self, level: u32, stayed: Duration) -> u32 {
        let each = self.long().max(self.recheck.saturating_mul(self.patience(level))).as_millis().max(1);
        u32::try_from(stayed.as_millis() / each).unwrap_or(u32::MAX)
    }

    /// Between probes of an endpoint that says that it is us.
    pub(super) fn neutral(&self) -> Duration {
        self.recheck.saturating_mul(NEUTRAL_RECHECKS).min(self.every.max(self.recheck))
    }
}
