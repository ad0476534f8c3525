//! A group that is shared by whoever sends, and its loop of probes.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use policy::Moment;
use policy::failover::{Action, Answer, CallId, Event, Group, Kept, Settings, State, View};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::live::Live;

/// What whoever sends has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The endpoint in use, by its place.
    pub active: usize,
    /// All endpoints are out of use: what goes is a trial.
    pub all_open: bool,
    /// Counts the moments at which what waited may go at once: another endpoint has become active, or the only
    /// one works again.
    pub go: u64,
}

/// What has changed in a group, with names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another endpoint is active.
    Switched {
        /// The one before.
        from: String,
        /// The one from now on.
        to: String,
        /// The word for why: `failed`, `slow`, `blocked`, `recovered` or `least_bad`.
        reason: &'static str,
    },
    /// An endpoint stands in another way.
    Stands {
        /// Which.
        endpoint: String,
        /// How it stood.
        before: State,
        /// How it stands.
        now: State,
    },
}

/// One endpoint as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// The name of the configuration.
    pub name: String,
    /// How it stands.
    pub view: View,
    /// How long ago its last probe ended.
    pub last_probe_ago: Option<Duration>,
}

/// How the endpoints of a group are probed.
pub trait Probes {
    /// Waits until the endpoint of that place may be probed; false where it can't be for no fault of its own.
    fn permit(&mut self, endpoint: usize) -> impl Future<Output = bool> + Send + 'static;

    /// Probes it; only polled after its permit.
    fn probe(&mut self, endpoint: usize) -> impl Future<Output = Answer> + Send + 'static;
}

/// Probes that need no permit.
impl<P, F> Probes for P
where
    P: FnMut(usize) -> F,
    F: Future<Output = Answer> + Send + 'static,
{
    fn permit(&mut self, _: usize) -> impl Future<Output = bool> + Send + 'static {
        ready(true)
    }

    fn probe(&mut self, endpoint: usize) -> impl Future<Output = Answer> + Send + 'static {
        self(endpoint)
    }
}

/// A group of endpoints under watch. Clones share it.
#[derive(Debug, Clone)]
pub struct Watched(Arc<Inner>);

pub(super) struct Inner {
    name: String,
    endpoints: Vec<String>,
    slow: Duration,
    start: Instant,
    locked: Mutex<Locked>,
    /// As the group has it, without its lock.
    active: AtomicUsize,
    all_open: AtomicBool,
    standing: watch::Sender<Standing>,
    /// The loop has something to look at before it would by itself.
    wake: Notify,
}

struct Locked {
    group: Group,
    /// Until when the loop sleeps if nobody wakes it.
    asleep_until: Moment,
}

impl Watched {
    /// Watches the endpoints of these names, in order of preference; `kept` is what an earlier run left. No
    /// probe is made before [`Watched::run`].
    #[must_use]
    pub fn new(name: String, endpoints: Vec<String>, settings: Settings, kept: Option<&Kept>) -> Self {
        let now = Moment::START;
        let group = match kept {
            Some(kept) => Group::restored(settings, endpoints.len(), kept, now),
            None => Group::new(settings, endpoints.len(), now),
        };
        let active = group.active();
        let standing = Standing { active, all_open: group.all_open(), go: 0 };
        Self(Arc::new(Inner {
            name,
            endpoints,
            slow: settings.slow,
            start: Instant::now(),
            locked: Mutex::new(Locked { group, asleep_until: now }),
            active: AtomicUsize::new(active),
            all_open: AtomicBool::new(standing.all_open),
            standing: watch::Sender::new(standing),
            wake: Notify::new(),
        }))
    }

