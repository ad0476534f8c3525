//! The shell around the lanes: reads the journal, sends, settles.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Record, Sequence};
use policy::Moment;
use policy::delivery::{
    Action, Entry, Failure, JobId, LaneKey, Lanes, Mode, Outcome, Read, Source, Tail, Verdict, Why,
};
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::metrics::{Results, paused};
use crate::quiet::Quiet;
use crate::sender::{Report, Sender};
use crate::{
    Clients, EgressError, Endpoint, Journal, JournalError, Metrics, Settlement, SigningSecrets, Status,
};

/// How long a shutdown waits for requests in flight (contract, section 1).
pub const DRAIN: Duration = Duration::from_secs(10);
/// What a record takes of the window besides its payload, roughly.
const RECORD_BYTES: usize = 512;

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
    reading: Option<JoinHandle<Result<Vec<Entry<Arc<Record>>>, JournalError>>>,
    settlements: Vec<(Sequence, Settlement)>,
    metrics: Metrics,
    results: Results,
    status: watch::Sender<Status>,
    dead_lines: Quiet,
    journal_lines: Quiet,
    gate_lines: Quiet,
    /// Whether the last closure of the gate was logged, and its end is to be.
    told: bool,
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
            reading: None,
            settlements: Vec::new(),
            metrics: metrics.clone(),
            results: metrics.results(endpoint.name()),
            sender: Arc::new(Sender::new(endpoint, secrets, render, clients)?),
            status: watch::Sender::default(),
            dead_lines: Quiet::default(),
            journal_lines: Quiet::default(),
            gate_lines: Quiet::default(),
            told: false,
        })
    }

    /// How delivery stands, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
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
                page = page(&mut self.reading) => self.take(page),
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
                Action::Read(read) => {
                    let journal = Arc::clone(&self.journal);
                    self.reading = Some(task::spawn_blocking(move || read_page(&*journal, &read)));
                }
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

    fn take(&mut self, page: Result<Vec<Entry<Arc<Record>>>, JournalError>) {
        self.reading = None;
        let now = self.now();
        match page {
            Ok(entries) => self.lanes.page(now, entries),
            Err(error) => {
                self.lanes.read_failed(now);
                if let Some(swallowed) = self.journal_lines.line(Instant::now()) {
                    tracing::error!(%error, swallowed, "delivery waits for the journal");
                }
            }
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Report), JoinError>) {
        let (id, report) = match ended {
            Ok((id, report)) => (id, report),
            Err(error) => (error.id(), crashed(&error)),
        };
        let Some((job, count)) = self.jobs.remove(&id) else { return };
        self.count(&report, count);
        let before = paused(self.lanes.access());
        let outcome = self.lanes.answered(self.now(), job, &report.verdict);
        let accepted = report.verdict == Verdict::Accepted;
        match outcome {
            Outcome::Delivered(records) => self.delivered(&records),
            Outcome::DeadLetter { record, attempts } => self.dead(&record, attempts, &report),
            Outcome::Kept => {}
        }
        let after = paused(self.lanes.access());
        self.status.send_if_modified(|status| {
            let changed = !accepted || status.consecutive_failures > 0 || status.paused != after;
            status.paused = after;
            status.consecutive_failures = if accepted { 0 } else { status.consecutive_failures + 1 };
            if !accepted {
                status.last_error = Some(report.error.clone());
            }
            changed
        });
        if before != after {
            self.gate_changed(after, &report);
        }
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
        let sequence = record.sequence;
        self.results.dead_letter.inc();
        self.status.send_modify(|status| status.dead_letters += 1);
        tracing::debug!(%sequence, attempts, error = report.error, "a record became a dead letter");
        if let Some(swallowed) = self.dead_lines.line(Instant::now()) {
            tracing::warn!(
                %sequence, attempts, error = report.error, swallowed,
                "the CRM refuses records; see the dead letters"
            );
        }
        let reason = if report.body.is_empty() {
            report.error.clone()
        } else {
            format!("{}: {}", report.error, report.body)
        };
        let settlement = Settlement::DeadLetter { reason, status: report.status, attempts };
        self.settlements.push((sequence, settlement));
    }

    /// Settles before anything is read again, as the journal's contract asks.
    fn flush(&mut self) {
        if !self.settlements.is_empty() {
            self.journal.settle(&self.settlements);
            self.settlements.clear();
        }
    }

    fn count(&self, report: &Report, records: usize) {
        let counter = match report.verdict {
            Verdict::Accepted => &self.results.accepted,
            Verdict::Refused => &self.results.refused,
            Verdict::Unauthorized => &self.results.unauthorized,
            Verdict::Retry { failure: Failure::Busy, .. } => &self.results.busy,
            Verdict::Retry { failure: Failure::Server, .. } => &self.results.server_error,
            Verdict::Retry { failure: Failure::Unknown, .. } => &self.results.no_answer,
            Verdict::Retry { failure: Failure::NotSent, .. } => &self.results.no_connection,
        };
        counter.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    }

    /// Logs that the CRM went away or came back; one that flickers is logged once a minute.
    fn gate_changed(&mut self, now_paused: Option<Why>, report: &Report) {
        let endpoint = self.sender.endpoint().name();
        let error = report.error.as_str();
        self.metrics.paused.set(match now_paused {
            None => 0,
            Some(Why::Unreachable) => 1,
            Some(Why::Throttled) => 2,
            Some(Why::Unauthorized) => 3,
        });
        let Some(why) = now_paused else {
            if std::mem::take(&mut self.told) {
                tracing::info!(endpoint, "the CRM takes records again");
            }
            return;
        };
        if why == Why::Unauthorized {
            self.told = true;
            tracing::error!(
                endpoint,
                error,
                "the CRM lets us in no more: check its token and the signing secret"
            );
        } else if let Some(swallowed) = self.gate_lines.line(Instant::now()) {
            self.told = true;
            match why {
                Why::Throttled => tracing::info!(endpoint, error, swallowed, "the CRM asks for a pause"),
                Why::Unreachable | Why::Unauthorized => {
                    tracing::warn!(endpoint, error, swallowed, "the CRM can't be reached; records wait");
                }
            }
        }
    }
}

/// What a request stands for that crashed on the way: the record, not the CRM, is at fault.
fn crashed(error: &JoinError) -> Report {
    let error = if error.is_panic() { "the record can't be rendered" } else { "the request was cancelled" };
    Report { verdict: Verdict::Refused, status: None, error: error.to_owned(), body: String::new() }
}

fn read_page(journal: &dyn Journal, read: &Read) -> Result<Vec<Entry<Arc<Record>>>, JournalError> {
    let records = match read.source {
        Source::Onwards | Source::Again => journal.undelivered(read.after, read.limit, read.bytes)?,
        Source::Replays => journal.replays(read.after, read.limit, read.bytes)?,
    };
    let entry = |record: Arc<Record>| Entry {
        sequence: record.sequence,
        lane: LaneKey::of(record.lane()),
        bytes: record.item.raw.len() + RECORD_BYTES,
        body: record,
    };
    Ok(records.into_iter().map(entry).collect())
}

async fn page(
    reading: &mut Option<JoinHandle<Result<Vec<Entry<Arc<Record>>>, JournalError>>>,
) -> Result<Vec<Entry<Arc<Record>>>, JournalError> {
    match reading {
        Some(handle) => handle.await.unwrap_or_else(|error| Err(JournalError(error.into()))),
        None => std::future::pending().await,
    }
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
