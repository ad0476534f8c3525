//! The thread that answers Meta.
//!
//! One thread with a runtime of its own, whatever the number of cores: decision 11 says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use ingress::{ConnectionLimits, Transport, Webhook, serve_webhooks};
use tokio::net::{TcpListener, TcpSocket};

use super::admit::StoreAdmit;
use super::answers::Answers;

/// Connections that the kernel holds until they are accepted; a burst of handshakes takes a while.
const WAITING_CONNECTIONS: u32 = 1024;
/// Large bodies are taken apart beside the others; more of them wait.
const BLOCKING_THREADS: usize = 2;

/// The public listener and its thread.
pub(super) struct Front {
    thread: JoinHandle<()>,
    address: SocketAddr,
}

impl Front {
    /// Binds `address` and serves `webhook` there until `stop`, then drains.
    ///
    /// # Errors
    /// When the address can't be bound, or the system gives no thread: the message says so.
    pub(super) fn start(
        address: SocketAddr,
        transport: Transport,
        webhook: Arc<Webhook<StoreAdmit>>,
        answers: Arc<Answers>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .context("no runtime for webhooks")?;
        let listener = {
            // The sockets are watched by the runtime that they are made in.
            let _inside = runtime.enter();
            listen(address).with_context(|| format!("`webhook.listen`: can't listen on {address}"))?
        };
        let address = listener.local_addr()?;
        let thread = std::thread::Builder::new().name("webhooks".to_owned()).spawn(move || {
            let drained = runtime.block_on(async {
                tokio::spawn(async move { answers.hand_out().await });
                serve_webhooks(listener, transport, ConnectionLimits::default(), webhook, stop).await
            });
            tracing::info!(cut = drained.cut, "the public listener is closed");
            runtime.shutdown_background();
        });
        Ok(Self { thread: thread.context("no thread for webhooks")?, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end of the drain.
    pub(super) fn join(self) -> std::thread::Result<()> {
        self.thread.join()
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart doesn't wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_CONNECTIONS)
}
