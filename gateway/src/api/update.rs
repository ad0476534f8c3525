//! `/v1/update`: the firmware of the box, what runs and what comes.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use board::{BoardError, Code};
use futures_util::StreamExt as _;
use reqwest::Url;
use serde_json::json;
use tokio::time::timeout;

use super::Side;
use super::auth::noting;
use super::members::Members;
use super::problem::Problem;
use super::query::Parameters;
use crate::app::update::{BUNDLE_MAX, Job, Refused, Updates};

/// What a bundle comes as.
const BUNDLE: &str = "application/octet-stream";
/// What is left of a bundle that is refused is read and dropped for so long, so that its sender sees the answer.
const DRAIN: Duration = Duration::from_secs(30);
/// Characters of an address.
const URL_MAX: usize = 2_048;
/// Seconds after which it is worth asking again while an update is on its way.
const BUSY_RETRY_SECONDS: u64 = 30;

/// `GET /v1/update`: both slots, and how far an update is.
pub(super) async fn show(State(side): State<Side>) -> Result<Response, Problem> {
    let about = side.updates.machine().about().await?;
    let running = about.running();
    Ok(Json(json!({
        "version": about.version,
        "board": about.board,
        "slot": running.map(|slot| slot.name),
        "state": running.map(|slot| slot.state),
        "slots": about.slots,
        "note": about.boot_note,
        "uptime_ms": about.uptime_ms,
        "job": side.updates.job(),
    }))
    .into_response())
}

/// `POST /v1/update`: takes a bundle as the body, or fetches one from where a JSON body says.
pub(super) async fn install(
    State(side): State<Side>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["reboot"])?;
    let reboot = parameters.get("reboot", "true or false", |text| text.parse().ok())?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(BUNDLE) {
        let length: Option<u64> = text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if length.is_some_and(|length| length > BUNDLE_MAX) {
            let detail = format!("a bundle has {} MiB at most", BUNDLE_MAX >> 20);
            return Err(
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).with("code", json!(Code::TooLarge))
            );
        }
        let (updates, body) = (side.updates.clone(), body.into_data_stream());
        // A caller who hangs up ends it in order, too.
        let taken = tokio::spawn(take(updates, length, body, reboot.unwrap_or(true))).await?;
        return Ok(accepted(&taken?));
    }
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = format!(
            "send the bundle as {BUNDLE}, or where it is as application/json: {{\"url\": \"https://…\"}}"
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    // Before what the body says: where there is no board nothing of it matters.
    side.updates.machine().board()?;
    let mut members = Members::of(body, &["url", "reboot"]).await?;
    let url = members.required_text("url", "the http or https address of a bundle");
    let url = url.and_then(|text| {
        let url = Url::parse(&text).ok().filter(|_| text.len() <= URL_MAX);
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            members.fault("url", "must be an http or https address");
        }
        url
    });
    let reboot = members.truth("reboot").or(reboot).unwrap_or(true);
    members.end()?;
    match url {
        Some(url) => Ok(accepted(&side.updates.fetch(url, reboot)?)),
        None => Err(Problem::fault("/url", "must be an http or https address")),
    }
}

async fn take(
    updates: Updates,
    length: Option<u64>,
    mut body: BodyDataStream,
    reboot: bool,
) -> Result<Job, Refused> {
    let taken = updates.upload(length, &mut body, reboot).await;
    if taken.is_err() {
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        // Who sends on for longer gets no answer.
        let _ = timeout(DRAIN, rest).await;
    }
    taken
}

fn accepted(job: &Job) -> Response {
    let response = (StatusCode::ACCEPTED, Json(json!({ "job": job }))).into_response();
    noting(response, job.version.clone())
}

/// `DELETE /v1/update`: ends the update that is on its way.
pub(super) async fn cancel(State(side): State<Side>) -> Result<Response, Problem> {
    side.updates.machine().board()?;
    Ok(accepted(&side.updates.cancel()?))
}

/// `POST /v1/update/roll-back`: gives the running version up and starts the other one.
pub(super) async fn roll_back(State(side): State<Side>) -> Result<Response, Problem> {
    idle(&side)?;
    let machine = side.updates.machine();
    let about = machine.about().await?;
    let other = about.slots.iter().find(|slot| !slot.running);
    let version = other.and_then(|slot| slot.version.clone());
    let body = json!({ "slot": other.map(|slot| slot.name), "version": version });
    // It starts the machine anew itself, in order: this answer still gets out.
    machine.ask(|board| board.roll_back("asked for by a person")).await?;
    Ok(noting((StatusCode::ACCEPTED, Json(body)).into_response(), version))
}

/// Nothing that ends an update is done while one is on its way.
pub(super) fn idle(side: &Side) -> Result<(), Problem> {
    side.updates.machine().board()?;
    if side.updates.is_busy() { Err(Refused::Busy.into()) } else { Ok(()) }
}

impl From<BoardError> for Problem {
    fn from(error: BoardError) -> Self {
        let status = match error.code {
            Code::NotABundle
            | Code::UnknownKey
            | Code::BadSignature
            | Code::WrongBoard
            | Code::Downgrade
            | Code::TooOldHere
            | Code::DataTooNew
            | Code::Damaged
            | Code::TooLarge => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Uncommitted | Code::Busy | Code::NothingThere => StatusCode::CONFLICT,
            Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Code::Io | Code::Protocol => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.text).with("code", json!(error.code))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Board(error) => error.into(),
            Refused::Busy => Self::conflict(refused.to_string())
                .with("code", json!(Code::Busy))
                .retry_after(BUSY_RETRY_SECONDS),
            Refused::Nothing | Refused::TooLate | Refused::Cancelled => Self::conflict(refused.to_string()),
            Refused::Broken(text) => Self::bad_request(text),
        }
    }
}
