//! A server that says what it is told, byte by byte, and notes what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
    /// Says no more, but goes on listening.
    HalfClose,
    /// Breaks off, as a machine does that has been started anew.
    Reset,
    /// Neither speaks nor hangs up.
    Hold,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
    /// The body of the request isn't read.
    pub(crate) early: bool,
}

impl Act {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        Self { bytes: bytes.into(), then, early: false }
    }

    pub(crate) fn ok() -> Self {
        Self::new("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Then::Keep)
    }
}

/// What the server saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saw {
    pub(crate) connections: usize,
    pub(crate) closed: usize,
    /// The ids of the requests.
    pub(crate) ids: Vec<String>,
    /// What stood before each body.
    pub(crate) heads: Vec<String>,
    /// The bodies that were read whole.
    pub(crate) bodies: Vec<Vec<u8>>,
}

pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    saw: watch::Receiver<Saw>,
    server: JoinHandle<()>,
}

impl Raw {
    pub(crate) async fn start(script: impl FnMut(usize) -> Act + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0", None, script).await.unwrap()
    }

    /// `script` is asked with the place of the request, from 0.
    pub(crate) async fn start_at(
        address: &str,
        tls: Option<TlsAcceptor>,
        script: impl FnMut(usize) -> Act + Send + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (tell, saw) = watch::channel(Saw::default());
        let script = Arc::new(Mutex::new(script));
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (tls, script, tell) = (tls.clone(), Arc::clone(&script), tell.clone());
                tell.send_modify(|saw| saw.connections += 1);
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, script, &tell).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, &tell).await;
                            }
                        }
                    }
                    tell.send_modify(|saw| saw.closed += 1);
                });
            }
        });
        Ok(Self { address, saw, server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wagate", self.address)
    }

    pub(crate) fn saw(&self) -> Saw {
        self.saw.borrow().clone()
    }

    pub(crate) async fn until(&mut self, seen: impl FnMut(&Saw) -> bool) -> Saw {
        self.saw.wait_for(seen).await.unwrap().clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.server.abort();
    }
}

trait Reset {
    /// The other side gets a reset when this is dropped.
    fn reset_when_dropped(&self);
}

impl Reset for TcpStream {
    fn reset_when_dropped(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Reset for TlsStream<TcpStream> {
    fn reset_when_dropped(&self) {
        self.get_ref().0.reset_when_dropped();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Reset + Unpin,
    script: Arc<Mutex<impl FnMut(usize) -> Act>>,
    tell: &watch::Sender<Saw>,
) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        };
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let mut act = Act::ok();
        tell.send_modify(|saw| {
            act = (script.lock().unwrap())(saw.ids.len());
            saw.ids.push(header("webhook-id"));
            saw.heads.push(head.clone());
        });
        let length = match header("content-length").as_str() {
            "" => 0,
            length => length.parse().unwrap(),
        };
        while !act.early && bytes.len() < length {
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        }
        let body: Vec<u8> = bytes.drain(..length.min(bytes.len())).collect();
        if body.len() == length {
            tell.send_modify(|saw| saw.bodies.push(body));
        }
        let sent = stream.write_all(&act.bytes).await.is_ok() && stream.flush().await.is_ok();
        match act.then {
            Then::Keep if sent => {}
            Then::Keep | Then::Close => return,
            Then::HalfClose => {
                let _ = stream.shutdown().await;
                while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
                return;
            }
            Then::Reset => {
                stream.reset_when_dropped();
                return;
            }
            Then::Hold => std::future::pending().await,
        }
    }
}
