//! The CRM's door: connections are taken, served, cut off, and the port is shut and opened again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::answer;
use super::behaviour::Behaviour;
use super::server::Shared;

/// Connections at a time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections that the kernel queues.
const BACKLOG: u32 = 1_024;
/// Between two attempts at what the system refuses for the moment (descriptors, the port).
const PAUSE: Duration = Duration::from_millis(20);

/// Why the CRM can't start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct CannotListen {
    address: SocketAddr,
    source: std::io::Error,
}

impl CannotListen {
    pub(crate) const fn new(address: SocketAddr, source: std::io::Error) -> Self {
        Self { address, source }
    }
}

/// What isn't the port's fault has words of its own.
fn hint(source: &std::io::Error) -> &'static str {
    let ours = source.kind() == std::io::ErrorKind::InvalidInput;
    if ours { "" } else { "; is something else using that port?" }
}

pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, CannotListen> {
    bind(address).and_then(|socket| socket.listen(BACKLOG)).map_err(|source| CannotListen { address, source })
}

pub(crate) fn address_of(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, CannotListen> {
    listener.local_addr().map_err(|source| CannotListen { address: wanted, source })
}

/// The door: open, or shut with the port kept.
enum Door {
    Open(TcpListener),
    /// Bound and not listening: nobody gets in, and nobody else gets the port.
    Shut(TcpSocket),
}

pub(crate) async fn take_deliveries(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut behaviour = shared.behaviour.subscribe();
    let mut door = Door::Open(listener);
    let mut connections = JoinSet::new();
    loop {
        let (down, change) = {
            let wanted = behaviour.borrow_and_update();
            (wanted.behaviour == Behaviour::Down, wanted.change)
        };
        door = match door {
            Door::Open(listener) if down => {
                drop(listener);
                connections.shutdown().await;
                Door::Shut(until_done(|| bind(address)).await)
            }
            Door::Shut(socket) if !down => match socket.listen(BACKLOG) {
                Ok(listener) => Door::Open(listener),
                Err(_) => Door::Open(until_done(|| bind(address)?.listen(BACKLOG)).await),
            },
            same @ (Door::Open(_) | Door::Shut(_)) => same,
        };
        shared.settled.send_replace(change);
        let Door::Open(listener) = &door else {
            // Fails only when the CRM is gone, and this task with it.
            let _ = behaviour.changed().await;
            continue;
        };
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(Arc::clone(&shared), stream))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            _ = behaviour.changed() => {}
        }
    }
}

pub(crate) async fn until_done<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// One connection with deliveries.
async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    // Without it answers are slower; nothing else changes.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move { Ok::<_, Infallible>(answer::deliveries(&shared, request, reset).await) }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // However it ends, the other side knows, and that is its business.
        _ = &mut connection => {}
        () = reset.notified() => {
            let stream = connection.into_parts().io.into_inner();
            // Closing a socket that doesn't linger sends a reset.
            let _ = stream.set_zero_linger();
        }
    }
}

/// The control port; one connection at a time is enough for commands.
pub(crate) async fn take_commands(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let service = service_fn(|request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer::commands(&shared, request).await) }
        });
        let connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
        let _ = tokio::time::timeout(Duration::from_secs(10), connection).await;
    }
}
