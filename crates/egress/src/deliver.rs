//! The shell around the lanes: reads the journal, sends, settles.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Record, Sequence};
use policy::Moment;
use policy::delivery::{Action, JobId, Lanes, Mode, Outcome, Verdict};
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use crate::health::Health;
use crate::reading::{Page, Reading};
use crate::sender::{Report, Sender};
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
    sending: JoinSet<Report>,
    jobs: HashMap<task::Id, (JobId, usize)>,
    reading: Reading,
    settlements: Vec<(Sequence, Settlement)>,
    metrics: Metrics,
    health: Health,
}

impl Delivery {
    /// Prepares delivery to `endpoint`; nothing is sent before [`Delivery::run`].
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        journal: Arc<dyn Journal>,
        render: Render,
        endpoint: Endpoint,
        secrets: SigningSecrets,
        clients: Clients,
        settings: Settings,
        metrics: &Metrics,
    ) -> Result<Self, EgressError> {
        Ok(Self {
            journal,
            lanes: Lanes::new(settings.lanes, settings.seed),
            settings,
            start: Instant::now(),
            sending: JoinSet::new(),
            jobs: HashMap::new(),
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
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut tail = self.journal.watch();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut news = *tail.borrow_and_update();
        let mut journal_lives = true;
        loop {
            self.lanes.tail(news);
            self.flush();
            let wake = self.act();
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = self.sending.join_next_with_id() => self.ended(ended),
                page = self.reading.done() => self.take(page),
                changed = tail.changed(), if journal_lives => journal_lives = changed.is_ok(),
                () = at(wake.map(|wake| self.start + wake.since(Moment::START))) => {}
            }
            // What is ready besides is judged before the next look at what may go.
            while let Some(ended) = self.sending.try_join_next_with_id() {
                self.ended(ended);
            }
            news = *tail.borrow_and_update();
        }
        self.drain().await;
    }

    async fn drain(&mut self) {
        let deadline = Instant::now() + self.settings.drain;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.sending.join_next_with_id()).await
        {
            self.ended(ended);
            self.flush();
        }
        self.flush();
        let unanswered = self.sending.len();
        if unanswered > 0 {
            tracing::info!(unanswered, "stopped; what the CRM hasn't answered is sent again after the start");
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    /// Carries out what the lanes want, until they wait; returns until when.
    fn act(&mut self) -> Option<Moment> {
        let now = self.now();
        let wake = loop {
            match self.lanes.poll(now) {
                Action::Wait(until) => break until,
                Action::Read(read) => self.reading.start(Arc::clone(&self.journal), read),
                Action::Send { job, records } => {
                    let count = records.len();
                    let sender = Arc::clone(&self.sender);
                    let handle = self.sending.spawn(async move { sender.send(records).await });
                    self.jobs.insert(handle.id(), (job, count));
                }
            }
        };
        let (records, bytes) = self.lanes.held();
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.in_flight.set(gauge(self.lanes.in_flight()));
        self.metrics.window_records.set(gauge(records));
        self.metrics.window_bytes.set(gauge(bytes));
        wake
    }

    fn take(&mut self, page: Page) {
        let now = self.now();
        match page {
            Ok(entries) => self.lanes.page(now, entries),
            Err(error) => {
                self.lanes.read_failed(now);
                self.health.journal_failed(&error);
            }
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Report), JoinError>) {
        let (id, report) = match ended {
            Ok((id, report)) => (id, report),
            Err(error) => (error.id(), crashed(&error)),
        };
        let Some((job, count)) = self.jobs.remove(&id) else { return };
        match self.lanes.answered(self.now(), job, &report.verdict) {
            Outcome::Delivered(records) => self.delivered(&records),
            Outcome::DeadLetter { record, attempts } => self.dead(&record, attempts, &report),
            Outcome::Kept => {}
        }
        self.health.ended(&report, count, self.lanes.access());
    }

    fn delivered(&mut self, records: &[Arc<Record>]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
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

/// What a request stands for that crashed on the way: the record, not the CRM, is at fault.
fn crashed(error: &JoinError) -> Report {
    let error = if error.is_panic() { "the record can't be rendered" } else { "the request was cancelled" };
    Report { verdict: Verdict::Refused, status: None, error: error.to_owned(), body: String::new() }
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
