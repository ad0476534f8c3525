//! What can be wrong with a network.

use std::time::Duration;

/// A fault of the [`super::Proxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// None.
    #[default]
    Pass,
    /// The port is closed: whoever connects is refused, and all connections are reset.
    Refuse,
    /// A black hole that swallows connecting, too: the queue of the port is full, so that Linux drops
    /// what would open a connection, and whoever connects waits. Connections that are open go silent;
    /// nothing is lost, and all of it goes on once the fault is over, as with a network that comes back.
    Unreachable,
    /// A black hole behind something that still answers: connections are accepted and silent.
    Silent,
    /// What is asked goes through; the connection is reset when more than `after` bytes of the answer
    /// have come, of which these go through: with 0 when the first one comes. Behind TLS the server's
    /// part of the handshake is an answer as well.
    ResetInAnswer {
        /// Bytes of one answer.
        after: u64,
    },
    /// Each answer comes so much later. Behind TLS the handshake has answers, too.
    Delay(Duration),
    /// So many of 100 packets are lost, both ways, see [`super::loss`]. A lost SYN can't be played
    /// after the kernel has answered it, so that it looks like a first answer that comes late.
    Loss {
        /// Of 100.
        percent: u32,
    },
}

impl Fault {
    /// Nothing goes through, and nothing is reset.
    pub(crate) const fn holds(self) -> bool {
        matches!(self, Self::Unreachable | Self::Silent)
    }
}
