//! What delivery tells of itself: counters, status and log lines.

use model::Sequence;
use policy::delivery::{Access, Failure, Verdict, Why};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::Results;
use crate::quiet::Quiet;
use crate::sender::Report;
use crate::{JournalError, Metrics};

/// How delivery stands; changes with every failure and every recovery, not with every record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Set while only one trial at a time goes out, and why.
    pub paused: Option<Why>,
    /// Failed requests since the last accepted one.
    pub consecutive_failures: u64,
    /// The last failure in words, without any content; kept after a recovery.
    pub last_error: Option<String>,
    /// Records given up since the start.
    pub dead_letters: u64,
}

impl Status {
    /// The CRM answers 401 or 403: a person must see to the credentials.
    #[must_use]
    pub fn paused_by_auth(&self) -> bool {
        self.paused == Some(Why::Unauthorized)
    }
}

#[derive(Debug)]
pub(crate) struct Health {
    endpoint: String,
    metrics: Metrics,
    results: Results,
    status: watch::Sender<Status>,
    /// As `status` has them, which takes a lock to be read.
    paused: Option<Why>,
    failures: u64,
    dead_lines: Quiet,
    journal_lines: Quiet,
    pause_lines: Quiet,
    /// The pause was logged, so its end is to be.
    told: bool,
}

impl Health {
    pub(crate) fn new(endpoint: &str, metrics: &Metrics) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            metrics: metrics.clone(),
            results: metrics.results(endpoint),
            status: watch::Sender::default(),
            paused: None,
            failures: 0,
            dead_lines: Quiet::default(),
            journal_lines: Quiet::default(),
            pause_lines: Quiet::default(),
            told: false,
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// A request with so many records has ended, and `access` is what the CRM lets us do now.
    pub(crate) fn ended(&mut self, report: &Report, records: usize, access: Access) {
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
        let paused = match access {
            Access::Open => None,
            Access::Closed { why, .. } => Some(why),
        };
        let accepted = report.verdict == Verdict::Accepted;
        if accepted && self.failures == 0 && self.paused == paused {
            return;
        }
        self.failures = if accepted { 0 } else { self.failures + 1 };
        self.status.send_modify(|status| {
            status.paused = paused;
            status.consecutive_failures = self.failures;
            if !accepted {
                status.last_error = Some(report.error.clone());
            }
        });
        if std::mem::replace(&mut self.paused, paused) != paused {
            self.pause_changed(paused, &report.error);
        }
    }

    pub(crate) fn dead_letter(&mut self, sequence: Sequence, attempts: u32, error: &str) {
        self.results.dead_letter.inc();
        self.status.send_modify(|status| status.dead_letters += 1);
        tracing::debug!(%sequence, attempts, error, "a record became a dead letter");
        if let Some(swallowed) = self.dead_lines.line(Instant::now()) {
            tracing::warn!(
                %sequence, attempts, error, swallowed, "the CRM refuses records; see the dead letters"
            );
        }
    }

    pub(crate) fn journal_failed(&mut self, error: &JournalError) {
        if let Some(swallowed) = self.journal_lines.line(Instant::now()) {
            tracing::error!(%error, swallowed, "delivery waits for the journal");
        }
    }

    /// Logs that the CRM went away or came back; one that flickers is logged once a minute.
    fn pause_changed(&mut self, paused: Option<Why>, error: &str) {
        let endpoint = self.endpoint.as_str();
        self.metrics.paused.set(match paused {
            None => 0,
            Some(Why::Unreachable) => 1,
            Some(Why::Throttled) => 2,
            Some(Why::Unauthorized) => 3,
        });
        let Some(why) = paused else {
            if std::mem::take(&mut self.told) {
                tracing::info!(endpoint, "the CRM takes records again");
            }
            return;
        };
        if why == Why::Unauthorized {
            self.told = true;
            tracing::error!(endpoint, error, "the CRM lets us in no more: see to its access and the secret");
        } else if let Some(swallowed) = self.pause_lines.line(Instant::now()) {
            self.told = true;
            tracing::warn!(endpoint, error, swallowed, "the CRM takes no records; they wait on disk");
        }
    }
}
