//! A running proxy and what can be done with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::counts::{Counting, Counts};
use super::fault::Fault;
use super::listener::take;
use super::loss::{RTO, SYN_RTO};
use crate::crm::CannotListen;
use crate::crm::door::{address_of, listen};

/// Connections at a time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1_024;

/// What a proxy is to be like.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// Where it is; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What stands behind it.
    pub upstream: SocketAddr,
    /// Where chance starts.
    pub seed: u64,
    /// The first retransmission timeout of [`Fault::Loss`].
    pub rto: Duration,
    /// The same of what opens a connection.
    pub syn_rto: Duration,
}

impl ProxyOptions {
    /// On any free port of loopback, with the timeouts of Linux.
    #[must_use]
    pub const fn new(upstream: SocketAddr) -> Self {
        let loopback = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        Self { listen: SocketAddr::new(loopback, 0), upstream, seed: 1, rto: RTO, syn_rto: SYN_RTO }
    }
}

/// What the connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: ProxyOptions,
    /// The fault that is to be, and the number of the change.
    pub(crate) wanted: watch::Sender<(Fault, u64)>,
    /// The fault that connections obey.
    pub(crate) fault: watch::Sender<Fault>,
    /// The number of the last change that the port has followed.
    pub(crate) settled: watch::Sender<u64>,
    pub(crate) counting: Counting,
}

/// A running proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Opens the port and lets everything pass from then on.
    ///
    /// # Errors
    /// When the port isn't free or not ours to take.
    pub fn start(options: ProxyOptions) -> Result<Self, CannotListen> {
        let listener = listen(options.listen)?;
        let address = address_of(&listener, options.listen)?;
        let shared = Arc::new(Shared {
            options,
            wanted: watch::Sender::default(),
            fault: watch::Sender::default(),
            settled: watch::Sender::default(),
            counting: Counting::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(take(Arc::clone(&shared), listener, address));
        Ok(Self { shared, address, _tasks: tasks })
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has this fault from now on; returns once the port is as the fault wants it, and with
    /// [`Fault::Refuse`] once all connections are reset. The port stays ours whatever happens.
    pub async fn set(&self, fault: Fault) {
        let mut settled = self.shared.settled.subscribe();
        let mut mine = 0;
        self.shared.wanted.send_modify(|wanted| {
            mine = wanted.1 + 1;
            *wanted = (fault, mine);
        });
        // The other end is in `self`, so this can't fail.
        let _ = settled.wait_for(|settled| *settled >= mine).await;
    }

    /// What it does to connections now.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.shared.fault.borrow()
    }

    /// What went through so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counting.read()
    }
}
