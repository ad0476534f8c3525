//! How old the endpoints' tokens are, and when they end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use egress::{Graph, TokenInfo};
use model::{Outcome, WallTime};
use outbox::Other;

use super::routes::Routes;
use super::status::Token;
use super::{Question, Sending};

/// How often Meta is asked about its tokens.
const ASK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// After no answer.
const ASK_AGAIN: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3_600_000;

/// What is known of the tokens, by endpoint.
pub(super) struct Tokens {
    known: Arc<Mutex<BTreeMap<String, TokenInfo>>>,
    next: Option<Instant>,
    sending: Sending,
    /// Connections live where they were made, and messages go over the same ones.
    calls_on: tokio::runtime::Handle,
}

impl Tokens {
    pub(super) fn new(sending: Sending, calls_on: tokio::runtime::Handle) -> Self {
        Self { known: Arc::default(), next: None, sending, calls_on }
    }

    /// Asks again soon: the tokens were replaced.
    pub(super) fn replaced(&mut self) {
        self.lock().clear();
        self.next = None;
    }

    /// The question to the outbox, if it is time for one: a call is a call, and takes its unit first. Nothing
    /// waits for Meta's answer.
    pub(super) fn due(&mut self, routes: &Routes) -> Option<Question> {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return None;
        }
        let asked: Vec<(String, Graph)> =
            routes.all().into_iter().map(|(number, graph)| (number.to_owned(), graph.clone())).collect();
        let known = self.lock().len();
        self.next = Instant::now().checked_add(if known >= asked.len() { ASK_EVERY } else { ASK_AGAIN });
        let (known, sending) = (Arc::clone(&self.known), self.sending.clone());
        let runtime = self.calls_on.clone();
        Some(Box::new(move |turn| {
            let mut taken = Vec::new();
            for (number, graph) in asked {
                if graph.endpoint().has_token_info() && turn.take_call(&number, Other::Probe)?.is_ok() {
                    taken.push((number, graph));
                }
            }
            Ok(Box::new(move |durable| {
                for (number, graph) in taken.into_iter().filter(|_| durable.is_ok()) {
                    let (known, sending) = (Arc::clone(&known), sending.clone());
                    runtime.spawn(async move { ask(&known, &sending, number, &graph).await });
                }
            }))
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, TokenInfo>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown(&self, now_ms: i64) -> Vec<Token> {
        let known = self.lock();
        let shown = known.iter().map(|(endpoint, info)| {
            let since = info.issued_at;
            Token {
                endpoint: endpoint.clone(),
                since: since.map(WallTime::rfc3339_seconds),
                expires: info.expires_at.map(WallTime::rfc3339_seconds),
                age_days: since.map_or(0, |since| now_ms.saturating_sub(since.0).max(0) / DAY_MS),
                valid: info.is_valid,
                expires_ms: info.expires_at.map(|at| at.0),
            }
        });
        shown.collect()
    }
}

async fn ask(known: &Mutex<BTreeMap<String, TokenInfo>>, sending: &Sending, number: String, graph: &Graph) {
    let outcome = graph.token_info().await.outcome;
    let unsent = matches!(outcome, Err(Outcome::NotSent { .. }));
    if let Ok(info) = outcome {
        let name = graph.endpoint().name().to_owned();
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, info);
    }
    sending.end_call(number, Other::Probe, unsent).await;
}
