//! `POST /v1/media`: a file on its way through the box to WhatsApp, which gives it an id to send it by.
//!
//! The file isn't kept, not even in memory: what comes in goes out, and the caller's pace is the upload's.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use egress::Upload;
use futures_util::StreamExt as _;
use model::Outcome;
use outbox::{Other, Why};
use policy::failover::Answer;
use policy::sending::{Class, class};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Side;
use super::message_view::{error, time};
use super::messages::which_number;
use super::problem::Problem;
use super::query::Parameters;
use crate::app::sending::{Sending, Ways, ended};

/// Uploads at once: each holds a connection and some portions of its file.
const UPLOADS_MAX: usize = 2;
/// Seconds that a caller is told to wait for a place.
const BUSY_RETRY_SECONDS: u64 = 5;
/// Characters of a file name.
const FILENAME_MAX: usize = 240;

/// The way of files to WhatsApp.
#[derive(Clone)]
pub(crate) struct Uploads {
    /// Files go where messages go: an id of one endpoint isn't known to another.
    ways: Ways,
    places: Arc<Semaphore>,
}

impl Uploads {
    /// Takes what calls are made with.
    pub(crate) fn new(ways: Ways) -> Self {
        Self { ways, places: Arc::new(Semaphore::new(UPLOADS_MAX)) }
    }
}

