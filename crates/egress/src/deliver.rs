//! The shell around the lanes: reads the journal, sends, settles.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use model::{Record, Sequence};
use policy::Moment;
use policy::delivery::{Action, JobId, Lanes, Mode, Outcome};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::alarm::Alarm;
use crate::health::Health;
use crate::reading::{Page, Reading};
use crate::sender::{Ended, Report, Sender};
use crate::{Clients, EgressError, Endpoint, Journal, Metrics, Settlement, SigningSecrets, Status};

/// How long a shutdown waits for requests in flight (contract, section 1).
pub const DRAIN: Duration = Duration::from_secs(10);

/// Writes a record as the event that the CRM reads.
pub type Render = Arc<dyn Fn(&Record) -> Vec<u8> + Send + Sync>;

/// How delivery behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bounds and waits.
    pub lanes: policy::delivery::Settings,
    /// See [`DRAIN`].
    pub drain: Duration,
    /// Where jitter starts from; best another number at each start.
    pub seed: u64,
}

impl Settings {
    /// The defaults for `mode`.
    #[must_use]
    pub fn new(mode: Mode, seed: u64) -> Self {
        Self { lanes: policy::delivery::Settings::new(mode), drain: DRAIN, seed }
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
}

impl Delivery {
    /// Prepares delivery to `endpoint`; nothing is sent before [`Delivery::run`].
    ///
    /// # Errors
    /// When the endpoint is none that one can connect to.
    pub fn new(
        journal: Arc<dyn Journal>,
        render: Render,
        endpoint: &Endpoint,
        secrets: SigningSecrets,
        clients: &Clients,
        settings: Settings,
        metrics: &Metrics,
    ) -> Result<Self, EgressError> {
        Ok(Self {
            journal,
            lanes: Lanes::new(settings.lanes, settings.seed),
            settings,
            start: Instant::now(),
            reading: Reading::default(),
            settlements: Vec::new(),
            metrics: metrics.clone(),
            health: Health::new(endpoint.name(), metrics),
            sender: Arc::new(Sender::new(endpoint, secrets, render, clients)?),
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
        // All requests are driven right here: a task of its own for each would only be a detour.
        let sender = Arc::clone(&self.sender);
        let mut sending = FuturesUnordered::new();
        let mut ended = Vec::new();
        loop {
            self.lanes.tail(news);
            self.flush();
            let wake = self.act(|job, records| sending.push(sender.send(job, records)));
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                page = self.reading.done() => self.take(page),
                () = gather(&mut sending, &mut ended) => {}
                changed = tail.changed(), if journal_lives => journal_lives = changed.is_ok(),
                () = poll_fn(|context| wake.map_or(Poll::Pending, |wake| alarm.poll(context, wake))) => {}
            }
            self.judge(&mut ended);
            news = *tail.borrow_and_update();
        }
        self.drain(sending).await;
    }

    async fn drain(&mut self, mut sending: FuturesUnordered<impl Future<Output = Ended>>) {
        let deadline = Instant::now() + self.settings.drain;
        let mut ended = Vec::new();
        while !sending.is_empty() && timeout_at(deadline, gather(&mut sending, &mut ended)).await.is_ok() {
            self.judge(&mut ended);
            self.flush();
        }
        let unanswered = sending.len();
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
        let (now, clock) = (self.moment(Instant::now()), SystemTime::now());
        for Ended { job, records, report } in ended.drain(..) {
            match self.lanes.answered(now, job, &report.verdict) {
                Outcome::Delivered(records) => self.delivered(&records, clock),
                Outcome::DeadLetter { record, attempts } => self.dead(&record, attempts, &report),
                Outcome::Kept => {}
            }
            self.health.ended(&report, records, self.lanes.access());
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

    fn dead(&mut self, record: &Record, attempts: u32, report: &Report) {
        self.health.dead_letter(record.sequence, attempts, &report.error);
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

/// Collects all requests that have ended, one at least; waits for ever if none is under way.
async fn gather(sending: &mut FuturesUnordered<impl Future<Output = Ended>>, ended: &mut Vec<Ended>) {
    poll_fn(|context| {
        while let Poll::Ready(Some(next)) = sending.poll_next_unpin(context) {
            ended.push(next);
        }
        if ended.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
