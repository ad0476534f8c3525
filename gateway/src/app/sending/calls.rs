//! Calls of Graph that the outbox wants made.

use egress::{Graph, Live, Throttle};
use model::Outcome;
use outbox::{Call, Called};
use policy::failover::Answer;
use policy::sending::{Class, class};
use records::outgoing;

/// A throttle header that says so much, and nothing of when, slows for so long.
const THROTTLED_AT_PERCENT: u32 = 100;
const THROTTLED_FOR_MS: u64 = 60_000;

/// Posts a message; says what came of it, and the time that the endpoint told, if its word counts.
pub(super) async fn post(graph: Graph, live: Live, call: Call, chance: u64) -> (Called, Option<i64>) {
    let endpoint = graph.endpoint();
    let called = match &call.to {
        Some(to) => {
            let body = outgoing::envelope(&call.payload, to, call.id, endpoint.user_id_field());
            graph.send(&call.number, body).await
        }
        None => graph.mark(&call.number, outgoing::read_mark_envelope(&call.payload)).await,
    };
    let left = live.ended(seen(&called.outcome));
    let taken = Called {
        id: call.id,
        number: call.number,
        endpoint: endpoint.name().to_owned(),
        left,
        outcome: called.outcome,
        slow_for_ms: called.throttle.and_then(slow_for_ms),
        chance,
    };
    (taken, called.date_ms)
}

/// What the outcome of a call says of its endpoint: throttling, credentials and bad requests are ours to see to.
pub(crate) fn seen(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Accepted { .. } => Answer::Good,
        Outcome::NotSent { .. } | Outcome::Unknown { .. } => Answer::Failed,
        Outcome::Refused(refusal) => {
            let server = refusal.http.is_some_and(|status| status >= 500);
            if server || class(refusal) == Class::Ambiguous { Answer::Failed } else { Answer::Neutral }
        }
    }
}

fn slow_for_ms(throttle: Throttle) -> Option<u64> {
    let asked = throttle.regain_minutes.saturating_mul(60_000);
    let full = throttle.percent >= THROTTLED_AT_PERCENT;
    if asked > 0 { Some(asked) } else { full.then_some(THROTTLED_FOR_MS) }
}