/// What WhatsApp takes, and how much of it (whatsapp-cloud-api, media: in MB of 1,024 x 1,024 bytes).
const KINDS: [(&str, u64, &[&str]); 5] = [
    ("image", 5 << 20, &["image/jpeg", "image/png"]),
    ("video", 16 << 20, &["video/mp4", "video/3gpp"]),
    ("audio", 16 << 20, &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"]),
    (
        "document",
        100 << 20,
        &[
            "text/plain",
            "application/pdf",
            "application/msword",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.ms-excel",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ],
    ),
    // 100 KB unless it moves, which the file would have to be opened for.
    ("sticker", 500 << 10, &["image/webp"]),
];

/// What is said of a file before it comes.
#[derive(Debug)]
struct Said {
    /// Without parameters: Meta knows none.
    mime: &'static str,
    kind: &'static str,
    length: u64,
}

impl Said {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let said = text(header::CONTENT_TYPE).unwrap_or_default();
        let plain = said.split(';').next().unwrap_or_default().trim();
        let known = KINDS.iter().find_map(|(kind, most, types)| {
            let mime = types.iter().find(|mime| mime.eq_ignore_ascii_case(plain))?;
            Some((*kind, *most, *mime))
        });
        let Some((kind, most, mime)) = known else {
            let known: Vec<&str> = KINDS.iter().flat_map(|(_, _, types)| *types).copied().collect();
            let detail =
                format!("WhatsApp takes no file of this Content-Type; it takes: {}", known.join(", "));
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        };
        let length: Option<u64> = text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let length = length.ok_or_else(|| {
            let detail = "the length of the file has to be said in Content-Length: it isn't kept on the box";
            Problem::new(StatusCode::LENGTH_REQUIRED, detail)
        })?;
        if length == 0 {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the file is empty"));
        }
        if length > most {
            let detail = format!("the file has {length} bytes; of {kind} WhatsApp takes {most} at most");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(Self { mime, kind, length })
    }
}

/// Uploads a file.
pub(super) async fn upload(
    State(side): State<Side>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["from", "filename"])?;
    let from = parameters.get("from", "a phone_number_id", |text| Some(text.to_owned()))?;
    let what = format!("a name of 1 to {FILENAME_MAX} characters");
    let filename = parameters.get("filename", &what, |name| {
        (1..=FILENAME_MAX).contains(&name.chars().count()).then(|| name.to_owned())
    })?;
    let said = Said::read(&headers)?;
    let uploads = side.uploads.clone();
    let place = Arc::clone(&uploads.places).try_acquire_owned().map_err(|_| {
        Problem::later(format!("{UPLOADS_MAX} files are under way already")).retry_after(BUSY_RETRY_SECONDS)
    })?;
    let number = side.sending.ask(move |turn| {
        let mut numbers = turn.settings().numbers.keys();
        Ok(match from {
            Some(from) => Ok(from),
            None => match (numbers.next(), numbers.next()) {
                (Some(only), None) => Ok(only.clone()),
                _ => Err(turn.settings().numbers.keys().cloned().collect::<Vec<_>>()),
            },
        })
    });
    let number = number.await?.map_err(|numbers| which_number(&numbers))?;
    let ways = uploads.ways.clone();
    if !ways.serves(&number) {
        let why = "is no configured number, or has no endpoint: see whatsapp.endpoints";
        return Err(Problem::fault("/from", why));
    }
    let kind = said.kind;
    let call = Call { sending: side.sending.clone(), ways, number, said, filename, _place: place };
    // A caller who hangs up doesn't end it: the call that is taken has to be given up, too.
    match tokio::spawn(call.run(body)).await?? {
        Ok(id) => Ok((StatusCode::CREATED, axum::Json(json!({ "id": id, "kind": kind }))).into_response()),
        Err(outcome) => Err(failed(&outcome)),
    }
}

fn refused(why: Why, until: Option<i64>, now_ms: i64) -> Problem {
    let seconds = until.map_or(1, |until| until.saturating_sub(now_ms).max(1_000).unsigned_abs() / 1_000);
    if why == Why::NoRoute {
        return Problem::fault("/from", "is none of the configured numbers");
    }
    if why == Why::ApiCallsPerDay {
        let detail = "the number's API calls of today are used up";
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .with("resets_at", time(until))
            .retry_after(seconds);
    }
    Problem::later("as many calls of this number are under way as may be").retry_after(seconds)
}

/// An upload.
struct Call {
    sending: Sending,
    ways: Ways,
    number: String,
    said: Said,
    filename: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Call {
    /// Takes a call and makes it.
    async fn run(self, body: Body) -> Result<Result<String, Outcome>, Problem> {
        let number = self.number.clone();
        let taken =
            self.sending.ask(move |turn| Ok((turn.take_call(&number, Other::Errand)?, turn.date_ms())));
        let (taken, now_ms) = taken.await?;
        taken.map_err(|(why, until)| refused(why, until, now_ms))?;
        Ok(self.make(body).await)
    }

    async fn make(self, body: Body) -> Result<String, Outcome> {
        let file = body.into_data_stream().map(|portion| match portion {
            Ok(portion) => Ok(portion.into()),
            Err(error) => Err(io::Error::other(error)),
        });
        let upload =
            Upload { mime: self.said.mime, filename: self.filename.as_deref(), length: self.said.length };
        let outcome = match self.ways.begin(&self.number, true) {
            Some((graph, live)) => {
                let called = graph.upload(&self.number, &upload, file).await;
                // A file that isn't taken whole may be the fault of whoever gives it.
                match &called.outcome {
                    Ok(_) => _ = live.ended(Answer::Good),
                    Err(Outcome::NotSent { .. }) => _ = ended(live, called.dialled, Answer::Failed),
                    Err(_) => {}
                }
                called.outcome
            }
            None => Err(Outcome::NotSent { reason: "the number has no endpoint".to_owned() }),
        };
        let unsent = matches!(outcome, Err(Outcome::NotSent { .. }));
        self.sending.end_call(self.number, Other::Errand, unsent).await;
        outcome
    }
}

/// What went wrong, and whose fault it is.
fn failed(outcome: &Outcome) -> Problem {
    match outcome {
        Outcome::Refused(refusal) => {
            let status = match class(refusal) {
                Class::Permanent | Class::Template => StatusCode::UNPROCESSABLE_ENTITY,
                Class::Replay
                | Class::Ambiguous
                | Class::Wait { .. }
                | Class::Configuration
                | Class::Stop(_)
                | Class::OptOut
                | Class::Pair => StatusCode::BAD_GATEWAY,
            };
            Problem::new(status, format!("WhatsApp refused the file: {}", refusal.details))
                .with("error", error(refusal))
        }
        Outcome::NotSent { reason } => Problem::later(format!("the file wasn't sent: {reason}")),
        Outcome::Unknown { reason } => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("nobody knows whether WhatsApp has the file: {reason}. Upload it once more"),
        ),
        Outcome::Accepted { .. } => Problem::new(StatusCode::BAD_GATEWAY, "WhatsApp gave the file no id"),
    }
}
