//! What went through.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections accepted, those that went silent included.
    pub accepted: u64,
    /// Connections made to what stands behind.
    pub connected: u64,
    /// Connections that the proxy reset.
    pub reset: u64,
    /// Bytes to what stands behind.
    pub up: u64,
    /// Bytes back.
    pub down: u64,
    /// Requests forwarded: how often bytes came from the client that followed on an answer or a new
    /// connection. That is right for plain HTTP/1.1 without pipelining; with TLS the client's parts of
    /// the handshake count as well.
    pub requests: u64,
}

/// The same under the pen.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) accepted: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) reset: AtomicU64,
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
    pub(crate) requests: AtomicU64,
}

impl Counting {
    pub(crate) fn read(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.accepted),
            connected: read(&self.connected),
            reset: read(&self.reset),
            up: read(&self.up),
            down: read(&self.down),
            requests: read(&self.requests),
        }
    }
}

/// One more.
pub(crate) fn more(count: &AtomicU64, by: usize) {
    count.fetch_add(by as u64, Ordering::Relaxed);
}
