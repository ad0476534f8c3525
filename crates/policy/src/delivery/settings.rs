//! The bounds of delivery, each with its default.

use std::time::Duration;

use crate::Backoff;

/// Jobs in flight at once in realtime mode. The baseline forwards 40,000 records a second with
/// eight lanes; more would only queue inside the CRM.
pub const DELIVERIES_IN_FLIGHT: usize = 8;
/// Jobs in flight at once in batch mode: one that hangs doesn't hold up the others.
pub const BATCHES_IN_FLIGHT: usize = 2;
/// Records read ahead.
pub const WINDOW_RECORDS: usize = 1_024;
/// Bytes read ahead, raw payload counted; one more page ([`PAGE_BYTES`], or one big record) may
/// come on top.
pub const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Records that one lane may hold of the window.
pub const LANE_SHARE: usize = 64;
/// Records read at once.
pub const PAGE_RECORDS: usize = 256;
/// Bytes read at once.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// Largest `batch_size`.
pub const BATCH_SIZE_MAX: usize = 1_000;
/// Raw payload bytes in one batch; a single record that is larger goes alone.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Between two trials while the CRM answers 401 or 403 (contract, section 5).
pub const TRIAL_EVERY: Duration = Duration::from_secs(60);
/// Tries of a record that is refused (contract, section 5).
pub const TRIES: u32 = 5;
/// How long a record may draw 5xx while others get through (contract, section 5).
pub const ALONE_FOR: Duration = Duration::from_secs(60 * 60);

/// One record per POST, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each record on its own, as soon as it is durable.
    Realtime,
    /// Several records in one POST.
    Batch {
        /// The longest that a record waits for company.
        every: Duration,
        /// A batch leaves as soon as so many wait; 1 to [`BATCH_SIZE_MAX`].
        size: usize,
    },
}

/// The bounds that [`super::Lanes`] works within.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// One record per POST, or several.
    pub mode: Mode,
    /// Jobs in flight at once, 1 or more.
    pub in_flight: usize,
    /// Records read ahead; see [`WINDOW_RECORDS`].
    pub window_records: usize,
    /// Bytes read ahead; see [`WINDOW_BYTES`].
    pub window_bytes: usize,
    /// Records that one lane may hold; see [`LANE_SHARE`].
    pub lane_share: usize,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Between two trials at a CRM that doesn't let us in; see [`TRIAL_EVERY`].
    pub trial_every: Duration,
    /// Tries of a record that is refused; see [`TRIES`].
    pub tries: u32,
    /// Patience with a record that alone draws 5xx; see [`ALONE_FOR`].
    pub alone_for: Duration,
}

impl Settings {
    /// The defaults for `mode`, with a batch size held within its bounds and a window that holds
    /// several batches.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        let (mode, in_flight, size) = match mode {
            Mode::Realtime => (mode, DELIVERIES_IN_FLIGHT, 1),
            Mode::Batch { every, size } => {
                let size = size.clamp(1, BATCH_SIZE_MAX);
                (Mode::Batch { every, size }, BATCHES_IN_FLIGHT, size)
            }
        };
        Self {
            mode,
            in_flight,
            window_records: WINDOW_RECORDS.max(size * 4),
            window_bytes: WINDOW_BYTES,
            lane_share: LANE_SHARE.max(size),
            backoff: Backoff::default(),
            trial_every: TRIAL_EVERY,
            tries: TRIES,
            alone_for: ALONE_FOR,
        }
    }
}
