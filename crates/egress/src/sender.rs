//! One request: out, and its answer in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::Record;
use policy::delivery::{JobId, Verdict};
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::classify::{Answer, classify};
use crate::crm::{Endpoints, Outgoing};
use crate::deliver::Render;
use crate::http::{self, Trouble};
use crate::{Clients, EgressError, Live, SigningSecrets, Watched};

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) status: Option<u16>,
    /// The failure in words, fit for a log: status or transport error, no content. Empty for what
    /// was accepted.
    pub(crate) error: String,
    /// The beginning of the answer's body, where the answer was a failure.
    pub(crate) body: String,
}

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) job: JobId,
    /// Records that it held.
    pub(crate) records: usize,
    pub(crate) report: Report,
    /// The call as the endpoint's group sees it, still to be told how it ended.
    pub(crate) live: Live,
}

/// Sends requests, each to the endpoint that it is told.
pub(crate) struct Sender {
    /// By the place of the endpoint; never empty.
    clients: Vec<http::Client>,
    watched: Watched,
    /// How long a request takes says nothing of the endpoint: it may hold many records.
    patient: bool,
    secrets: SigningSecrets,
    render: Render,
}

impl Sender {
    pub(crate) fn new(
        endpoints: &Endpoints,
        patient: bool,
        secrets: SigningSecrets,
        render: Render,
        clients: &Clients,
    ) -> Result<Self, EgressError> {
        let posters = endpoints.list().iter().map(|endpoint| clients.poster(endpoint));
        let watched = endpoints.watched().clone();
        Ok(Self { clients: posters.collect::<Result<_, _>>()?, watched, patient, secrets, render })
    }

    /// Sends to the endpoint of that place.
    pub(crate) async fn send(&self, endpoint: usize, job: JobId, records: Vec<Arc<Record>>) -> Ended {
        let count = records.len();
        let live = self.watched.begin_at(endpoint, self.patient || count > 1);
        let report = match self.clients.get(endpoint) {
            Some(client) => {
                let (head, body) = self.prepare(client, &records);
                drop(records);
                match client.send(&head, &body).await {
                    Ok(answer) => answered(&answer),
                    Err(trouble) => failed(trouble),
                }
            }
            None => failed(Trouble::NotSent("there is no such endpoint".to_owned())),
        };
        Ended { job, records: count, report, live }
    }

    /// Closes connections that have been idle for too long; returns when to look again.
    pub(crate) fn tidy(&self, now: Instant) -> Option<Instant> {
        self.clients.iter().filter_map(|client| client.tidy(now)).min()
    }

    /// Forgets what is known of the way to an endpoint that isn't in use any more.
    pub(crate) fn reset(&self, endpoint: usize) {
        if let Some(client) = self.clients.get(endpoint) {
            client.reset();
        }
    }

    /// Head and body of a request.
    fn prepare(&self, client: &http::Client, records: &[Arc<Record>]) -> (Vec<u8>, Vec<u8>) {
        let outgoing = Outgoing::new(records.iter().map(AsRef::as_ref), |record| (self.render)(record));
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let timestamp = i64::try_from(timestamp).unwrap_or(i64::MAX);
        (outgoing.head(client.head_start(), timestamp, &self.secrets), outgoing.body)
    }
}

fn answered(answer: &http::Answer) -> Report {
    let status = Answer::Status {
        code: answer.code,
        retry_after: answer.retry_after.as_deref(),
        date: answer.date.as_deref(),
    };
    // Only a date to wait for is measured against the clock.
    let now = if answer.retry_after.is_some() { SystemTime::now() } else { UNIX_EPOCH };
    let verdict = classify(&status, now);
    let mut report = Report { verdict, status: Some(answer.code), error: String::new(), body: String::new() };
    if verdict != Verdict::Accepted {
        let status = StatusCode::from_u16(answer.code);
        report.error = status.map_or_else(|_| answer.code.to_string(), |status| status.to_string());
        report.body = String::from_utf8_lossy(&answer.reason).into_owned();
    }
    report
}

fn failed(trouble: Trouble) -> Report {
    let (answer, error) = match trouble {
        Trouble::NotSent(error) => (Answer::NotSent, error),
        Trouble::Unknown(error) => (Answer::Unknown, error),
    };
    Report { verdict: classify(&answer, UNIX_EPOCH), status: None, error, body: String::new() }
}
