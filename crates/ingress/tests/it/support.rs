//! A listener on loopback, a store that only remembers, and a client that speaks bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::signature::hub::AppSecret;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wagate_ingress::{
    Admit, ConnectionLimits, Credentials, Drained, LISTENER, ListenerMetrics, Metrics, Place, Refusal,
    RequestLimits, Transport, Webhook, serve_webhooks,
};

pub(crate) const SECRET: &[u8] = b"test_app_secret";
pub(crate) const TOKEN: &str = "s3cret";
/// Far more than anything here takes; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A store that remembers bodies, refuses on demand and can be made to wait.
#[derive(Default)]
pub(crate) struct Shelf(Arc<Inner>);

struct Inner {
    bodies: Mutex<Vec<Bytes>>,
    refusal: Mutex<Option<Refusal>>,
    begun: watch::Sender<usize>,
    gate: Semaphore,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            bodies: Mutex::default(),
            refusal: Mutex::default(),
            begun: watch::Sender::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

impl Admit for Shelf {
    fn admit(&self, body: Bytes, place: Place) -> impl Future<Output = Result<(), Refusal>> + Send {
        self.0.begun.send_modify(|begun| *begun += 1);
        let inner = Arc::clone(&self.0);
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            inner.gate.acquire().await.unwrap().forget();
            let refused = *inner.refusal.lock().unwrap();
            if refused.is_none() {
                inner.bodies.lock().unwrap().push(body);
            }
            drop(place);
            // The sender may have hung up.
            let _ = answer.send(refused.map_or(Ok(()), Err));
        });
        async move { answered.await.unwrap() }
    }
}

impl Shelf {
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.0.bodies.lock().unwrap().clone()
    }

    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        *self.0.refusal.lock().unwrap() = refusal;
    }

    /// Lets nothing through until [`Shelf::open`].
    pub(crate) fn shut(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.0.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits until so many bodies were handed over.
    pub(crate) async fn begun(&self, count: usize) {
        let mut begun = self.0.begun.subscribe();
        timeout(PATIENCE, begun.wait_for(|begun| *begun >= count)).await.unwrap().unwrap();
    }

    /// Waits until so many bodies are there.
    pub(crate) async fn holds(&self, count: usize) {
        until(|| self.bodies().len() >= count).await;
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition never held");
}

/// A listener that runs until it is told to stop.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) metrics: Metrics,
    pub(crate) webhook: Arc<Webhook<Shelf>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::with(ConnectionLimits::default(), RequestLimits::default()).await
    }

    pub(crate) async fn with(connections: ConnectionLimits, requests: RequestLimits) -> Self {
        Self::over(Transport::Plain, connections, requests).await
    }

    pub(crate) async fn over(
        transport: Transport,
        connections: ConnectionLimits,
        requests: RequestLimits,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shelf, metrics) = (Arc::new(Shelf::default()), Metrics::default());
        let webhook = Arc::new(Webhook::new(
            "/webhook".to_owned(),
            credentials(&[SECRET]),
            requests,
            Arc::clone(&shelf),
            metrics.clone(),
        ));
        let (stop, stopped) = oneshot::channel();
        let served =
            tokio::spawn(serve_webhooks(listener, transport, connections, Arc::clone(&webhook), async {
                let _ = stopped.await;
            }));
        Self { address, shelf, metrics, webhook, stop, served }
    }

    pub(crate) fn listener(&self) -> ListenerMetrics {
        self.metrics.listener(LISTENER)
    }

    /// Tells the listener to stop; what is returned ends when it has.
    pub(crate) fn stop(self) -> JoinHandle<Drained> {
        self.stop.send(()).unwrap();
        self.served
    }

    /// Sends bytes, says that no more will come, and returns everything that came back.
    pub(crate) async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

pub(crate) fn credentials(secrets: &[&[u8]]) -> Credentials {
    let secrets = secrets.iter().map(|secret| AppSecret::new(secret)).collect();
    Credentials::new(TOKEN.as_bytes().to_vec(), secrets).unwrap()
}

/// Everything until the other end closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the listener didn't close").unwrap();
    String::from_utf8(bytes).unwrap()
}

/// One whole answer, from a connection that stays open.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        (body.len() >= length).then_some(())
    };
    while whole(&text).is_none() {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("no answer came");
        text.push(char::from(byte.expect("closed without an answer")));
    }
    text
}

/// A webhook with a signature made with `secret`.
pub(crate) fn signed_with(secret: &[u8], body: &[u8]) -> Vec<u8> {
    post(&format!("X-Hub-Signature-256: {}\r\n", AppSecret::new(secret).sign(body)), body)
}

pub(crate) fn signed(body: &[u8]) -> Vec<u8> {
    signed_with(SECRET, body)
}

/// A POST with these header lines and a right length.
pub(crate) fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = head(&format!("{headers}Content-Length: {}\r\n", body.len()));
    request.extend_from_slice(body);
    request
}

/// The head of a POST with these header lines.
pub(crate) fn head(headers: &str) -> Vec<u8> {
    format!("POST /webhook HTTP/1.1\r\nHost: box\r\n{headers}\r\n").into_bytes()
}

/// A header of the right shape that is nobody's signature.
pub(crate) fn forged() -> String {
    format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64))
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map_or(0, |code| code.parse().unwrap())
}

/// The value of a header line, in lower-case names as hyper writes them.
pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What `register` puts into a registry, as it is scraped.
pub(crate) fn exposition(register: impl FnOnce(&mut Registry)) -> String {
    let mut registry = Registry::default();
    register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}
