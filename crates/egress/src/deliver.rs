//! The shell around the lanes: reads the journal, sends, settles.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Record, Sequence};
use policy::Moment;
use policy::delivery::{Access, Action, JobId, Lanes, Mode, Outcome, Passing};
use policy::failover::State;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::alarm::Alarm;
use crate::crm::said;
use crate::health::Health;
use crate::reading::{Page, Reading};
use crate::requests::Requests;
use crate::sender::{Ended, Report, Sender};
use crate::{
    Clients, EgressError, Endpoints, Journal, Metrics, Settlement, SigningSecrets, Standing, Status, Watched,
};

/// How long a shutdown waits for requests in flight (contract, section 1).
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long the answers of an endpoint that was left as sick are still waited for. What is slow may have taken
/// its records, which then needn't come twice; what hangs would keep them from the next endpoint.
pub const GRACE: Duration = Duration::from_secs(1);

/// An endpoint that was left without being sick is waited for as much longer than an answer may take at most:
/// whatever hangs there goes again, with the same id.
const SLOW_TIMES: u32 = 2;

/// Writes a record as the event that the CRM reads.
pub type Render = Arc<dyn Fn(&Record) -> Vec<u8> + Send + Sync>;

/// How delivery behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bounds and waits.
    pub lanes: policy::delivery::Settings,
    /// See [`DRAIN`].
    pub drain: Duration,
    /// See [`GRACE`].
    pub grace: Duration,
    /// Where jitter starts from; best another number at each start.
    pub seed: u64,
}

impl Settings {
    /// The defaults for `mode`.
    #[must_use]
    pub fn new(mode: Mode, seed: u64) -> Self {
        Self { lanes: policy::delivery::Settings::new(mode), drain: DRAIN, grace: GRACE, seed }
    }
}

/// Hands records to one CRM, for as long as it runs.
pub struct Delivery {
    journal: Arc<dyn Journal>,
    sender: Arc<Sender>,
    settings: Settings,
    lanes: Lanes<Arc<Record>>,
    start: Instant,
    reading: Reading,
    settlements: Vec<(Sequence, Settlement)>,
    metrics: Metrics,
    health: Health,
    watched: Watched,
    standing: watch::Receiver<Standing>,
    /// The endpoint in use, and how often what waits was told to go, as the lanes know it.
    active: usize,
    go: u64,
    /// Whether records get through to the endpoint in use.
    passing: Passing,
    /// Requests may be under way to this endpoint, which is in use no more.
    left: Option<usize>,
}

impl Delivery {
    /// Prepares delivery to that one of `endpoints` that is in use; nothing is sent before [`Delivery::run`].
    ///
    /// # Errors
    /// When an endpoint is none that one can connect to.
    pub fn new(
        journal: Arc<dyn Journal>,
        render: Render,
        endpoints: &Endpoints,
        secrets: SigningSecrets,
        clients: &Clients,
        settings: Settings,
        metrics: &Metrics,
    ) -> Result<Self, EgressError> {
        let watched = endpoints.watched().clone();
        let mut standing = watched.standing();
        let Standing { active, go, .. } = *standing.borrow_and_update();
        let patient = matches!(settings.lanes.mode, Mode::Batch { .. });
        Ok(Self {
            journal,
            lanes: Lanes::new(settings.lanes, settings.seed),
            settings,
            start: Instant::now(),
            reading: Reading::default(),
            settlements: Vec::new(),
            metrics: metrics.clone(),
            health: Health::new(watched.endpoints(), active, metrics),
            sender: Arc::new(Sender::new(endpoints, patient, secrets, render, clients)?),
            watched,
            standing,
            active,
            go,
            passing: Passing::default(),
            left: None,
        })
    }

