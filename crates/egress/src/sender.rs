//! One request: out, and its answer in.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use model::Record;
use policy::delivery::Verdict;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use crate::classify::{Answer, classify};
use crate::crm::Outgoing;
use crate::deliver::Render;
use crate::{Clients, EgressError, Endpoint, SigningSecrets};

/// So much of an answer's body is kept as the reason of a dead letter.
const REASON_BYTES: usize = 500;
/// So much of it is read, so that the connection can be used again; more isn't worth it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) status: Option<u16>,
    /// The failure in words, fit for a log: status or transport error, no content.
    pub(crate) error: String,
    /// The beginning of the answer's body, where the answer was a failure.
    pub(crate) body: String,
}

/// Sends requests to one endpoint.
pub(crate) struct Sender {
    endpoint: Endpoint,
    secrets: SigningSecrets,
    render: Render,
    clients: Clients,
    client: RwLock<reqwest::Client>,
}

impl Sender {
    pub(crate) fn new(
        endpoint: Endpoint,
        secrets: SigningSecrets,
        render: Render,
        clients: Clients,
    ) -> Result<Self, EgressError> {
        let client = RwLock::new(clients.client()?);
        Ok(Self { endpoint, secrets, render, clients, client })
    }

    pub(crate) async fn send(&self, records: Vec<Arc<Record>>) -> Report {
        let outgoing = Outgoing::new(records.iter().map(AsRef::as_ref), |record| (self.render)(record));
        drop(records);
        let now = SystemTime::now();
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let headers = outgoing.headers(i64::try_from(timestamp).unwrap_or(i64::MAX), &self.secrets);
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let request = client.post(self.endpoint.url().clone()).headers(headers).body(outgoing.body);
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: reqwest::Error) -> Report {
        let not_sent = error.is_connect() || error.is_builder();
        // The resolver reads the system's settings once: a box that was up before its network
        // would ask the wrong servers for ever.
        if error.is_dns()
            && let Ok(client) = self.clients.client()
        {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        }
        let answer = if not_sent { Answer::NotSent } else { Answer::Unknown };
        Report {
            verdict: classify(&answer, SystemTime::now()),
            status: None,
            error: in_words(&error.without_url()),
            body: String::new(),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Report {
    let status = response.status();
    let headers = response.headers();
    let answer = Answer::Status {
        code: status.as_u16(),
        retry_after: text(headers, &RETRY_AFTER),
        date: text(headers, &DATE),
    };
    let verdict = classify(&answer, SystemTime::now());
    let mut body = Vec::new();
    let mut total = 0_usize;
    // The status has come, so an error in the body changes nothing.
    while let Ok(Some(chunk)) = response.chunk().await {
        total = total.saturating_add(chunk.len());
        if verdict != Verdict::Accepted {
            let room = REASON_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        if total > BODY_BYTES_MAX {
            break;
        }
    }
    Report {
        verdict,
        status: Some(status.as_u16()),
        error: status.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The error and its causes: the outermost alone says only that a request failed.
fn in_words(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
