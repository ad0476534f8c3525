//! What an answer of the CRM means.

use std::time::Duration;

/// What becomes of a job after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The CRM has it: 2xx, or 409 for what it had already.
    Accepted,
    /// Nobody is to blame for good: the same again later, for ever.
    Retry {
        /// What went wrong.
        failure: Failure,
        /// How long the CRM asked us to stay away, as it said; bounds are applied later.
        retry_after: Option<Duration>,
    },
    /// The CRM doesn't let us in (401, 403): a person must see to the credentials.
    Unauthorized,
    /// The CRM won't have it (other 4xx, and 3xx, which are never followed).
    Refused,
}

/// The ways in which a try comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection: nothing was sent.
    NotSent,
    /// Sent, and no answer in time, or the connection broke: the CRM may have it or not.
    Unknown,
    /// 408, 425 or 429: not now.
    Busy,
    /// 5xx.
    Server,
}
