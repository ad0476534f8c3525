//! What calls of Graph are made with.

use std::sync::{Arc, OnceLock};

use egress::{Graph, GraphEndpoint, GraphSettings, Throttle};
use model::Outcome;
use outbox::{Call, Called};
use records::outgoing;

use crate::app::product;

/// A throttle header that says so much, and nothing of when, slows for so long.
const THROTTLED_AT_PERCENT: u32 = 100;
const THROTTLED_FOR_MS: u64 = 60_000;

/// One client for all calls, made with the first of them: a box that sends nothing doesn't keep the roots of
/// the world's certificates in memory.
#[derive(Clone)]
pub(crate) struct Calls {
    made: Arc<OnceLock<Graph>>,
    idle_connections: usize,
}

impl Calls {
    /// `idle_connections` are kept open between calls.
    pub(crate) fn new(idle_connections: usize) -> Self {
        Self { made: Arc::default(), idle_connections }
    }

    /// The client.
    ///
    /// # Errors
    /// Why there can be none now, in words; the next call tries again.
    pub(crate) fn graph(&self) -> Result<Graph, String> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = Graph::new(GraphSettings::new(product(), self.idle_connections))
            .map_err(|error| error.to_string())?;
        Ok(self.made.get_or_init(|| made).clone())
    }
}

/// Posts a message; says what came of it, and the time that the endpoint told, if its word counts.
pub(super) async fn post(
    graph: Result<Graph, String>,
    endpoint: GraphEndpoint,
    call: Call,
    chance: u64,
) -> (Called, Option<i64>) {
    let (outcome, throttle, date_ms) = match graph {
        Ok(graph) => {
            let called = match &call.to {
                Some(to) => {
                    let body = outgoing::envelope(&call.payload, to, call.id);
                    graph.send(&endpoint, &call.number, body).await
                }
                None => {
                    graph.mark(&endpoint, &call.number, outgoing::read_mark_envelope(&call.payload)).await
                }
            };
            (called.outcome, called.throttle, called.date_ms)
        }
        Err(reason) => (Outcome::NotSent { reason }, None, None),
    };
    let called = Called {
        id: call.id,
        number: call.number,
        endpoint: endpoint.name().to_owned(),
        left: false,
        outcome,
        slow_for_ms: throttle.and_then(slow_for_ms),
        chance,
    };
    (called, date_ms)
}

fn slow_for_ms(throttle: Throttle) -> Option<u64> {
    let asked = throttle.regain_minutes.saturating_mul(60_000);
    let full = throttle.percent >= THROTTLED_AT_PERCENT;
    if asked > 0 { Some(asked) } else { full.then_some(THROTTLED_FOR_MS) }
}