    /// How delivery stands, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.health.status()
    }

    /// Delivers until `shutdown` comes to pass; then waits for the requests in flight, at most
    /// [`Settings::drain`], settles what was answered, and returns. What is unanswered stays
    /// undelivered and is sent again after the next start.
    ///
    /// Best spawned: the future that a runtime blocks on is woken through the kernel even by its
    /// own sockets, which costs two system calls an answer.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut tail = self.journal.watch();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut news = *tail.borrow_and_update();
        let mut journal_lives = true;
        let mut alarm = Alarm::new(self.start);
        let sender = Arc::clone(&self.sender);
        let mut requests = Requests::new();
        let mut ended = Vec::new();
        // Made once: it is asked with every answer, and rarely has one.
        let mut moved = pin!(change(self.standing.clone()));
        loop {
            self.lanes.tail(news);
            self.flush();
            self.follow();
            self.leave(&mut requests);
            let active = self.active;
            let wake = self.act(|job, records| requests.push(sender.send(active, job, records)));
            let wake = wake.into_iter().chain(requests.due()).min();
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                page = self.reading.done() => self.take(page),
                () = requests.gather(&mut ended) => {}
                changed = tail.changed(), if journal_lives => journal_lives = changed.is_ok(),
                standing = &mut moved => moved.set(change(standing)),
                () = poll_fn(|context| wake.map_or(Poll::Pending, |wake| alarm.poll(context, wake))) => {}
            }
            self.judge(&mut ended);
            news = *tail.borrow_and_update();
        }
        self.drain(requests).await;
    }

    async fn drain(&mut self, mut requests: Requests<impl Future<Output = Ended>>) {
        let deadline = Instant::now() + self.settings.drain;
        let mut ended = Vec::new();
        while requests.len() > 0 && timeout_at(deadline, requests.gather(&mut ended)).await.is_ok() {
            self.judge(&mut ended);
            self.flush();
        }
        let unanswered = requests.len();
        if unanswered > 0 {
            tracing::info!(unanswered, "stopped; what the CRM hasn't answered is sent again after the start");
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment::after_start(now.saturating_duration_since(self.start))
    }

    /// Carries out what the lanes want, until they wait; returns until when.
    fn act(&mut self, mut send: impl FnMut(JobId, Vec<Arc<Record>>)) -> Option<Instant> {
        let now = Instant::now();
        let wake = loop {
            match self.lanes.poll(self.moment(now)) {
                Action::Wait(until) => break until,
                Action::Read(read) => {
                    if let Some(page) = self.reading.start(&self.journal, read) {
                        self.take(page);
                    }
                }
                Action::Send { job, records } => send(job, records),
            }
        };
        let (records, bytes) = self.lanes.held();
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.in_flight.set(gauge(self.lanes.in_flight()));
        self.metrics.window_records.set(gauge(records));
        self.metrics.window_bytes.set(gauge(bytes));
        let wake = wake.map(|wake| self.start + wake.since(Moment::START));
        wake.into_iter().chain(self.sender.tidy(now)).min()
    }

    /// Looks whether another endpoint is in use now, or the same one works again.
    fn follow(&mut self) {
        if !self.standing.has_changed().unwrap_or(false) {
            return;
        }
        let Standing { active, go, .. } = *self.standing.borrow_and_update();
        if active != self.active {
            self.sender.reset(self.active);
            self.lanes.switched();
            self.passing = Passing::default();
            self.left = Some(std::mem::replace(&mut self.active, active));
            self.health.switched(active, self.lanes.access());
        } else if go != self.go {
            self.lanes.works_again(self.moment(Instant::now()));
        }
        self.go = go;
    }

    /// Sets aside what is under way to an endpoint that was left, and gives up what has had its time there.
    fn leave(&mut self, requests: &mut Requests<impl Future<Output = Ended>>) {
        let given_up = match self.left.take() {
            Some(endpoint) => {
                let views = self.watched.views();
                let sick = views.get(endpoint).map(|shown| shown.view.state);
                let sick = matches!(sick, Some(State::Open | State::HalfOpen));
                // They take up places that the next endpoint needs, wherever they went to.
                let time = if sick { self.settings.grace } else { self.patience() };
                requests.leave(endpoint, self.lanes.switches(), Instant::now() + time)
            }
            None => requests.overdue(),
        };
        if let Some(given_up) = given_up {
            let records = self.lanes.abandon(given_up.switches);
            self.health.abandoned(given_up.endpoint, records);
        }
    }

    /// How long an endpoint that isn't sick may take for what it still has when it is left.
    fn patience(&self) -> Duration {
        self.settings.grace.max(self.watched.slow().saturating_mul(SLOW_TIMES))
    }

    fn take(&mut self, page: Page) {
        let now = self.moment(Instant::now());
        match page {
            Ok(entries) => self.lanes.page(now, entries),
            Err(error) => {
                self.lanes.read_failed(now);
                self.health.journal_failed(&error);
            }
        }
    }

    /// Takes the answers that have come.
    fn judge(&mut self, ended: &mut Vec<Ended>) {
        if ended.is_empty() {
            return;
        }
        let (instant, clock) = (Instant::now(), SystemTime::now());
        let now = self.moment(instant);
        self.follow();
        for Ended { job, records, report, live } in ended.drain(..) {
            let endpoint = live.endpoint();
            match self.lanes.answered(now, job, &report.verdict) {
                Outcome::Delivered(records) => self.delivered(&records, clock),
                Outcome::DeadLetter { record, attempts } => self.dead(endpoint, &record, attempts, &report),
                Outcome::Kept => {}
            }
            let access = self.lanes.access();
            self.health.ended(instant, endpoint, &report, records, access);
            let in_use = endpoint == self.active;
            let held = in_use && self.passing.answered(&report.verdict);
            // Nothing goes while the time is kept that it asked for: no further answer would tell how it is.
            let shut = in_use && access != Access::Open;
            match said::away(&report.verdict).filter(|_| held || shut) {
                Some(asked) => live.ended_away(asked.min(self.settings.lanes.backoff.retry_after_max)),
                None => live.ended(said::by_record(&report.verdict, held)),
            };
            // That may have been the last straw; what else has come is then from an endpoint that was left.
            self.follow();
        }
    }

    fn delivered(&mut self, records: &[Arc<Record>], clock: SystemTime) {
        let now = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        for record in records {
            if !record.replayed {
                // A clock that was set back in between would make it negative.
                let received = Duration::from_millis(u64::try_from(record.received_at.0).unwrap_or(0));
                self.metrics.seconds.observe(now.saturating_sub(received).as_secs_f64());
            }
            self.settlements.push((record.sequence, Settlement::Delivered));
        }
    }

    fn dead(&mut self, endpoint: usize, record: &Record, attempts: u32, report: &Report) {
        self.health.dead_letter(endpoint, record.sequence, attempts, &report.error);
        let reason = match report.body.as_str() {
            "" => report.error.clone(),
            body => format!("{}: {body}", report.error),
        };
        let settlement = Settlement::DeadLetter { reason, status: report.status, attempts };
        self.settlements.push((record.sequence, settlement));
    }

    /// Settles before anything is read again, as the journal's contract asks.
    fn flush(&mut self) {
        if !self.settlements.is_empty() {
            self.journal.settle(&self.settlements);
            self.settlements.clear();
        }
    }
}

/// Waits until the group stands in another way; for ever if it is gone.
async fn change(mut standing: watch::Receiver<Standing>) -> watch::Receiver<Standing> {
    if standing.changed().await.is_err() {
        pending::<()>().await;
    }
    standing
}
