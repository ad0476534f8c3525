//! Meta, for the time of a siege: signed webhooks at a steady pace, whatever else happens.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::signature::hub::HEADER;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use simulate::whatsapp::{PayloadOptions, Payloads};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::attacker::answer;
use crate::harness::{accept_any, secret};

/// 50 a second.
const EVERY: Duration = Duration::from_millis(20);
/// Connections that are kept, as Meta keeps its own.
pub(super) const KEPT: usize = 4;
/// Webhooks that may wait for a connection: more than a whole attack's.
const WAITING: usize = 1024;
/// Every so many webhooks one comes over a connection of its own.
const FRESH_EVERY: usize = 5;

/// What was sent since the last look.
#[derive(Default)]
pub(crate) struct Sent {
    /// From the moment at which each was due to its 200, over kept connections.
    pub(crate) kept: Vec<Duration>,
    /// The same with the connection, its handshake included.
    pub(crate) fresh: Vec<Duration>,
    /// The ids of the records that there must be now.
    pub(crate) ids: Vec<String>,
    /// The ids of those that may be there: of webhooks that had no 200.
    pub(crate) doubtful: Vec<String>,
    /// What went wrong.
    pub(crate) wrong: Vec<String>,
    /// A few requests as they went over the wire.
    pub(crate) captured: Vec<Vec<u8>>,
}

/// The good sender, on a thread of its own, so that no attacker of this process holds it up. It works between
/// [`Good::begin`] and [`Good::end`]; its connections are kept meanwhile.
pub(crate) struct Good {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    sending: AtomicBool,
    over: AtomicBool,
    /// Webhooks whose answer is owed.
    open: AtomicUsize,
    sent: Mutex<Sent>,
}

struct Webhook {
    due: Instant,
    request: Vec<u8>,
    ids: Vec<String>,
}

impl Good {
    pub(crate) fn start(webhook: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let working = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(send(webhook, working));
        });
        Self { shared, thread: Some(thread) }
    }

    pub(crate) fn begin(&self) {
        self.shared.sending.store(true, Ordering::SeqCst);
    }

    /// Stops sending, waits for the answers that are owed, and tells what there was.
    pub(crate) async fn end(&self) -> Sent {
        self.shared.sending.store(false, Ordering::SeqCst);
        let open = async || (self.shared.open.load(Ordering::SeqCst) == 0).then_some(());
        // The sender may be just about to send one more.
        tokio::time::sleep(2 * EVERY).await;
        crate::harness::eventually("every webhook has its answer", open).await;
        std::mem::take(&mut *self.shared.sent.lock().unwrap())
    }
}

impl Drop for Good {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn send(to: SocketAddr, shared: Arc<Shared>) {
    let tls = Arc::new(accept_any());
    let kept: Vec<mpsc::Sender<Webhook>> = (0..KEPT)
        .map(|_| {
            let (sender, webhooks) = mpsc::channel(WAITING);
            tokio::spawn(keep(to, Arc::clone(&tls), webhooks, Arc::clone(&shared)));
            sender
        })
        .collect();
    let mut payloads = Payloads::new(PayloadOptions { seed: 50, ..PayloadOptions::default() });
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut number = 0;
    while !shared.over.load(Ordering::SeqCst) {
        let due = ticks.tick().await.into_std();
        if !shared.sending.load(Ordering::SeqCst) {
            continue;
        }
        let webhook = webhook(&mut payloads, due);
        shared.open.fetch_add(1, Ordering::SeqCst);
        number += 1;
        if number % FRESH_EVERY == 0 {
            tokio::spawn(fresh(to, Arc::clone(&tls), webhook, Arc::clone(&shared)));
        } else {
            kept[number % KEPT].try_send(webhook).expect("webhooks pile up");
        }
    }
}

fn webhook(payloads: &mut Payloads, due: Instant) -> Webhook {
    let body = payloads.next().unwrap();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: box.example.com\r\nContent-Type: application/json\r\nUser-Agent: facebookexternalua\r\n{HEADER}: {}\r\nContent-Length: {}\r\n\r\n",
        secret().sign(&body.bytes),
        body.bytes.len()
    );
    let ids = body.items.iter().map(|item| item.id.to_string()).collect();
    Webhook { due, request: [head.as_bytes(), &body.bytes].concat(), ids }
}

async fn connect(to: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(to).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(tls).connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await
}

async fn post(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request).await?;
    Ok(answer(stream).await?.0)
}

impl Shared {
    fn answered(&self, webhook: Webhook, is_fresh: bool, answer: io::Result<u16>) {
        let took = webhook.due.elapsed();
        let mut sent = self.sent.lock().unwrap();
        let way = if is_fresh { "fresh" } else { "kept" };
        match answer {
            Ok(200) => {
                sent.ids.extend(webhook.ids);
                if is_fresh {
                    sent.fresh.push(took);
                } else {
                    sent.kept.push(took);
                }
                if sent.captured.len() < 20 {
                    sent.captured.push(webhook.request);
                }
            }
            failed => {
                sent.doubtful.extend(webhook.ids);
                sent.wrong
                    .push(format!("a good webhook over a {way} connection, after {took:?}: {failed:?}"));
            }
        }
        drop(sent);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One connection that is never to be cut.
async fn keep(
    to: SocketAddr,
    tls: Arc<ClientConfig>,
    mut webhooks: mpsc::Receiver<Webhook>,
    shared: Arc<Shared>,
) {
    let mut stream = None;
    while let Some(webhook) = webhooks.recv().await {
        let answer = async {
            let open = match stream.take() {
                Some(open) => stream.insert(open),
                None => stream.insert(connect(to, Arc::clone(&tls)).await?),
            };
            post(open, &webhook.request).await
        };
        let answer = answer.await;
        if answer.is_err() {
            stream = None;
        }
        shared.answered(webhook, false, answer);
    }
}

async fn fresh(to: SocketAddr, tls: Arc<ClientConfig>, webhook: Webhook, shared: Arc<Shared>) {
    let answer = async {
        let mut stream = connect(to, tls).await?;
        post(&mut stream, &webhook.request).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
    shared.answered(webhook, true, answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
}
