//! `GET /v1/quota`: how much of each limit is used, and what keeps a number from sending; and the word that lets a
//! stopped one try again.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use outbox::{Quota, Way, Why};
use serde_json::{Value, json};

use super::Side;
use super::message_view::time;
use super::problem::Problem;
use crate::app::sending::blocked;

/// `POST /v1/numbers/{phone_number_id}/resume`: a person has seen to what stopped a number, and lets it try again.
/// Every other number that is stopped tries again, too.
pub(super) async fn resume(State(side): State<Side>, Path(name): Path<String>) -> Result<Response, Problem> {
    let known = side.sending.ask(move |turn| {
        let known = turn.settings().numbers.contains_key(&name);
        if known {
            turn.resume()?;
        }
        Ok(known)
    });
    if !known.await? {
        return Err(Problem::not_found("this is no phone_number_id of the configuration: see GET /v1/quota"));
    }
    Ok(axum::Json(json!({ "resumed": true })).into_response())
}

/// Shows limits and numbers.
pub(super) async fn show(State(side): State<Side>) -> Result<Response, Problem> {
    let found = side.sending.ask(|turn| {
        let (quotas, ways) = (turn.quotas()?, turn.ways()?);
        let numbers = &turn.settings().numbers;
        let ways = ways.into_iter().map(|way| {
            let has_route = numbers.get(&way.number).is_some_and(outbox::Number::has_route);
            let blocked = if has_route { blocked(&way, &quotas) } else { Some((Why::NoRoute, None)) };
            Way { blocked, ..way }
        });
        Ok((ways.collect::<Vec<_>>(), quotas))
    });
    let (ways, quotas) = found.await?;
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
