//! Where webhooks go once they are proved to be Meta's.

use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::OwnedSemaphorePermit;

use crate::memory::Share;

/// Takes signed webhooks; the gateway's way to the disk.
pub trait Admit: Send + Sync + 'static {
    /// Hands `body` on; the answer comes once everything in it is durable, or was so by an earlier
    /// delivery.
    ///
    /// `body` is whatever Meta signed, byte for byte: perhaps no JSON, perhaps empty. It may be a
    /// part of the connection's own buffer, so who needs it past the call copies it.
    ///
    /// The call itself sets everything going, and what it has set going ends though the future, which
    /// only waits for the answer, is dropped because the sender hung up. `place` is kept until then.
    /// An answer has to be bounded in time.
    fn admit(&self, body: Bytes, place: Place) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A webhook's place among those that are being stored, with the memory of its body; free again once
/// it is dropped.
#[derive(Debug)]
pub struct Place {
    _share: Share,
    _permit: OwnedSemaphorePermit,
    gauge: Gauge,
}

impl Place {
    pub(crate) fn new(share: Share, permit: OwnedSemaphorePermit, gauge: Gauge) -> Self {
        gauge.inc();
        Self { _share: share, _permit: permit, gauge }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
    }
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
