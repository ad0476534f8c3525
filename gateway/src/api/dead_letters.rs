//! `/v1/deadletters`: what the CRM refused, for a person to decide.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use model::Sequence;
use serde_json::json;
use store::{DeadLetter, Store};

use super::problem::Problem;
use super::query::Parameters;
use super::{Side, page};

/// Letters in an answer, without a word about it and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;

/// Lists letters in order of sequence.
pub(super) async fn list(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["after", "limit"])?;
    let limit = parameters.limit(LIMIT, LIMIT_MAX)?;
    let after = parameters.after()?.unwrap_or(Sequence::START);
    let reader = side.clone();
    let (letters, total) = tokio::task::spawn_blocking(move || {
        let store = &reader.shown.store;
        Ok::<_, store::ReadError>((store.dead_letters(after, limit, false)?, store.dead_letter_count()?))
    })
    .await??;
    let next = letters.last().map_or(after, |letter| letter.sequence);
    let parts: Vec<Vec<u8>> = letters.iter().map(|letter| render(letter, &side)).collect();
    Ok(page::answer("deadletters", &parts, &json!({ "next": next.to_string(), "total": total })))
}

fn render(letter: &DeadLetter, side: &Side) -> Vec<u8> {
    let rest = json!({
        "id": letter.sequence.to_string(),
        "sequence": letter.sequence.to_string(),
        "reason": letter.reason,
        "status": letter.status,
        "attempts": letter.attempts,
        "at": letter.at.rfc3339_millis(),
        "retrying": letter.retrying,
    });
    let record = letter.record.as_ref().map(|record| records::render(record, &side.numbers));
    let mut json = rest.to_string().into_bytes();
    json.pop();
    json.extend(b",\"record\":");
    json.extend(record.unwrap_or_else(|| b"null".to_vec()));
    json.push(b'}');
    json
}

/// Has one sent to the CRM again.
pub(super) async fn retry(State(side): State<Side>, Path(id): Path<String>) -> Result<Response, Problem> {
    let sequence = find(&side, &id).await?;
    tokio::task::spawn_blocking(move || side.shown.journal.retry(sequence)).await??;
    let body = json!({ "id": sequence.to_string(), "retrying": true });
    Ok((StatusCode::ACCEPTED, axum::Json(body)).into_response())
}

/// Throws one away.
pub(super) async fn delete(State(side): State<Side>, Path(id): Path<String>) -> Result<Response, Problem> {
    let sequence = find(&side, &id).await?;
    tracing::info!(sequence = %sequence, "a dead letter is thrown away by an operator");
    tokio::task::spawn_blocking(move || side.shown.store.drop_dead_letter(sequence)).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The letter's sequence, if there is such a letter.
async fn find(side: &Side, id: &str) -> Result<Sequence, Problem> {
    let missing = || Problem::not_found("there is no such dead letter");
    let sequence: Sequence = id.parse().map_err(|_| missing())?;
    let store: std::sync::Arc<Store> = std::sync::Arc::clone(&side.shown.store);
    let letter = tokio::task::spawn_blocking(move || store.dead_letter(sequence)).await??;
    letter.map(|letter| letter.sequence).ok_or_else(missing)
}
