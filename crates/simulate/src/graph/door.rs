//! The doors of the simulated Graph: one for the store's calls, one for commands.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::front::Front;
use super::shared::Shared;
use super::{answer, control};

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// Between two attempts at what the system refuses for the moment.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a TLS handshake may take.
const HANDSHAKE_TAKES: Duration = Duration::from_secs(10);
/// How long one command may take.
const COMMAND_TAKES: Duration = Duration::from_secs(10);

/// Serves the store.
pub(crate) async fn take_calls(
    shared: Arc<Shared>,
    front: Arc<Front>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    let (shared, front) = (Arc::clone(&shared), Arc::clone(&front));
                    connections.spawn(welcome(shared, front, stream, tls.clone()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn welcome(shared: Arc<Shared>, front: Arc<Front>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Without it answers are slower; nothing else changes.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(shared, front, stream).await,
        Some(tls) => {
            // Who doesn't believe the certificate leaves, and that is its business.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TAKES, tls.accept(stream)).await {
                serve(shared, front, stream).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, front: Arc<Front>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| {
        let (shared, front) = (Arc::clone(&shared), Arc::clone(&front));
        async move { answer::answer(&shared, &front, request).await }
    });
    // However it ends, the other side knows, and that is its business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Serves commands, one connection at a time.
pub(crate) async fn take_commands(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let service = service_fn(|request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, std::convert::Infallible>(control::command(&shared, request).await) }
        });
        let connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
        let _ = tokio::time::timeout(COMMAND_TAKES, connection).await;
    }
}
