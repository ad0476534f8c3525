//! `GET /v1/quota`: how much of each limit is used, and what keeps a number from sending.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use outbox::{Quota, Way};
use serde_json::{Value, json};

use super::Side;
use super::message_view::time;
use super::problem::Problem;

/// Shows limits and numbers.
pub(super) async fn show(State(side): State<Side>) -> Result<Response, Problem> {
    let (quotas, ways) = side.sending.ask(|turn| Ok((turn.quotas()?, turn.ways()?))).await?;
    let quotas: Vec<Value> = quotas.iter().map(quota).collect();
    let numbers: Vec<Value> = ways.iter().map(way).collect();
    Ok(axum::Json(json!({ "quotas": quotas, "numbers": numbers })).into_response())
}

fn quota(quota: &Quota) -> Value {
    json!({
        "number": quota.number,
        "name": quota.name,
        "limit": quota.limit,
        "used": quota.used,
        "resets_at": time(quota.resets_ms),
    })
}

fn way(way: &Way) -> Value {
    let blocked = way.blocked.map(
        |(why, until)| json!({ "reason": why.as_str(), "detail": why.sentence(), "until": time(until) }),
    );
    let stopped = way.stopped.as_ref().map(|stop| {
        json!({
            "code": stop.code,
            "reason": stop.reason,
            "since": time(Some(stop.since_ms)),
        })
    });
    json!({
        "number": way.number,
        "blocked": blocked,
        "stopped": stopped,
        "queued": way.counts.queued,
        "held": way.counts.held,
        "sending": way.counts.sending,
        "uncertain": way.counts.uncertain,
    })
}
