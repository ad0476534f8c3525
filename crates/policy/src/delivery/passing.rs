//! Whether records get through: what a 5xx says hangs on that.

use super::verdict::{Failure, Verdict};

/// Whether a 5xx speaks against the endpoint in use, or may be about what a record holds.
///
/// It speaks against the endpoint unless a record was accepted since the failure before it: so the first one
/// after good traffic may be chance, the second in a row isn't, and a record that fails while others get
/// through proves nothing. How many lanes wait, and whether the gate is closed, doesn't matter: where one
/// contact has written, its record is all that can tell. One of these for each time that an endpoint is in use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passing {
    accepted_since_failure: bool,
}

impl Passing {
    /// Takes an answer down, in the order in which they come. True for a failure that is the endpoint's own.
    pub const fn answered(&mut self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Accepted => self.accepted_since_failure = true,
            Verdict::Retry { failure: Failure::Server, .. } => {
                return !std::mem::replace(&mut self.accepted_since_failure, false);
            }
            Verdict::Retry { failure: Failure::NotSent | Failure::Unknown, .. } => {
                self.accepted_since_failure = false;
                return true;
            }
            // What is said of us is no failure of the endpoint, and nothing that got through.
            Verdict::Retry { failure: Failure::Busy, .. } | Verdict::Unauthorized | Verdict::Refused => {}
        }
        false
    }
}
