//! The accept loop: connections in, within limits, to any hyper service.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, warn};

use crate::connections::{Connection, Connections, Peer};
use crate::limits::ConnectionLimits;
use crate::metrics::ListenerMetrics;
use crate::occupying::Occupying;
use crate::paced::Paced;
use crate::proxy::{self, Said};
use crate::quiet::Quiet;
use crate::tls::Tls;
use crate::turns::Turns;

/// What a connection speaks below HTTP.
#[derive(Debug, Clone)]
pub enum Transport {
    /// TLS with this certificate.
    Tls(Tls),
    /// Nothing: for loopback only, which the caller sees to.
    Plain,
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because the time for draining was over.
    pub cut: usize,
    /// How long draining took.
    pub took: Duration,
}

/// After EMFILE and its like: long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are accepted before those that are there have their turn. Who is told to go needs one, and a flood must
/// not keep the others from theirs.
const ACCEPTED_AT_ONCE: u32 = 16;
/// Time for the last bytes of a connection that is being closed (GOAWAY, close_notify).
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// Bytes that a peer may send ahead on one HTTP/2 stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for the whole connection.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of an answer kept for a stream that isn't read; our answers are tiny.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were opened and reset before anybody looked (rapid reset, CVE-2023-44487).
const RESET_STREAMS: usize = 20;
/// Streams that we had to reset because of what the peer did.
const FAULTY_STREAMS: usize = 64;

/// Serves HTTP/1.1 and HTTP/2 on `listener` until `stop`, then lets the requests in flight finish
/// within [`ConnectionLimits::drain_time`] and returns.
///
/// `service` is called once a request's head is complete. Its future is dropped when the peer
/// hangs up, so what has to be finished must be spawned.
///
/// A connection that has proved nothing ([`Peer::prove`]) has
/// [`header_time`](ConnectionLimits::header_time) for each head, a proved one
/// [`idle_time`](ConnectionLimits::idle_time). Where there are too many connections an unproved
/// one makes room, of the address that holds the most; of a neighbourhood in which somebody has
/// proved itself only when there is no other. Handshakes of others wait for their turns. An answer whose body has no known length
/// may stream for as long as it likes; its sender has to bound it.
pub async fn serve<S, F, B>(
    listener: TcpListener,
    transport: Transport,
    limits: ConnectionLimits,
    metrics: ListenerMetrics,
    service: S,
    stop: impl Future<Output = ()>,
) -> Drained
where
    S: Fn(Peer, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let shared = Arc::new(Shared {
        http: http(&limits),
        connections: Connections::new(limits.connections, limits.neighbourhoods),
        turns: Turns::new(metrics.waiting()),
        transport,
        limits,
        metrics,
        service,
        headers: Quiet::default(),
    });
    let mut tasks = JoinSet::new();
    let (tell, told) = watch::channel(());
    let accept_trouble = Quiet::default();
    let mut stop = pin!(stop);
    let mut accepted_at_once = 0;
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(connection) => connection,
            Err(error) if is_the_peers(&error) => continue,
            Err(error) => {
                if let Some(unsaid) = accept_trouble.speak(Instant::now()) {
                    warn!(listener = shared.metrics.name(), %error, unsaid, "cannot accept connections");
                }
                shared.metrics.never_opened("accept_error");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(seat) = Seat::take(&shared, Peer::new(address)) else {
            shared.metrics.never_opened("refused");
            continue;
        };
        tasks.spawn(seat.serve(stream, told.clone()));
        accepted_at_once += 1;
        if accepted_at_once == ACCEPTED_AT_ONCE {
            accepted_at_once = 0;
            yield_now().await;
        }
    }
    drop(listener);
    let begun = Instant::now();
    drop(tell);
    let everybody = async { while tasks.join_next().await.is_some() {} };
    let in_time = timeout(shared.limits.drain_time, everybody).await.is_ok();
    let cut = if in_time { 0 } else { tasks.len() };
    tasks.shutdown().await;
    Drained { cut, took: begun.elapsed() }
}

/// Whether an accept failed because of the connection that it was about, which is gone.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn http(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        // The box's clock may be wrong by years, and then RFC 9110 wants no date.
        .auto_date_header(false)
        // A sender that closes its half after the request still gets its answer.
        .half_close(true)
        // The watch over idle connections does it, for HTTP/2 too.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(usize::from(limits.head_bytes).max(8192))
        .max_headers(limits.headers);
    http.http2()
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::from(limits.head_bytes))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(FAULTY_STREAMS);
    http
}

struct Shared<S> {
    http: auto::Builder<TokioExecutor>,
    transport: Transport,
    limits: ConnectionLimits,
    connections: Connections,
    turns: Turns,
    metrics: ListenerMetrics,
    service: S,
    headers: Quiet,
}

