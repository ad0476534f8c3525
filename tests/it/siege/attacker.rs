//! What every attack is made of: connections from addresses of the attackers' own, and a count of what came of them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::accept_any;

/// In everything that attackers send; it must be found in no file and no line of the log.
pub(crate) const MARK: &str = "Zq7xSIEGEx7qZ";
/// The first of the attackers' addresses. Each is in a /24 of its own, since neighbours may be treated alike.
const FIRST_ADDRESS: u32 = 0x7f10_0009;
/// Addresses that attack, at most: as many as there are such networks up to 127.255.
const ADDRESSES: u32 = 40_000;
/// What is given up as silence.
const PATIENCE: Duration = Duration::from_secs(5);

/// An attack: it goes on until its future is dropped, and then all its connections are.
pub(crate) type Attack = fn(Field) -> Pin<Box<dyn Future<Output = ()>>>;

/// What an attacker knows and counts.
#[derive(Clone)]
pub(crate) struct Field {
    /// The public listener.
    pub(crate) webhook: SocketAddr,
    /// The store side.
    pub(crate) api: SocketAddr,
    pub(crate) tally: Arc<Tally>,
    /// A few of Meta's own webhooks as they went over the wire, heads included: somebody has listened.
    pub(crate) captured: Arc<Vec<Vec<u8>>>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    addresses: Arc<AtomicU32>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Tally {
    /// Connections that the kernel let through.
    pub(crate) connections: AtomicU64,
    /// Whole handshakes.
    pub(crate) handshakes: AtomicU64,
    /// Requests written, or what stands for them.
    pub(crate) requests: AtomicU64,
    /// Answers by status.
    pub(crate) statuses: Mutex<BTreeMap<u16, u64>>,
    /// Answers that must not be.
    pub(crate) wrong: Mutex<Vec<String>>,
}

impl Tally {
    pub(crate) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn status(&self, status: u16) {
        *self.statuses.lock().unwrap().entry(status).or_default() += 1;
    }

    pub(crate) fn wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap();
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }

    /// Counts the answer, which has to be one of `right`.
    pub(crate) fn expect(&self, what: &str, status: u16, right: &[u16]) {
        self.status(status);
        if !right.contains(&status) {
            self.wrong(format!("{what}: answered {status}, not one of {right:?}"));
        }
    }
}

impl Field {
    pub(crate) fn new(webhook: SocketAddr, api: SocketAddr, captured: Vec<Vec<u8>>) -> Self {
        let config = |protocol: &[u8]| {
            let mut config = accept_any();
            config.alpn_protocols = vec![protocol.to_vec()];
            // Whole handshakes: they cost the most.
            config.resumption = Resumption::disabled();
            Arc::new(config)
        };
        Self {
            webhook,
            api,
            tally: Arc::default(),
            captured: Arc::new(captured),
            http1: config(b"http/1.1"),
            http2: config(b"h2"),
            addresses: Arc::default(),
        }
    }

    /// The same field for the next attack, with a new count and further addresses.
    pub(crate) fn anew(&self) -> Self {
        Self { tally: Arc::default(), ..self.clone() }
    }

    /// An address that nobody has used yet.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.nth_address(self.addresses.fetch_add(1, Ordering::Relaxed))
    }

    /// One of the attackers' addresses, for those that keep theirs.
    pub(crate) fn nth_address(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_ADDRESS + (number % ADDRESSES) * 256)
    }

    /// A connection of an address to one of the listeners.
    pub(crate) async fn tcp(&self, from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = timeout(PATIENCE, socket.connect(to)).await??;
        stream.set_nodelay(true)?;
        self.tally.connections.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// One with TLS to the public listener.
    pub(crate) async fn tls(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        self.tls_with(from, &self.http1, "127.0.0.1").await
    }

    /// One that has agreed on HTTP/2.
    pub(crate) async fn tls_http2(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        self.tls_with(from, &self.http2, "127.0.0.1").await
    }

    /// One that asks for a server by this name.
    pub(crate) async fn tls_to(&self, from: Ipv4Addr, name: &str) -> io::Result<TlsStream<TcpStream>> {
        self.tls_with(from, &self.http1, name).await
    }

    async fn tls_with(
        &self,
        from: Ipv4Addr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let tcp = self.tcp(from, self.webhook).await?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connect = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let stream = timeout(2 * PATIENCE, connect).await??;
        self.tally.handshakes.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }
}

/// Does the same `at_once` times beside itself, again and again, until the attack is over. The attack is given its place.
pub(crate) async fn again_and_again<F, A>(at_once: u32, attack: A)
where
    F: Future<Output = ()> + 'static,
    A: Fn(u32) -> F + 'static,
{
    let attack = Rc::new(attack);
    let mut many = JoinSet::new();
    for place in 0..at_once {
        let attack = Rc::clone(&attack);
        many.spawn_local(async move {
            loop {
                attack(place).await;
                // One that fails at once must not keep the others from their turn.
                tokio::task::yield_now().await;
            }
        });
    }
    many.join_all().await;
}

/// One whole answer: its status and everything that was read.
pub(crate) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u16, String)> {
    let mut read = Vec::with_capacity(512);
    loop {
        if let Some(end) = whole(&read) {
            let text = String::from_utf8_lossy(&read[..end]).into_owned();
            let status = text.get(9..12).and_then(|status| status.parse().ok());
            return status.map(|status| (status, text)).ok_or_else(|| io::Error::other("not an answer"));
        }
        let mut some = [0; 1024];
        let count = timeout(2 * PATIENCE, stream.read(&mut some)).await??;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&some[..count]);
    }
}

fn whole(read: &[u8]) -> Option<usize> {
    let head = read.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..head]).ok()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let end = head + length.map_or(0, |length| length.parse().unwrap_or(0));
    (read.len() >= end).then_some(end)
}

/// Sends bytes, says that no more will come, and gives everything that comes back until the other end closes.
pub(crate) async fn provoke<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &[u8]) -> String {
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut read = Vec::new();
    // A reset is an answer, too, and what was read before it counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// Reads whatever comes until the other end is done.
pub(crate) async fn swallow<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut some = vec![0; 16 * 1024];
    while let Ok(1..) = stream.read(&mut some).await {}
}
