//! The thread that answers Meta.
//!
//! One thread with a runtime of its own, whatever the number of cores: decision 10 says why.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use ingress::{ConnectionLimits, Transport, Webhook, serve_webhooks};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::admit::StoreAdmit;
use super::answers::Answers;
use super::when_true;

/// Connections that the kernel holds until they are accepted; a burst of handshakes takes a while.
const WAITING_CONNECTIONS: u32 = 1024;
/// Large bodies are taken apart beside the others; more of them wait.
const BLOCKING_THREADS: usize = 2;

/// The public listener and its thread.
pub(super) struct Front {
    thread: JoinHandle<()>,
    address: SocketAddr,
    inside: Option<SocketAddr>,
}

impl Front {
    /// Binds `address` and serves `webhook` there until `stop`, then drains. `on_trial`: also on loopback, where
    /// `address` is one that the network may not have given to this machine yet.
    ///
    /// # Errors
    /// When the address can't be bound, or the system gives no thread: the message says so.
    pub(super) fn start(
        address: SocketAddr,
        transport: Transport,
        limits: ConnectionLimits,
        webhook: Arc<Webhook<StoreAdmit>>,
        answers: Arc<Answers>,
        stop: watch::Receiver<bool>,
        on_trial: bool,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .context("no runtime for webhooks")?;
        let (listener, inner) = {
            // The sockets are watched by the runtime that they are made in.
            let _inside = runtime.enter();
            let listener =
                listen(address).with_context(|| format!("`webhook.listen`: can't listen on {address}"))?;
            let inner = if on_trial { listen_inside(listener.local_addr()?) } else { None };
            (listener, inner)
        };
        let address = listener.local_addr()?;
        let inside = inner.as_ref().and_then(|inner| inner.local_addr().ok());
        let thread = std::thread::Builder::new().name("webhooks".to_owned()).spawn(move || {
            let drained = runtime.block_on(async {
                tokio::spawn(async move { answers.hand_out().await });
                let serve = |listener: TcpListener| {
                    let (transport, webhook, stop) = (transport.clone(), Arc::clone(&webhook), stop.clone());
                    serve_webhooks(listener, transport, limits.clone(), webhook, when_true(stop))
                };
                let inner = async {
                    if let Some(inner) = inner {
                        serve(inner).await;
                    }
                };
                tokio::join!(serve(listener), inner).0
            });
            tracing::info!(cut = drained.cut, "the public listener is closed");
            runtime.shutdown_background();
        });
        Ok(Self { thread: thread.context("no thread for webhooks")?, address, inside })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the same is served on loopback, for the self-test.
    pub(super) const fn inside(&self) -> Option<SocketAddr> {
        self.inside
    }

    /// Waits for the end of the drain.
    pub(super) fn join(self) -> std::thread::Result<()> {
        self.thread.join()
    }
}

/// The same port on loopback, which is the only one that a confined process may listen on; where `address` is open
/// there already, nothing is needed.
fn listen_inside(address: SocketAddr) -> Option<TcpListener> {
    let loopback = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    if address.ip().is_unspecified() || address.ip() == loopback {
        return None;
    }
    let loopback = SocketAddr::new(loopback, address.port());
    match listen(loopback) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "the self-test has to go to {address}: no listener on {loopback}");
            None
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart doesn't wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_CONNECTIONS)
}