impl<S, F, B> Shared<S>
where
    S: Fn(Peer, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn speak(
        &self,
        mut stream: TcpStream,
        peer: &mut Peer,
        mut told: watch::Receiver<()>,
    ) -> &'static str {
        // An answer is one small write; waiting for more to send would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        // One time for both: who speaks for another has no more of it.
        let deadline = Instant::now() + self.limits.handshake_time;
        if self.limits.relays.contains(peer.address.ip()) {
            let header =
                self.until(deadline, &peer.connection, &mut told, self.header(&mut stream, peer)).await;
            match header {
                Ok(Some(source)) => peer.comes_from(source),
                Ok(None) => {}
                Err(why) => return why,
            }
        }
        // Only now is it known where the connection comes from, without TLS as well.
        let is_known = self.connections.is_known(peer);
        let Transport::Tls(tls) = &self.transport else { return self.http(stream, peer, told).await };
        let turns = (!is_known).then_some(&self.turns);
        let handshake = async {
            tls.handshake(stream, turns).await.map_err(|error| {
                debug!(%error, "TLS handshake failed");
                "handshake_failed"
            })
        };
        match self.until(deadline, &peer.connection, &mut told, handshake).await {
            Ok(Some(stream)) => self.http(stream, peer, told).await,
            Ok(None) => "challenge",
            Err(why) => why,
        }
    }

    /// What comes of `step`, unless the connection's time is over or it has to go.
    async fn until<T>(
        &self,
        deadline: Instant,
        peer: &Connection,
        told: &mut watch::Receiver<()>,
        step: impl Future<Output = Result<T, &'static str>>,
    ) -> Result<T, &'static str> {
        tokio::select! {
            done = timeout_at(deadline, step) => done.unwrap_or(Err("handshake_timeout")),
            () = peer.cut.notified() => Err("evicted"),
            _ = told.changed() => Err("drained"),
        }
    }

    /// What the relay at the other end says of where the connection comes from; `None`: from itself.
    async fn header(&self, stream: &mut TcpStream, relay: &Peer) -> Result<Option<SocketAddr>, &'static str> {
        match proxy::receive(stream).await {
            Ok(Said::Source(source)) => Ok(source),
            Ok(Said::Nothing) => Err("closed"),
            Ok(Said::Broken(why)) => {
                if let Some(unsaid) = self.headers.speak(Instant::now()) {
                    let (listener, relay) = (self.metrics.name(), relay.address.ip());
                    warn!(
                        listener, %relay, unsaid,
                        "closed a connection of a relay: {why}; switch the PROXY protocol on there, or take its address out of webhook.relays"
                    );
                }
                Err("proxy_header")
            }
            Err(error) => {
                debug!(%error, "connection failed");
                Err("failed")
            }
        }
    }

    async fn http<IO>(&self, io: IO, peer: &Peer, mut told: watch::Receiver<()>) -> &'static str
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let busy = peer.busy();
            let answer = (self.service)(peer.clone(), request);
            async move { Ok::<_, Infallible>(answer.await.map(|body| Occupying::new(body, busy))) }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(Paced::new(io)), service));
        let opened = Instant::now();
        let mut closing: Option<(&'static str, Instant)> = None;
        loop {
            let now = Instant::now();
            let left = self.time_left(peer, opened, closing.map(|(_, since)| since), now);
            if left.is_zero() {
                if let Some((why, _)) = closing {
                    return why;
                }
                closing = Some(("idle", now));
                connection.as_mut().graceful_shutdown();
                continue;
            }
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = &ended {
                        debug!(%error, "connection failed");
                    }
                    let ended = if ended.is_ok() { "closed" } else { "failed" };
                    return closing.map_or(ended, |(why, _)| why);
                }
                () = peer.connection.cut.notified() => return "evicted",
                _ = told.changed(), if closing.is_none() => {
                    closing = Some(("drained", Instant::now()));
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(now + left) => {}
            }
        }
    }

    /// How long the connection may go on as it is before it is looked at again; zero when its time
    /// is over.
    fn time_left(&self, peer: &Peer, opened: Instant, closing: Option<Instant>, now: Instant) -> Duration {
        let allowed = match closing {
            Some(_) => CLOSE_TIME,
            None if peer.connection.proved() => self.limits.idle_time,
            None => self.limits.header_time,
        };
        let Some(idle) = peer.connection.idle_for(opened, now) else { return allowed };
        let since_closing = closing.map_or(Duration::MAX, |since| now.saturating_duration_since(since));
        allowed.saturating_sub(idle.min(since_closing))
    }
}

/// A connection's place among the others, given back however its task ends.
struct Seat<S> {
    shared: Arc<Shared<S>>,
    peer: Peer,
    result: &'static str,
}

impl<S> Seat<S> {
    fn take(shared: &Arc<Shared<S>>, peer: Peer) -> Option<Self> {
        if !shared.connections.enter(&peer) {
            return None;
        }
        shared.metrics.opened();
        Some(Self { shared: Arc::clone(shared), peer, result: "cut" })
    }
}

impl<S, F, B> Seat<S>
where
    S: Fn(Peer, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn serve(mut self, stream: TcpStream, told: watch::Receiver<()>) {
        self.result = self.shared.speak(stream, &mut self.peer, told).await;
    }
}

impl<S> Drop for Seat<S> {
    fn drop(&mut self) {
        self.shared.connections.leave(&self.peer);
        self.shared.metrics.closed(self.result);
    }
}
