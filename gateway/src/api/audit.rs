//! `GET /v1/audit`: who had the box do what.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use model::WallTime;
use serde_json::{Value, json};

use super::Side;
use super::problem::Problem;
use super::query::Parameters;
use crate::app::audit::Entry;

/// Entries in an answer, without a word about it and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Lists entries, the oldest first; without `after` the newest ones.
pub(super) async fn list(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["after", "limit"])?;
    let limit = parameters.limit(LIMIT, LIMIT_MAX)?;
    let after = parameters.get("after", "the number of an entry", |text| text.parse().ok())?;
    let entries = tokio::task::spawn_blocking(move || side.audit.read(after, limit)).await??;
    let next = entries.last().map(|entry| entry.number).or(after).unwrap_or(0);
    let entries: Vec<Value> = entries.into_iter().map(render).collect();
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

fn render(Entry { number, kept }: Entry) -> Value {
    json!({
        "number": number,
        "at": WallTime(kept.at_ms).rfc3339_millis(),
        "client": kept.client,
        "address": kept.address,
        "action": kept.action,
        "target": kept.target,
        "status": kept.status,
    })
}
