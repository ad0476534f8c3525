//! What the configuration says of sending.

use std::collections::BTreeMap;

use policy::sending::{RateCard, Zone};

/// Everything that is decided by configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The numbers, by `phone_number_id`.
    pub numbers: BTreeMap<String, Number>,
    /// How long an uncertain message waits before it is sent again, by [`model::Priority`];
    /// `None` where a person decides.
    pub send_again_after_ms: [Option<i64>; 3],
    /// How long a message is kept after it was over.
    pub history_ms: i64,
    /// What messages cost, where that is known.
    pub rates: Option<RateCard>,
}

/// A number and its limits.
#[derive(Debug, Clone)]
pub struct Number {
    /// Whose midnight begins its day.
    pub zone: Zone,
    /// Whose unique recipients its are.
    pub portfolio: String,
    /// Messages a local day.
    pub messages_per_day: u64,
    /// API calls a local day.
    pub calls_per_day: u64,
    /// Unique recipients outside the service window in a moving 24 h, for the whole portfolio.
    pub recipients_per_day: u64,
    /// Messages a second.
    pub per_second: u32,
    /// Past this share of any limit campaign messages go in batches.
    pub batch_above: f64,
    /// How often a batch goes.
    pub batch_every_ms: i64,
    /// How many endpoints serve it; with none nothing goes.
    pub endpoints: usize,
}

/// Calls in flight for one number: what a crash costs in units at most.
pub const CALLS_MAX: u32 = 8;
/// Messages in flight to one endpoint where there is another: when none of them is answered any more, they hang for as
/// long as a call may take, and the other endpoint has the rest of the places meanwhile, one for a probe aside.
pub(crate) const POSTS_MAX: u32 = 5;
/// No call lasts longer: connecting and the answer have 30 s together, and a busy box its time.
pub(crate) const CALL_MS: i64 = 45_000;
/// An uncertain message holds its recipient for so long.
pub(crate) const UNCERTAIN_HOLD_MS: i64 = 60_000;
/// A free-form message without a window is given up after so long, unless its caller says otherwise.
pub(crate) const WINDOW_HOLD_MS: i64 = 24 * HOUR_MS;
/// Any other message is given up after so long, unless its caller says otherwise: nothing waits for ever.
pub(crate) const WAIT_MAX_MS: i64 = 30 * 24 * HOUR_MS;
/// A message that isn't read so long after it was accepted is reported.
pub(crate) const UNREAD_AFTER_MS: i64 = 24 * HOUR_MS;
/// The moving day of unique recipients and of pushes: a day, and the time that a call may be on its way. Meta counts
/// by when it had the first of two, the box by when that left.
pub(crate) const MOVING_DAY_MS: i64 = 24 * HOUR_MS + ARRIVES_WITHIN_MS;
/// A call that was cut off has arrived after so long, or never will.
pub(crate) const ARRIVES_WITHIN_MS: i64 = 60_000;
/// A stopped channel tries one message after so long.
pub(crate) const TRIAL_EVERY_MS: i64 = 5 * 60_000;
/// A person has two lanes by names that were joined since, and a message is under way in the other one: when it is
/// looked at again.
pub(crate) const JOINED_LOOK_MS: i64 = 1_000;
/// A message that is refused so often as if nothing got through, without a code or while others do get through,
/// fails: it may be the message.
pub(crate) const STOPS_MAX: u32 = 5;
/// Messages whose lanes a stop holds, at once: those in flight, one trial after another, and some to spare.
pub(crate) const TRIED_MAX: usize = 2 * CALLS_MAX as usize;
/// How long a status waits for its message: whatsapp keeps the answer no longer than a call may take.
pub(crate) const EARLY_KEPT_MS: i64 = 15 * 60_000;
/// Statuses of one message that wait for it.
pub(crate) const EARLY_MAX: usize = 8;
/// How long after a doubted window the message is tried once more.
pub(crate) const DOUBT_MS: i64 = 5_000;
/// Messages that aren't over, of all numbers: some 200 MB on disk.
pub const OPEN_MAX: u64 = 200_000;
/// Steps of a message's history that are kept.
pub(crate) const HISTORY_MAX: usize = 48;
/// Messages judged, and timers looked at, in one turn.
pub(crate) const TURN_MAX: usize = 64;
/// One call in so many is kept for probes of the endpoints.
pub(crate) const PROBE_SHARE: u64 = 100;
/// And so many at most.
pub(crate) const PROBES_MAX: u64 = 100;
/// One call in so many of those for messages may be a [`Look`](crate::Other::Look). Whoever may read causes them, without
/// end if their program loops; a download takes two. The other half is left for messages, whatever is looked at.
pub(crate) const LOOK_SHARE: u64 = 2;
pub(crate) const HOUR_MS: i64 = 3_600_000;

impl Number {
    /// Whether there is an endpoint to post to.
    #[must_use]
    pub const fn has_route(&self) -> bool {
        self.endpoints > 0
    }

    /// Calls in flight but probes. With a backup one place is kept for probes: when all calls hang, somebody has
    /// to find out how the endpoints are.
    pub(crate) const fn calls_max(&self) -> u32 {
        if self.endpoints > 1 { CALLS_MAX - 1 } else { CALLS_MAX }
    }

    /// Messages in flight to the endpoint in use.
    pub(crate) const fn posts_max(&self) -> u32 {
        if self.endpoints > 1 { POSTS_MAX } else { CALLS_MAX }
    }

    /// Calls that messages and media may use; the rest is for probes.
    pub(crate) fn calls_for_messages(&self) -> u64 {
        self.calls_per_day - (self.calls_per_day / PROBE_SHARE).min(PROBES_MAX)
    }

    /// Calls of these that looks may use.
    pub(crate) fn calls_for_looks(&self) -> u64 {
        self.calls_for_messages() / LOOK_SHARE
    }
}
