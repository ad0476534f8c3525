//! What a store may use, and when it works in the background.

use std::time::Duration;

/// Bytes that the device writes as one: groups start on such a boundary.
pub(crate) const BLOCK: u64 = 4096;

/// A segment of the intake log, by default.
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;
/// Segments in the ring, by default: one is written, one is folded, two give way to a slow card.
pub(crate) const SEGMENTS: u32 = 4;
/// The smallest segment that holds the largest webhook (4 MiB) as a single record.
pub const SEGMENT_BYTES_MIN: u64 = 5 << 20;

/// Live data, by default.
pub(crate) const MAX_BYTES: u64 = 4 << 30;
/// How long history is kept, by default.
pub(crate) const HISTORY: Duration = Duration::from_secs(180 * 24 * 3600);
/// How long a duplicate is recognised. Meta sends again for up to 7 days; the contract says 8.
pub(crate) const REMEMBER_DAYS: u64 = 9;

/// Jobs that wait for the writer: more than that many callers are told to come back.
pub(crate) const JOBS_MAX: usize = 1024;
/// Bytes of one group commit; a larger webhook is a group of its own, and from twice as much on goes in parts.
pub(crate) const GROUP_BYTES: usize = 1 << 20;

/// redb's page cache. Inserts and expiry are led by time, so a few hot pages are enough for intake; twice as much
/// takes 6 MiB more memory under load, past what a box has for it, and only helps to queue on top of 100,000
/// messages that wait (a seventh faster).
pub(crate) const CACHE_BYTES: usize = 4 << 20;

/// How the store is to be run. [`Options::default`] is what a box uses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of one segment of the intake log; a multiple of [`BLOCK`].
    pub segment_bytes: u64,
    /// Segments in the ring; at least 2.
    pub segments: u32,
    /// Live data at most: history, what waits for delivery, dead letters and their indexes.
    pub max_bytes: u64,
    /// Delivered records older than this are dropped, by time that the box itself saw pass.
    pub history: Duration,
    /// Whether records wait to be delivered. Without, nothing counts as undelivered.
    pub deliver: bool,
    /// The tail is folded into redb when it holds this many records.
    pub fold_records: usize,
    /// … or this many bytes of log.
    pub fold_bytes: u64,
    /// … or when its oldest entry is this old.
    pub fold_every: Duration,
    /// Longest wait for a free segment before intake is refused.
    pub fold_wait: Duration,
    /// Delivered marks that no group has taken along are synced after this long.
    pub sync_marks: Duration,
    /// redb's page cache in bytes.
    pub cache_bytes: usize,
    /// Writes no later data format than it finds, so that the version before can still read all: for a version
    /// that is on trial. Without, an earlier format is raised to [`crate::DATA_FORMAT`] by opening it.
    pub keep_format: bool,
    /// Nothing is folded before [`Store::begin_folding`](crate::Store::begin_folding): a fold that finds the disk full
    /// closes the index for minutes, and whoever reads what was kept before he can go on would find it closed.
    pub hold_folds: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            segments: SEGMENTS,
            max_bytes: MAX_BYTES,
            history: HISTORY,
            deliver: true,
            // 8,192 records of 700 bytes cost one commit of some 2.5 MB: the fixed price of a
            // commit (three to ten hundred KB on a large file) is then under 100 bytes a record.
            fold_records: 8192,
            fold_bytes: SEGMENT_BYTES,
            // A quiet box has nothing to gain from a commit: what is in the log is durable.
            fold_every: Duration::from_secs(6 * 3600),
            fold_wait: Duration::from_secs(2),
            sync_marks: Duration::from_secs(10),
            cache_bytes: CACHE_BYTES,
            keep_format: false,
            hold_folds: false,
        }
    }
}
