//! How old the endpoints' tokens are, and when they end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use egress::{Graph, TokenInfo};
use model::WallTime;

use super::routes::Routes;
use super::status::Token;

/// How often Meta is asked about its tokens.
const ASK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// After no answer.
const ASK_AGAIN: Duration = Duration::from_secs(3600);

/// What is known of the tokens, by endpoint.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: Arc<Mutex<BTreeMap<String, TokenInfo>>>,
    next: Option<Instant>,
}

impl Tokens {
    /// Asks, if it is time to. The answer comes when it comes: nothing waits for it.
    pub(super) fn ask(&mut self, graph: &Graph, routes: &Routes) {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let all_known = routes.all().len() <= self.lock().len();
        self.next = Instant::now().checked_add(if all_known { ASK_EVERY } else { ASK_AGAIN });
        for (_, endpoint) in routes.all() {
            let (graph, endpoint, known) = (graph.clone(), endpoint.clone(), Arc::clone(&self.known));
            tokio::spawn(async move {
                if let Ok(info) = graph.token_info(&endpoint).await.outcome {
                    known
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(endpoint.name().to_owned(), info);
                }
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TokenInfo>> {
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
                age_days: since.map_or(0, |since| now_ms.saturating_sub(since.0).max(0) / (24 * 3_600_000)),
                valid: Some(info.is_valid),
                expires_ms: info.expires_at.map(|at| at.0),
            }
        });
        shown.collect()
    }
}
