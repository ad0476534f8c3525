//! One request: out, and its answer in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::Record;
use policy::delivery::{JobId, Verdict};
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::classify::{Answer, classify};
use crate::crm::Outgoing;
use crate::deliver::Render;
use crate::http::{self, Trouble};
use crate::{Clients, EgressError, Endpoint, SigningSecrets};

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
}

/// Sends requests to one endpoint.
pub(crate) struct Sender {
    client: http::Client,
    secrets: SigningSecrets,
    render: Render,
}

impl Sender {
    pub(crate) fn new(
        endpoint: &Endpoint,
        secrets: SigningSecrets,
        render: Render,
        clients: &Clients,
    ) -> Result<Self, EgressError> {
        Ok(Self { client: clients.poster(endpoint)?, secrets, render })
    }

    pub(crate) async fn send(&self, job: JobId, records: Vec<Arc<Record>>) -> Ended {
        let count = records.len();
        let (head, body) = self.prepare(&records);
        drop(records);
        let report = match self.client.send(&head, &body).await {
            Ok(answer) => answered(&answer),
            Err(trouble) => failed(trouble),
        };
        Ended { job, records: count, report }
    }

    /// Closes connections that have been idle for too long; returns when to look again.
    pub(crate) fn tidy(&self, now: Instant) -> Option<Instant> {
        self.client.tidy(now)
    }

    /// Head and body of a request.
    fn prepare(&self, records: &[Arc<Record>]) -> (Vec<u8>, Vec<u8>) {
        let outgoing = Outgoing::new(records.iter().map(AsRef::as_ref), |record| (self.render)(record));
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let timestamp = i64::try_from(timestamp).unwrap_or(i64::MAX);
        (outgoing.head(self.client.head_start(), timestamp, &self.secrets), outgoing.body)
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
