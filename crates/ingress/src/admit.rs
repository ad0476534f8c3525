//! Where webhooks go once they are proved to be Meta's.

use std::time::Duration;

use bytes::Bytes;

/// Takes signed webhooks; the gateway's way to the disk.
pub trait Admit: Send + Sync + 'static {
    /// Returns once everything in `body` is durable, or was so by an earlier delivery.
    ///
    /// `body` is whatever Meta signed, byte for byte: perhaps no JSON, perhaps empty. The future
    /// is never dropped before its end, even when the sender hangs up, so it has to be bounded in
    /// time by itself.
    fn admit(&self, body: Bytes) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Why a signed webhook couldn't be taken: answered with 503, so that Meta sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What stood in the way.
    pub reason: Reason,
    /// When to try again; sent as `Retry-After`, rounded up to whole seconds.
    pub retry_after: Duration,
}

/// What stood in the way of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The disk or the budget of the store is used up.
    Full,
    /// More is coming in than can be written just now.
    Busy,
    /// Writing failed; the store repairs itself or the program starts again.
    Broken,
}

impl Reason {
    /// The word in `wagate_webhooks_total{result}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Busy => "busy",
            Self::Broken => "broken",
        }
    }
}
