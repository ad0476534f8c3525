//! `/v1/failover`: whose webhooks come to this box, and taking them over or giving them back.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Side;
use super::auth::noting;
use super::members::{Members, sort_of};
use super::problem::Problem;
use crate::app::inbound::{Deed, Refused};

/// Numbers that can be named in a request.
const NUMBERS_MAX: usize = 1_024;
/// Numbers that the audit log names, so that its entries stay short.
const NUMBERS_NOTED: usize = 16;
/// Seconds after which it is worth asking again while a change is under way.
const BUSY_RETRY_SECONDS: u64 = 5;

/// `GET /v1/failover`: asks Meta about each number, which takes a call of each.
pub(super) async fn show(State(side): State<Side>) -> Result<Response, Problem> {
    // A call that is taken has to be given up, also when the caller hangs up.
    let view = tokio::spawn(async move { side.inbound.view().await }).await?;
    Ok(Json(view).into_response())
}

/// `POST /v1/failover/take`
pub(super) async fn take(State(side): State<Side>, body: Body) -> Result<Response, Problem> {
    let mut members = Members::of(body, &["numbers"]).await?;
    let numbers = numbers(&mut members);
    members.end()?;
    answer(tokio::spawn(async move { side.inbound.take(&numbers).await }).await?)
}

/// `POST /v1/failover/give-back`
pub(super) async fn give_back(State(side): State<Side>, body: Body) -> Result<Response, Problem> {
    let mut members = Members::of(body, &["numbers", "force"]).await?;
    let numbers = numbers(&mut members);
    let force = members.truth("force").unwrap_or(false);
    members.end()?;
    answer(tokio::spawn(async move { side.inbound.give_back(&numbers, force).await }).await?)
}

/// The numbers that are named; none for all.
fn numbers(members: &mut Members) -> Vec<String> {
    let Some(raw) = members.raw("numbers") else { return Vec::new() };
    match serde_json::from_str::<Vec<String>>(raw.get()) {
        Ok(numbers) if (1..=NUMBERS_MAX).contains(&numbers.len()) => numbers,
        Ok(_) => {
            members.fault("numbers", "must name a number, or be left out for all");
            Vec::new()
        }
        Err(_) => {
            let detail = format!("must be a list of phone_number_ids in quotes, not {}", sort_of(&raw));
            members.fault("numbers", detail);
            Vec::new()
        }
    }
}

fn answer(done: Result<Vec<Deed>, Refused>) -> Result<Response, Problem> {
    let deeds = done.map_err(|refused| match &refused {
        Refused::NoPublicUrl | Refused::NoGraph => Problem::conflict(refused.to_string()),
        Refused::Number(_) => Problem::fault("/numbers", refused.to_string()),
        Refused::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).retry_after(BUSY_RETRY_SECONDS)
        }
    })?;
    let done = deeds.iter().all(|deed| deed.what.is_done());
    let numbers: Vec<_> = deeds
        .iter()
        .map(|deed| {
            json!({ "number": deed.number, "done": deed.what.is_done(), "what": deed.what, "detail": deed.detail })
        })
        .collect();
    let ids: Vec<&str> = deeds.iter().map(|deed| deed.number.as_str()).take(NUMBERS_NOTED).collect();
    let more = if deeds.len() > ids.len() { ", ..." } else { "" };
    let target = (!ids.is_empty()).then(|| format!("{}{more}", ids.join(", ")));
    Ok(noting(Json(json!({ "done": done, "numbers": numbers })).into_response(), target))
}
