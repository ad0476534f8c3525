//! The proxy's port: open, closed and kept, or so full that nobody gets in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::carry::carry;
use super::counts::more;
use super::fault::Fault;
use super::server::{CONNECTIONS_MAX, Shared};
use crate::Random;
use crate::crm::door::{bind, until_done};
use crate::random::mix;

/// Connections that the kernel queues while the port is open.
pub(crate) const BACKLOG: i32 = 1_024;
/// How long filling the queue of a full port may take; it's a matter of microseconds.
const FILLING_TAKES: Duration = Duration::from_millis(250);

/// A port that takes connections.
struct Open {
    listener: TcpListener,
    /// A connection of our own that may still be in the queue, and is nobody's.
    ours: Option<SocketAddr>,
}

/// The port.
enum Port {
    Open(Open),
    /// Listening, with a queue for one, which is taken by a connection of our own: Linux drops the SYN
    /// of whoever comes next.
    Full(TcpListener, Option<TcpStream>),
    /// Bound and not listening: nobody gets in, and nobody else gets the port.
    Shut(TcpSocket),
}

/// Takes connections, as the fault of the moment has it, until it is dropped.
pub(crate) async fn take(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut wanted = shared.wanted.subscribe();
    let mut port = Port::Open(Open { listener, ours: None });
    let mut connections = JoinSet::new();
    let mut made = 0_u64;
    loop {
        let (fault, change) = *wanted.borrow_and_update();
        port = match fault {
            Fault::Refuse => shut(port, address).await,
            Fault::Unreachable => fill(port, address).await,
            Fault::Pass
            | Fault::Silent
            | Fault::ResetInAnswer { .. }
            | Fault::Delay(_)
            | Fault::Loss { .. } => Port::Open(open(port, address).await),
        };
        // After the port, so that whoever is reset now doesn't get in again at once.
        shared.fault.send_replace(fault);
        if fault == Fault::Refuse {
            while connections.join_next().await.is_some() {}
        }
        shared.settled.send_replace(change);
        let Port::Open(Open { listener, ours }) = &mut port else {
            // Fails only when the proxy is gone, and this task with it.
            let _ = wanted.changed().await;
            continue;
        };
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((_, from)) if Some(from) == *ours => *ours = None,
                Ok((client, _)) => {
                    more(&shared.counting.accepted, 1);
                    made += 1;
                    let random = Random::new(mix(shared.options.seed ^ mix(made)));
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { carry(&shared, client, random).await });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = wanted.changed() => {}
        }
    }
}

async fn open(port: Port, address: SocketAddr) -> Open {
    match port {
        Port::Open(open) => open,
        Port::Shut(socket) => {
            let listener = match socket.listen(BACKLOG.unsigned_abs()) {
                Ok(listener) => listener,
                Err(_) => until_done(|| bind(address)?.listen(BACKLOG.unsigned_abs())).await,
            };
            Open { listener, ours: None }
        }
        Port::Full(listener, filler) => {
            let ours = filler.and_then(|filler| filler.local_addr().ok());
            // Fails only for a socket that doesn't listen.
            let _ = SockRef::from(&listener).listen(BACKLOG);
            Open { listener, ours }
        }
    }
}

async fn shut(port: Port, address: SocketAddr) -> Port {
    match port {
        Port::Shut(socket) => Port::Shut(socket),
        Port::Open(Open { listener, .. }) | Port::Full(listener, _) => {
            drop(listener);
            Port::Shut(until_done(|| bind(address)).await)
        }
    }
}

async fn fill(port: Port, address: SocketAddr) -> Port {
    if let full @ Port::Full(..) = port {
        return full;
    }
    let Open { listener, .. } = open(port, address).await;
    let _ = SockRef::from(&listener).listen(0);
    let filler = tokio::time::timeout(FILLING_TAKES, TcpStream::connect(address)).await;
    // If it doesn't get in, the queue is full of others already.
    Port::Full(listener, filler.ok().and_then(Result::ok))
}
