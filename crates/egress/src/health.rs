//! What delivery tells of itself: counters, status and log lines.

use std::time::Duration;

use model::Sequence;
use policy::delivery::{Access, Verdict, Why};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::Results;
use crate::quiet::Quiet;
use crate::sender::Report;
use crate::{JournalError, Metrics};

/// With nothing accepted for so long, while failures come, delivery is in trouble, whether the gate is closed or
/// not: long enough for a restart of the CRM.
const IN_TROUBLE_AFTER: Duration = Duration::from_secs(60);
/// Failures come as long as the last one is no older than this: twice the longest wait between two tries, and the
/// usual time for an answer. After a longer silence nothing waits any more.
const FAILURES_COME_WITHIN: Duration = Duration::from_secs(120);

/// How delivery stands; changes with every failure and every recovery, not with every record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The name of the endpoint in use.
    pub endpoint: String,
    /// Set while only one trial at a time goes out, and why.
    pub paused: Option<Why>,
    /// Failed requests since the last accepted one.
    pub consecutive_failures: u64,
    /// When the first and the last of them were.
    pub failing: Option<(Instant, Instant)>,
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

    /// Nothing was accepted for a minute, and failures come: the last one within two minutes.
    #[must_use]
    pub fn in_trouble(&self, now: Instant) -> bool {
        self.failing.is_some_and(|(first, last)| {
            now.duration_since(first) >= IN_TROUBLE_AFTER && now.duration_since(last) <= FAILURES_COME_WITHIN
        })
    }
}

