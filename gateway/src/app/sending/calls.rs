//! Calls of Graph that the outbox wants made.

use std::time::Duration;

use egress::{Graph, Live, Throttle};
use model::{Outcome, Refusal};
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
    let left = match away(&called.outcome) {
        Some(asked) => live.ended_away(asked),
        None => ended(live, called.dialled, seen(&called.outcome)),
    };
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

/// For how long the endpoint itself says that it is away: a failure of its own, with `Retry-After`.
fn away(outcome: &Outcome) -> Option<Duration> {
    let Outcome::Refused(refusal) = outcome else { return None };
    let asked = refusal.retry_after_ms.filter(|_| seen(outcome) == Answer::Failed)?;
    Some(Duration::from_millis(asked))
}

/// Says of its endpoint how a call ended; one that was never dialled says nothing. Tells whether another endpoint has
/// become active since.
pub(crate) fn ended(live: Live, dialled: bool, answer: Answer) -> bool {
    if dialled { live.ended(answer) } else { live.is_left() }
}

/// What the outcome of a call says of its endpoint: throttling, credentials, accounts and bad requests are ours to see
/// to, with whatever status they come, and though Meta calls them passing.
pub(crate) fn seen(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Accepted { .. } => Answer::Good,
        Outcome::NotSent { .. } | Outcome::Unknown { .. } => Answer::Failed,
        Outcome::Refused(refusal) => match class(&Refusal { transient: false, ..refusal.clone() }) {
            Class::Ambiguous => Answer::Failed,
            Class::Replay
            | Class::Pair
            | Class::Wait { .. }
            | Class::Template
            | Class::Permanent
            | Class::Configuration
            | Class::Stop(_)
            | Class::OptOut => Answer::Neutral,
        },
    }
}

fn slow_for_ms(throttle: Throttle) -> Option<u64> {
    let asked = throttle.regain_minutes.saturating_mul(60_000);
    let full = throttle.percent >= THROTTLED_AT_PERCENT;
    if asked > 0 { Some(asked) } else { full.then_some(THROTTLED_FOR_MS) }
}

#[cfg(test)]
mod tests {
    use egress::{GraphEndpoint, GraphSettings, Watched};
    use model::{Address, OutboxId, Priority};
    use outbox::Kind;
    use policy::failover::Settings;

    use super::*;

    #[tokio::test]
    async fn what_was_never_dialled_is_no_strike() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        // No URL can be made of the second.
        for (number, strikes) in [("1", 1), ("1/2", 0)] {
            let endpoint =
                GraphEndpoint::new("meta", &gone, None, Some("t"), "/{phone_number_id}/messages").unwrap();
            let graph = Graph::new(endpoint, GraphSettings::new("wagate/0".to_owned(), 1));
            let watched = Watched::new("g".to_owned(), vec!["meta".to_owned()], Settings::default(), None);
            let call = Call {
                id: OutboxId { place: 1, chance: 1 },
                number: number.to_owned(),
                to: Some(Address::Phone("+85261230001".to_owned())),
                payload: "{}".to_owned(),
                priority: Priority::Reply,
                kind: Kind::Template,
                attempt: 1,
            };
            let (called, _) = post(graph, watched.begin(), call, 0).await;
            assert!(matches!(called.outcome, Outcome::NotSent { .. }), "{called:?}");
            assert_eq!(watched.views()[0].view.strikes, strikes, "{number}");
        }
    }

    #[test]
    fn only_what_speaks_of_the_endpoint_is_a_strike() {
        let neutral = Answer::Neutral;
        for (http, code, transient, expected) in [
            (500, Some(3), false, neutral),
            (500, Some(4), false, neutral),
            (500, Some(100), false, neutral),
            (500, Some(190), false, neutral),
            (500, Some(131_045), false, neutral),
            (500, Some(133_000), false, neutral),
            (503, Some(130_429), true, neutral),
            (400, Some(190), true, neutral),
            (401, None, false, neutral),
            (429, None, false, neutral),
            (400, Some(999_999), true, neutral),
            (500, None, false, Answer::Failed),
            (502, None, true, Answer::Failed),
            (500, Some(999_999), false, Answer::Failed),
            (500, Some(131_000), false, Answer::Failed),
            (400, Some(131_000), true, Answer::Failed),
            (503, Some(2), true, Answer::Failed),
            (400, Some(131_016), false, Answer::Failed),
            (400, Some(131_057), false, Answer::Failed),
        ] {
            let refusal = Refusal { code, http: Some(http), transient, ..Refusal::default() };
            let answer = seen(&Outcome::Refused(refusal));
            assert_eq!(answer, expected, "{http} {code:?} {transient}");
        }
        let none = || "none".to_owned();
        assert_eq!(seen(&Outcome::NotSent { reason: none() }), Answer::Failed);
        assert_eq!(seen(&Outcome::Unknown { reason: none() }), Answer::Failed);
    }
}
