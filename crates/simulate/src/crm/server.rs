//! The CRM's two ports: one takes deliveries and shows them, the other switches the behaviour.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::signature::standard_webhooks::SigningSecret;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::answer;
use super::behaviour::{Act, Behaviour};
use super::delivery::{Checks, TIMESTAMP_TOLERANCE};
use super::observed::{Complaint, Keep, Observed, Totals};
use crate::Journeys;
use crate::event::Events;

/// Connections at a time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections that the kernel queues.
const BACKLOG: u32 = 1_024;
/// Between two attempts at what the system refuses for the moment (descriptors, the port).
const PAUSE: Duration = Duration::from_millis(20);

/// What the CRM is to be like.
#[derive(Debug, Clone)]
pub struct CrmOptions {
    /// Where deliveries come in; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where `POST /behave` comes in; nowhere by default. Give it a loopback address.
    pub control: Option<SocketAddr>,
    /// One or two secrets, any of which may sign; with none, deliveries may be unsigned.
    pub signing_secrets: Vec<SigningSecret>,
    /// How far a delivery's timestamp may be from this machine's clock; `None` for any.
    pub tolerance: Option<Duration>,
    /// How much is kept of what arrives.
    pub keep: Keep,
    /// Notes every record's first arrival there.
    pub journeys: Option<Arc<Journeys>>,
}

impl CrmOptions {
    /// Listens on `listen`, demands nothing but the right shape, keeps everything.
    #[must_use]
    pub const fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            control: None,
            signing_secrets: Vec::new(),
            tolerance: Some(TIMESTAMP_TOLERANCE),
            keep: Keep::Everything,
            journeys: None,
        }
    }
}

/// Why the CRM can't start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; is something else using that port?")]
pub struct CannotListen {
    address: SocketAddr,
    source: std::io::Error,
}

/// A running CRM. Dropping it closes everything.
#[derive(Debug)]
pub struct Crm {
    shared: Arc<Shared>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    _tasks: JoinSet<()>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) checks: Checks,
    pub(crate) observed: Mutex<Observed>,
    behaviour: watch::Sender<Wanted>,
    /// The number of the last change that the door has followed.
    settled: watch::Sender<u64>,
    chaos: Mutex<Option<AbortHandle>>,
    chaotic: watch::Sender<bool>,
    pub(crate) requests: AtomicU64,
    pub(crate) events: Events,
    pub(crate) keep: Keep,
    pub(crate) journeys: Option<Arc<Journeys>>,
}

/// The behaviour, and how often it has changed.
#[derive(Debug, Default)]
struct Wanted {
    behaviour: Behaviour,
    change: u64,
}

impl Crm {
    /// Opens the ports and serves from then on.
    ///
    /// # Errors
    /// When a port isn't free or not ours to take.
    pub fn start(options: CrmOptions) -> Result<Self, CannotListen> {
        let shared = Arc::new(Shared {
            checks: Checks { secrets: options.signing_secrets, tolerance: options.tolerance },
            observed: Mutex::new(Observed::new(options.keep)),
            behaviour: watch::Sender::default(),
            settled: watch::Sender::default(),
            chaos: Mutex::default(),
            chaotic: watch::Sender::default(),
            requests: AtomicU64::new(0),
            events: Events::default(),
            keep: options.keep,
            journeys: options.journeys,
        });
        let mut tasks = JoinSet::new();
        let listener = listen(options.listen)?;
        let address = address_of(&listener, options.listen)?;
        tasks.spawn(take_deliveries(Arc::clone(&shared), listener, address));
        let mut control = None;
        if let Some(wanted) = options.control {
            let listener = listen(wanted)?;
            control = Some(address_of(&listener, wanted)?);
            tasks.spawn(take_commands(Arc::clone(&shared), listener));
        }
        Ok(Self { shared, address, control, _tasks: tasks })
    }

    /// Where deliveries come in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where commands come in.
    #[must_use]
    pub const fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The URL to deliver to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/wagate", self.address)
    }

    /// Behaves so from now on; returns once the door is open or closed as wanted. Ends chaos.
    pub async fn behave(&self, behaviour: Behaviour) {
        self.shared.end_chaos();
        self.shared.behave(behaviour).await;
    }

    /// Goes through `run` (see [`super::behaviour::chaos`]) in the background, and is well
    /// afterwards.
    pub fn misbehave(&self, run: Vec<(Behaviour, Duration)>) {
        self.shared.misbehave(run);
    }

    /// Waits until the run of [`Self::misbehave`] is over, if there is one.
    pub async fn calm(&self) {
        // The other end is in `self`, so this can't fail.
        let _ = self.shared.chaotic.subscribe().wait_for(|chaotic| !chaotic).await;
    }

    /// Looks at everything that has been seen so far; deliveries wait meanwhile. The other methods
    /// that look must not be called from within.
    pub fn look<T>(&self, look: impl FnOnce(&Observed) -> T) -> T {
        look(&self.shared.observed())
    }

    /// The sums so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.look(Observed::totals)
    }

    /// What was wrong so far, the first [`super::observed::COMPLAINTS_MAX`].
    #[must_use]
    pub fn complaints(&self) -> Vec<Complaint> {
        self.look(|observed| observed.complaints().to_vec())
    }

    /// Those of `ids` whose record hasn't arrived.
    pub fn missing<'a>(&self, source: &str, ids: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        self.look(|observed| observed.missing(source, ids))
    }

    /// Where to listen to what happens.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.shared.events
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.shared.end_chaos();
    }
}

impl Shared {
    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn act<'a>(&self, number: u64, ids: impl Iterator<Item = &'a str>) -> Act {
        self.behaviour.borrow().behaviour.act(number, ids)
    }

    pub(crate) async fn behave(&self, behaviour: Behaviour) {
        let mut settled = self.settled.subscribe();
        let mut mine = 0;
        self.behaviour.send_modify(|wanted| {
            mine = wanted.change + 1;
            *wanted = Wanted { behaviour, change: mine };
        });
        // The other end is in `self`, so this can't fail.
        let _ = settled.wait_for(|settled| *settled >= mine).await;
    }

    pub(crate) fn misbehave(self: &Arc<Self>, run: Vec<(Behaviour, Duration)>) {
        self.end_chaos();
        self.chaotic.send_replace(true);
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            for (behaviour, time) in run {
                shared.behave(behaviour).await;
                tokio::time::sleep(time).await;
            }
            shared.behave(Behaviour::Ok).await;
            shared.chaotic.send_replace(false);
        });
        *self.chaos.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }

    pub(crate) fn end_chaos(&self) {
        if let Some(task) = self.chaos.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.chaotic.send_replace(false);
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> Result<TcpListener, CannotListen> {
    bind(address).and_then(|socket| socket.listen(BACKLOG)).map_err(|source| CannotListen { address, source })
}

fn address_of(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, CannotListen> {
    listener.local_addr().map_err(|source| CannotListen { address: wanted, source })
}

/// The door: open, or shut with the port kept.
enum Door {
    Open(TcpListener),
    /// Bound and not listening: nobody gets in, and nobody else gets the port.
    Shut(TcpSocket),
}

async fn take_deliveries(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
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
            same => same,
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

async fn until_done<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
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
async fn take_commands(shared: Arc<Shared>, listener: TcpListener) {
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
