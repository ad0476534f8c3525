//! A running CRM and what can be done with it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::signature::standard_webhooks::SigningSecret;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::behaviour::{Act, Behaviour, Probe};
use super::clerk::{Answering, Clerk};
use super::delivery::{Checks, TIMESTAMP_TOLERANCE};
use super::desk::{Desk, Written};
use super::door::{CannotListen, address_of, listen, take_commands, take_deliveries};
use super::observed::{Complaint, Keep, Observed, Totals};
use crate::Journeys;
use crate::event::Events;

/// What the CRM is to be like.
#[derive(Debug, Clone)]
pub struct CrmOptions {
    /// Where deliveries come in; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where `POST /behave` comes in; nowhere by default. Give it a loopback address.
    pub control: Option<SocketAddr>,
    /// The path of the health page, which a gateway may probe.
    pub health: String,
    /// One or two secrets, any of which may sign; with none, deliveries may be unsigned.
    pub signing_secrets: Vec<SigningSecret>,
    /// How far a delivery's timestamp may be from this machine's clock; `None` for any.
    pub tolerance: Option<Duration>,
    /// How much is kept of what arrives.
    pub keep: Keep,
    /// Notes every record's first arrival there.
    pub journeys: Option<Arc<Journeys>>,
    /// Answers customers through the gateway; by default nobody is answered.
    pub answering: Option<Answering>,
}

impl CrmOptions {
    /// Listens on `listen`, demands nothing but the right shape, keeps everything.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            control: None,
            health: "/health".to_owned(),
            signing_secrets: Vec::new(),
            tolerance: Some(TIMESTAMP_TOLERANCE),
            keep: Keep::Everything,
            journeys: None,
            answering: None,
        }
    }
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
    pub(crate) behaviour: watch::Sender<Wanted>,
    /// The number of the last change that the door has followed.
    pub(crate) settled: watch::Sender<u64>,
    chaos: Mutex<Option<AbortHandle>>,
    chaotic: watch::Sender<bool>,
    pub(crate) requests: AtomicU64,
    pub(crate) health: Probed,
    pub(crate) address: Probed,
    pub(crate) health_path: String,
    pub(crate) events: Events,
    pub(crate) keep: Keep,
    pub(crate) journeys: Option<Arc<Journeys>>,
    pub(crate) desk: Option<Arc<Desk>>,
}

/// What is asked by one kind of [`Probe`].
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// Where it isn't what deliveries meet with.
    behaviour: Mutex<Option<Behaviour>>,
    asked: AtomicU64,
}

/// The behaviour, and how often it has changed.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) behaviour: Behaviour,
    pub(crate) change: u64,
}

impl Crm {
    /// Opens the ports and serves from then on.
    ///
    /// # Errors
    /// When a port isn't free or not ours to take.
    pub fn start(options: CrmOptions) -> Result<Self, CannotListen> {
        let writing = options.answering.map(|answering| {
            let (desk, waiting) = Desk::new();
            (answering, Arc::new(desk), waiting)
        });
        let shared = Arc::new(Shared {
            checks: Checks { secrets: options.signing_secrets, tolerance: options.tolerance },
            observed: Mutex::new(Observed::new(options.keep)),
            behaviour: watch::Sender::default(),
            settled: watch::Sender::default(),
            chaos: Mutex::default(),
            chaotic: watch::Sender::default(),
            requests: AtomicU64::new(0),
            health: Probed::default(),
            address: Probed::default(),
            health_path: options.health,
            events: Events::default(),
            keep: options.keep,
            journeys: options.journeys,
            desk: writing.as_ref().map(|(_, desk, _)| Arc::clone(desk)),
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
        if let Some((answering, desk, waiting)) = writing {
            let clerk = Clerk { shared: Arc::clone(&shared), desk, answering, waiting, connection: None };
            tasks.spawn(clerk.work());
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

    /// Answers these probes so from now on, whatever deliveries meet with; with `None` as deliveries are
    /// answered, which is so from the start. A door that is shut is shut for probes as well.
    pub fn behave_to(&self, probe: Probe, behaviour: Option<Behaviour>) {
        self.shared.behave_to(probe, behaviour);
    }

    /// How many of these probes came so far.
    #[must_use]
    pub fn probes(&self, probe: Probe) -> u64 {
        self.shared.probed(probe).asked.load(Ordering::Relaxed)
    }

    /// How many different records this CRM and another one have both taken.
    #[must_use]
    pub fn in_common(&self, other: &Self) -> u64 {
        if Arc::ptr_eq(&self.shared, &other.shared) {
            return self.totals().records;
        }
        // In one order whoever is asked, so that two who compare at a time don't wait for each other.
        let (first, second) = if Arc::as_ptr(&self.shared) < Arc::as_ptr(&other.shared) {
            (self, other)
        } else {
            (other, self)
        };
        first.look(|first| second.look(|second| first.in_common(second)))
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

    /// The book of its replies, in the order in which customers asked.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        self.shared.desk.as_ref().map(|desk| desk.written()).unwrap_or_default()
    }

    /// How many replies the gateway has queued, and whether none is still to be written.
    #[must_use]
    pub fn replies(&self) -> (usize, bool) {
        self.shared.desk.as_ref().map_or((0, true), |desk| desk.state())
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

    fn probed(&self, probe: Probe) -> &Probed {
        match probe {
            Probe::Health => &self.health,
            Probe::Address => &self.address,
        }
    }

    pub(crate) fn behave_to(&self, probe: Probe, behaviour: Option<Behaviour>) {
        *self.probed(probe).behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// A probe came: what to do with it.
    pub(crate) fn act_on(&self, probe: Probe) -> Act {
        let probed = self.probed(probe);
        let number = probed.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let own = probed.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        match &*own {
            Some(behaviour) => behaviour.act(number, std::iter::empty()),
            // A number that no `EveryNth` spares: a probe isn't one of the deliveries.
            None => self.act(0, std::iter::empty()),
        }
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