    /// What the group is called: `crm`, or `whatsapp/{phone_number_id}`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The names of its endpoints, in order of preference.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.0.endpoints
    }

    /// What takes longer than this is a strike.
    #[must_use]
    pub fn slow(&self) -> Duration {
        self.0.slow
    }

    /// The endpoint in use, by its place.
    #[must_use]
    pub fn active(&self) -> usize {
        self.0.active()
    }

    /// How the group stands, now and later.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// What is to outlive the process.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.0.lock().group.kept()
    }

    /// How each endpoint stands.
    #[must_use]
    pub fn views(&self) -> Vec<EndpointView> {
        let now = self.0.now();
        let locked = self.0.lock();
        let named = self.0.endpoints.iter().zip(locked.group.views());
        let shown = named.map(|(name, view)| EndpointView {
            name: name.clone(),
            view,
            last_probe_ago: view.last_probe.map(|at| now.since(at)),
        });
        shown.collect()
    }

    /// A call to the endpoint in use begins.
    pub fn begin(&self) -> Live {
        self.begin_at(self.active(), false)
    }

    /// A call to this endpoint begins; `patient` says that how long it takes says nothing of the endpoint.
    pub fn begin_at(&self, endpoint: usize, patient: bool) -> Live {
        let id = self.0.begin(endpoint, patient);
        Live::new(Arc::clone(&self.0), endpoint, id)
    }

    /// Makes the probes and tells what has changed, until it is dropped. `probes` says how each is made; one that
    /// takes longer than `patience` has failed.
    pub async fn run(&self, patience: Duration, mut probes: impl Probes, mut tell: impl FnMut(&[Change])) {
        let inner = &self.0;
        let mut under_way = FuturesUnordered::new();
        loop {
            let (until, changes) = loop {
                let (action, changes) = inner.poll();
                match action {
                    Action::Probe(endpoint) => {
                        let (permit, probe) = (probes.permit(endpoint), probes.probe(endpoint));
                        under_way.push(async move {
                            if !permit.await {
                                return (endpoint, None);
                            }
                            inner.probe_begins(endpoint);
                            (endpoint, Some(timeout(patience, probe).await.unwrap_or(Answer::Failed)))
                        });
                        if !changes.is_empty() {
                            tell(&changes);
                        }
                    }
                    Action::Wait(until) => break (until, changes),
                }
            };
            if !changes.is_empty() {
                tell(&changes);
            }
            let ended = async {
                match under_way.next().await {
                    Some(ended) => ended,
                    None => pending().await,
                }
            };
            tokio::select! {
                (endpoint, answer) = ended => inner.probed(endpoint, answer),
                () = inner.wake.notified() => {}
                () = sleep_until(inner.start + until.since(Moment::START)) => {}
            }
        }
    }
}

impl Inner {
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, endpoint: usize, patient: bool) -> CallId {
        let mut locked = self.lock();
        let now = self.now();
        let id = locked.group.begin(now, endpoint, patient);
        // The loop is to notice that it is unanswered.
        if !patient && now + self.slow < locked.asleep_until {
            self.wake.notify_one();
        }
        id
    }

    pub(super) fn ended(&self, id: CallId, answer: Answer) {
        let mut locked = self.lock();
        locked.group.ended(self.now(), id, answer);
        self.after(&locked.group);
        // A probe may be due sooner now, and there may be something to tell.
        if answer != Answer::Good || locked.group.has_events() {
            self.wake.notify_one();
        }
    }

    pub(super) fn ended_away(&self, id: CallId, asked: Duration) {
        let mut locked = self.lock();
        locked.group.ended_away(self.now(), id, asked);
        self.after(&locked.group);
        self.wake.notify_one();
    }

    pub(super) fn forgotten(&self, id: CallId) {
        self.lock().group.forgotten(id);
    }

    fn probe_begins(&self, endpoint: usize) {
        let mut locked = self.lock();
        locked.group.probe_begins(self.now(), endpoint);
        // There is something to wait for now.
        self.wake.notify_one();
    }

    fn probed(&self, endpoint: usize, answer: Option<Answer>) {
        let mut locked = self.lock();
        match answer {
            Some(answer) => locked.group.probed(self.now(), endpoint, answer),
            None => locked.group.probe_skipped(self.now(), endpoint),
        }
        self.after(&locked.group);
    }

    fn poll(&self) -> (Action, Vec<Change>) {
        let mut locked = self.lock();
        let action = locked.group.poll(self.now());
        if let Action::Wait(until) = action {
            locked.asleep_until = until;
        }
        self.after(&locked.group);
        let events = locked.group.events();
        drop(locked);
        (action, events.into_iter().map(|event| self.named(event)).collect())
    }

    /// Shows what the group says now. Under its lock, so that what is shown is in order.
    fn after(&self, group: &Group) {
        let (active, all_open) = (group.active(), group.all_open());
        // With every answer: nothing is touched while nothing has changed.
        if active == self.active() && all_open == self.all_open.load(Ordering::Acquire) {
            return;
        }
        self.standing.send_if_modified(|standing| {
            let switched = standing.active != active;
            let works = standing.all_open && !all_open;
            let changed = switched || standing.all_open != all_open;
            standing.active = active;
            standing.all_open = all_open;
            standing.go += u64::from(switched || works);
            changed
        });
        self.active.store(active, Ordering::Release);
        self.all_open.store(all_open, Ordering::Release);
    }

    fn named(&self, event: Event) -> Change {
        let name = |place: usize| self.endpoints.get(place).cloned().unwrap_or_default();
        match event {
            Event::Switched { from, to, why } => {
                Change::Switched { from: name(from), to: name(to), reason: why.as_str() }
            }
            Event::Stands { endpoint, before, now } => {
                Change::Stands { endpoint: name(endpoint), before, now }
            }
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watched").field("name", &self.name).finish_non_exhaustive()
    }
}
