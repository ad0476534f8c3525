//! `/v1/messages`: what became of messages, and a person's word on them.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use model::OutboxId;
use outbox::{Resolution, TableError, Turn, Unchanged};
use serde_json::{Value, json};

use super::Side;
use super::members::Members;
use super::message_view::Seen;
use super::problem::Problem;
use super::query::Parameters;

/// Messages in an answer, without a word about it and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;

/// `GET /v1/messages/{id}`.
pub(super) async fn show(State(side): State<Side>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = read(&id)?;
    let seen = side.sending.ask(move |turn| look(turn, id)).await?;
    Ok(axum::Json(seen.ok_or_else(missing)?.render_whole()).into_response())
}

/// Which messages are listed.
#[derive(Debug, Clone, Copy)]
enum Listed {
    /// All that aren't over.
    Open,
    /// Those that wait for a person.
    Uncertain,
}

/// `GET /v1/messages`: those that aren't over, the oldest first.
pub(super) async fn list(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["status", "after", "limit"])?;
    let limit = parameters.limit(LIMIT, LIMIT_MAX)?;
    let after = parameters.get("after", "the id of a message", OutboxId::parse)?;
    let listed = parameters.get("status", "open or uncertain", |word| match word {
        "open" => Some(Listed::Open),
        "uncertain" => Some(Listed::Uncertain),
        _ => None,
    })?;
    let place = after.map_or(0, |id| id.place);
    let seen = side.sending.ask(move |turn| {
        let shown = match listed.unwrap_or(Listed::Open) {
            Listed::Open => turn.open_after(place, limit)?,
            Listed::Uncertain => turn.uncertain_after(place, limit)?,
        };
        shown.into_iter().map(|shown| Seen::of(turn, shown)).collect::<Result<Vec<_>, TableError>>()
    });
    let seen = seen.await?;
    // A full page may have another behind it.
    let next = seen.last().filter(|_| seen.len() == limit).map(|last| last.shown.id.to_string());
    let messages: Vec<Value> = seen.iter().map(Seen::render).collect();
    Ok(axum::Json(json!({ "messages": messages, "next": next })).into_response())
}

/// `DELETE /v1/messages/{id}`: takes it back while it is queued or held.
pub(super) async fn cancel(State(side): State<Side>, Path(id): Path<String>) -> Result<Response, Problem> {
    change(&side, &id, Asked::Cancel).await
}

/// `POST /v1/messages/{id}/resolve`: a person's word on an uncertain one.
pub(super) async fn resolve(
    State(side): State<Side>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let mut members = Members::of(body, &["as"]).await?;
    let what = "what became of the message: sent, failed or resend";
    let word = members.required_text("as", what);
    let resolution = match word.as_deref() {
        Some("sent") => Some(Resolution::Sent),
        Some("failed") => Some(Resolution::Failed),
        Some("resend") => Some(Resolution::Resend),
        Some(_) => {
            members.fault("as", "must be sent, failed or resend");
            None
        }
        None => None,
    };
    members.end()?;
    // Without a word there is a fault.
    let word = resolution.ok_or_else(|| Problem::fault("/as", what))?;
    change(&side, &id, Asked::Resolve(word)).await
}

/// What a person wants of a message.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Cancel,
    Resolve(Resolution),
}

async fn change(side: &Side, id: &str, asked: Asked) -> Result<Response, Problem> {
    let id = read(id)?;
    let changed = side.sending.ask(move |turn| {
        let changed = match asked {
            Asked::Cancel => turn.cancel(id)?,
            Asked::Resolve(word) => turn.resolve(id, word)?,
        };
        Ok((changed, look(turn, id)?))
    });
    let (changed, seen) = changed.await?;
    match changed {
        Ok(()) => Ok(axum::Json(seen.ok_or_else(missing)?.render_whole()).into_response()),
        Err(Unchanged::Unknown) => Err(missing()),
        Err(Unchanged::TooLate(standing)) => {
            let word = standing.as_str();
            let detail = format!("the message is {word} and can't be taken back any more");
            Err(Problem::new(StatusCode::CONFLICT, detail).with("message_status", word))
        }
        Err(Unchanged::Certain(standing)) => {
            let word = standing.as_str();
            let detail = format!("the message is {word} and not uncertain: there is nothing to resolve");
            Err(Problem::new(StatusCode::CONFLICT, detail).with("message_status", word))
        }
    }
}

fn look(turn: &Turn<'_>, id: OutboxId) -> Result<Option<Seen>, TableError> {
    turn.message(id)?.map(|shown| Seen::of(turn, shown)).transpose()
}

fn read(id: &str) -> Result<OutboxId, Problem> {
    OutboxId::parse(id).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("there is no such message, or it is so old that it was forgotten")
}
