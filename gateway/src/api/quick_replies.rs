//! `/v1/quick-replies`: message objects with merge fields, kept under a name.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use outbox::{QUICK_REPLIES_MAX, QUICK_REPLY_BYTES_MAX};
use records::outgoing::{self, Fault, quick_reply};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::members::Members;
use super::message_view::raw;
use super::problem::Problem;
use super::{Side, body};

/// Characters of a name.
const NAME_MAX: usize = 64;
/// Whom a preview is checked for; it goes to nobody.
const NOBODY: &str = r#"{"to":"c-00000000000000000000000000"}"#;

/// A quick reply with the fields that its texts hold.
#[derive(Debug, Serialize)]
struct Reply {
    name: String,
    fields: Vec<String>,
    message: Option<Box<RawValue>>,
}

impl Reply {
    fn new(name: String, json: String) -> Self {
        let fields = quick_reply::check(json.as_bytes()).unwrap_or_default().into_iter().collect();
        Self { name, fields, message: raw(json) }
    }
}

/// `GET /v1/quick-replies`: all of them, by name.
pub(super) async fn list(State(side): State<Side>) -> Result<Response, Problem> {
    let all = side.sending.ask(|turn| turn.quick_replies()).await?;
    let all: Vec<Reply> = all.into_iter().map(|(name, json)| Reply::new(name, json)).collect();
    Ok(axum::Json(json!({ "quick_replies": all })).into_response())
}

/// `GET /v1/quick-replies/{name}`.
pub(super) async fn show(State(side): State<Side>, Path(name): Path<String>) -> Result<Response, Problem> {
    let json = kept(&side, &name).await?;
    Ok(axum::Json(Reply::new(name, json)).into_response())
}

/// `PUT /v1/quick-replies/{name}`: keeps a message object, in place of another of that name.
pub(super) async fn put(
    State(side): State<Side>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    if !is_name(&name) {
        let detail =
            format!("the name must have 1 to {NAME_MAX} letters, digits, dots, hyphens or underscores");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let bytes = body::read(body, QUICK_REPLY_BYTES_MAX).await?;
    quick_reply::check(&bytes).map_err(|faults| body::refused(&bytes, faults))?;
    let json = String::from_utf8(bytes.into()).map_err(|_| Problem::bad_request("the body is no UTF-8"))?;
    // Without white space around, and a mark of byte order, that other readers may stumble over.
    let json = json.trim_start_matches('\u{feff}').trim().to_owned();
    let (key, kept) = (name.clone(), json.clone());
    if !side.sending.ask(move |turn| turn.put_quick_reply(&key, &kept)).await? {
        let detail = format!("{QUICK_REPLIES_MAX} quick replies are kept already: delete one first");
        return Err(Problem::conflict(detail));
    }
    Ok(axum::Json(Reply::new(name, json)).into_response())
}

/// `DELETE /v1/quick-replies/{name}`.
pub(super) async fn delete(State(side): State<Side>, Path(name): Path<String>) -> Result<Response, Problem> {
    if !side.sending.ask(move |turn| turn.drop_quick_reply(&name)).await? {
        return Err(missing());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/quick-replies/{name}/preview`: the message as it would be sent, or what it wants for.
pub(super) async fn preview(
    State(side): State<Side>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let mut members = Members::of(body, &["fields"]).await?;
    let given = members.raw("fields");
    members.end()?;
    let given = given.as_ref().map_or("{}", |fields| fields.get());
    let fields = quick_reply::fields(given.as_bytes()).map_err(|faults| {
        let inside = |fault: Fault| Fault { pointer: format!("/fields{}", fault.pointer), ..fault };
        Problem::faults(faults.into_iter().map(inside).collect())
    })?;
    let json = kept(&side, &name).await?;
    let wanted = quick_reply::check(json.as_bytes()).unwrap_or_default();
    let (message, faults) = match quick_reply::fill_message(json.as_bytes(), &fields) {
        Ok(filled) => {
            let faults = quick_reply::expand(NOBODY.as_bytes(), &filled)
                .and_then(|whole| outgoing::read(whole.as_bytes(), &side.numbers).map(|_| ()));
            (raw(filled), faults.err().unwrap_or_default())
        }
        Err(faults) => (None, faults),
    };
    let missing: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.pointer.strip_prefix("/fields/"))
        .filter(|name| {
            wanted.contains(*name) && fields.get(*name).is_none_or(|value| value.trim().is_empty())
        })
        .collect();
    let errors: Vec<_> = faults
        .iter()
        .map(|Fault { pointer, detail }| json!({ "pointer": pointer, "detail": detail }))
        .collect();
    let answer = json!({ "name": name, "message": message, "missing": missing, "errors": errors });
    Ok(axum::Json(answer).into_response())
}

async fn kept(side: &Side, name: &str) -> Result<String, Problem> {
    let name = name.to_owned();
    side.sending.ask(move |turn| turn.quick_reply(&name)).await?.ok_or_else(missing)
}

/// Whether a quick reply may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(right)
}

fn missing() -> Problem {
    Problem::not_found("there is no such quick reply")
}