#[derive(Debug)]
pub(crate) struct Health {
    /// Names and counters, by the place of the endpoint.
    endpoints: Vec<(String, Results)>,
    /// The endpoint in use.
    active: usize,
    metrics: Metrics,
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
    /// Of the endpoints of these names, the one at `active` being in use.
    pub(crate) fn new(names: &[String], active: usize, metrics: &Metrics) -> Self {
        let endpoint = names.get(active).cloned().unwrap_or_default();
        Self {
            endpoints: names.iter().map(|name| (name.clone(), metrics.results(name))).collect(),
            active,
            metrics: metrics.clone(),
            status: watch::Sender::new(Status { endpoint, ..Status::default() }),
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

    /// A request to `endpoint` with so many records has ended, and `access` is what the CRM lets us do now.
    pub(crate) fn ended(
        &mut self,
        now: Instant,
        endpoint: usize,
        report: &Report,
        records: usize,
        access: Access,
    ) {
        if let Some((_, results)) = self.endpoints.get(endpoint) {
            results.of(&report.verdict).inc_by(count(records));
        }
        // How an endpoint does that was left is no news of delivery.
        if endpoint != self.active {
            return;
        }
        let paused = paused(access);
        let accepted = report.verdict == Verdict::Accepted;
        if accepted && self.failures == 0 && self.paused == paused {
            return;
        }
        self.failures = if accepted { 0 } else { self.failures + 1 };
        self.status.send_modify(|status| {
            status.paused = paused;
            status.consecutive_failures = self.failures;
            let first = status.failing.map_or(now, |(first, _)| first);
            status.failing = (!accepted).then_some((first, now));
            if !accepted {
                status.last_error = Some(report.error.clone());
            }
        });
        if std::mem::replace(&mut self.paused, paused) != paused {
            self.pause_changed(paused, &report.error);
        }
    }

    /// Requests to `endpoint`, which was left, with so many records were given up unanswered.
    pub(crate) fn abandoned(&self, endpoint: usize, records: usize) {
        if let Some((_, results)) = self.endpoints.get(endpoint) {
            results.no_answer.inc_by(count(records));
        }
    }

    /// Another endpoint is in use from now on.
    pub(crate) fn switched(&mut self, endpoint: usize, access: Access) {
        self.active = endpoint;
        self.paused = paused(access);
        // What was said of the endpoint before needs no other end than this.
        self.told = false;
        self.metrics.paused.set(pause_code(self.paused));
        let name = self.name(endpoint).to_owned();
        // The switch itself was said by whoever watches the endpoints.
        tracing::debug!(endpoint = name, "records go to this endpoint of the CRM now");
        self.status.send_modify(|status| {
            status.endpoint = name;
            status.paused = self.paused;
        });
    }

    pub(crate) fn dead_letter(&mut self, endpoint: usize, sequence: Sequence, attempts: u32, error: &str) {
        if let Some((_, results)) = self.endpoints.get(endpoint) {
            results.dead_letter.inc();
        }
        self.status.send_modify(|status| status.dead_letters += 1);
        tracing::debug!(%sequence, attempts, error, "a record became a dead letter");
        if let Some(swallowed) = self.dead_lines.line(Instant::now()) {
            let endpoint = self.name(endpoint);
            tracing::warn!(
                endpoint, %sequence, attempts, error, swallowed, "the CRM refuses records; see the dead letters"
            );
        }
    }

    fn name(&self, endpoint: usize) -> &str {
        self.endpoints.get(endpoint).map_or("", |(name, _)| name)
    }

    pub(crate) fn journal_failed(&mut self, error: &JournalError) {
        if let Some(swallowed) = self.journal_lines.line(Instant::now()) {
            tracing::error!(%error, swallowed, "delivery waits for the journal");
        }
    }

    /// Logs that the CRM went away or came back; one that flickers is logged once a minute.
    fn pause_changed(&mut self, paused: Option<Why>, error: &str) {
        self.metrics.paused.set(pause_code(paused));
        let Some(why) = paused else {
            if std::mem::take(&mut self.told) {
                tracing::info!(endpoint = self.name(self.active), "the CRM takes records again");
            }
            return;
        };
        if why == Why::Unauthorized {
            self.told = true;
            let endpoint = self.name(self.active);
            tracing::error!(endpoint, error, "the CRM lets us in no more: see to its access and the secret");
        } else if let Some(swallowed) = self.pause_lines.line(Instant::now()) {
            self.told = true;
            let endpoint = self.name(self.active);
            tracing::warn!(endpoint, error, swallowed, "the CRM takes no records; they wait on disk");
        }
    }
}

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}

const fn paused(access: Access) -> Option<Why> {
    match access {
        Access::Open => None,
        Access::Closed { why, .. } => Some(why),
    }
}

/// As the metric has it.
const fn pause_code(paused: Option<Why>) -> i64 {
    match paused {
        None => 0,
        Some(Why::Unreachable) => 1,
        Some(Why::Throttled) => 2,
        Some(Why::Unauthorized) => 3,
    }
}

#[cfg(test)]
mod tests {
    use policy::delivery::Failure;

    use super::*;

    const RETRY: Verdict = Verdict::Retry { failure: Failure::Server, retry_after: None };

    fn ended(health: &mut Health, now: Instant, verdict: Verdict) {
        let report = Report { verdict, status: None, error: "500".to_owned(), body: String::new() };
        health.ended(now, 0, &report, 1, Access::Open);
    }

    #[test]
    fn failures_for_a_minute_with_nothing_accepted_are_trouble_though_the_gate_is_open() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut health = Health::new(&["only".to_owned()], 0, &Metrics::default());
        let status = health.status();
        let in_trouble = |seconds| status.borrow().in_trouble(at(seconds));
        ended(&mut health, at(0), Verdict::Accepted);
        assert!(!in_trouble(1_000), "nothing to send is no trouble");
        for seconds in (1_000..1_600).step_by(30) {
            ended(&mut health, at(seconds), RETRY);
            assert_eq!(in_trouble(seconds), seconds >= 1_060, "{seconds}");
        }
        assert!(in_trouble(1_570 + 120));
        assert!(!in_trouble(1_570 + 121), "failures come no more");
        ended(&mut health, at(1_600), RETRY);
        assert!(in_trouble(1_600));
        ended(&mut health, at(1_601), Verdict::Accepted);
        assert!(!in_trouble(1_601));
        ended(&mut health, at(1_602), RETRY);
        assert!(!in_trouble(1_602), "counted anew");
        assert_eq!(status.borrow().paused, None);
    }
}
