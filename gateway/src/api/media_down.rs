//! `GET /v1/media/{id}`: an attachment on its way from WhatsApp through the box to whoever asks.
//!
//! The file isn't kept, not even in memory: what comes in goes out, and the caller's pace is the download's.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use egress::graph::{Download, MediaPlace};
use futures_util::stream::{self, Stream, StreamExt as _};
use model::{Outcome, Refusal};
use outbox::{Other, Why};
use policy::failover::Answer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Side;
use super::message_view::{error, time};
use super::messages::which_number;
use super::problem::Problem;
use super::query::Parameters;
use crate::app::sending::{Sending, Ways, ended, seen};

/// Downloads at once: each holds a connection and some portions of its file.
const DOWNLOADS_MAX: usize = 4;
/// Seconds that a caller is told to wait for a place.
const BUSY_RETRY_SECONDS: u64 = 5;
/// Meta's ids have some twenty digits.
const ID_MAX: usize = 256;

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// The way of files from WhatsApp.
#[derive(Clone)]
pub(crate) struct Downloads {
    /// Files come from where messages come from: an id of one endpoint isn't known to another.
    ways: Ways,
    places: Arc<Semaphore>,
    ended: Family<Labels, Counter>,
}

impl Downloads {
    /// Takes what calls are made with.
    pub(crate) fn new(ways: Ways) -> Self {
        Self { ways, places: Arc::new(Semaphore::new(DOWNLOADS_MAX)), ended: Family::default() }
    }

    /// Adds its metric to `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Attachments that were asked for, by what came of them";
        registry.register("wagate_media_downloads", help, self.ended.clone());
    }

    fn count(&self, result: &'static str) {
        self.ended.get_or_create(&Labels { result }).inc();
    }
}

/// Hands a file on.
pub(super) async fn download(
    State(side): State<Side>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["number"])?;
    let named = parameters.get("number", "a phone_number_id", |text| Some(text.to_owned()))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=ID_MAX).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(Problem::not_found("this is no media id of WhatsApp's"));
    }
    let downloads = side.downloads.clone();
    let place = Arc::clone(&downloads.places).try_acquire_owned().map_err(|_| {
        let detail = format!("{DOWNLOADS_MAX} attachments are under way already");
        Problem::later(detail).retry_after(BUSY_RETRY_SECONDS)
    })?;
    let number = side.sending.ask(move |turn| {
        let known = &turn.settings().numbers;
        Ok(match (named, known.len()) {
            (Some(named), _) => Ok(named),
            (None, 1) => Ok(known.keys().next().cloned().unwrap_or_default()),
            (None, _) => Err(known.keys().cloned().collect::<Vec<_>>()),
        })
    });
    let number = number.await?.map_err(|numbers| which_number(&numbers))?;
    if !downloads.ways.serves(&number) {
        return Err(no_route());
    }
    let fetch = Fetch { sending: side.sending, ways: downloads.ways.clone(), number, id };
    // A caller who hangs up doesn't end it: a call that is taken has to be given up, too.
    let fetched = tokio::spawn(fetch.run()).await?;
    let (found, file) = fetched.inspect_err(|_| downloads.count("refused"))?;
    Ok(answer(&found, file, downloads, place))
}

fn no_route() -> Problem {
    Problem::fault("/number", "is no configured number, or has no endpoint: see whatsapp.endpoints")
}

/// The two calls that a file takes.
struct Fetch {
    sending: Sending,
    ways: Ways,
    number: String,
    id: String,
}

impl Fetch {
    async fn run(self) -> Result<(MediaPlace, Download), Problem> {
        self.unit().await?;
        let (outcome, graph) = match self.ways.begin(&self.number, false) {
            Some((graph, live)) => {
                let called = graph.media(&self.id, &self.number).await;
                let answer = called.outcome.as_ref().map_or_else(seen, |_| Answer::Good);
                ended(live, called.dialled, answer);
                (called.outcome, Some(graph))
            }
            None => (Err(Outcome::NotSent { reason: "the number has no endpoint".to_owned() }), None),
        };
        let found = self.ended(outcome).await?;
        let graph = graph.ok_or_else(no_route)?;
        self.unit().await?;
        // Of the endpoint that has said where it is, though another may be the active one by now. The file comes from
        // another host than the endpoint's, and how long it takes is the caller's pace.
        let file = self.ended(graph.download(&found).await.outcome).await?;
        Ok((found, file))
    }

    async fn unit(&self) -> Result<(), Problem> {
        let number = self.number.clone();
        let taken = self.sending.ask(move |turn| Ok((turn.take_call(&number, Other::Look)?, turn.date_ms())));
        let (taken, now_ms) = taken.await?;
        taken.map_err(|(why, until)| refused(why, until, now_ms))
    }

    /// Gives the call up, and says what came of it.
    async fn ended<T>(&self, outcome: Result<T, Outcome>) -> Result<T, Problem> {
        let unsent = matches!(outcome, Err(Outcome::NotSent { .. }));
        self.sending.end_call(self.number.clone(), Other::Look, unsent).await;
        outcome.map_err(|outcome| failed(&outcome))
    }
}

fn refused(why: Why, until: Option<i64>, now_ms: i64) -> Problem {
    let seconds = until.map_or(1, |until| until.saturating_sub(now_ms).max(1_000).unsigned_abs() / 1_000);
    if why == Why::NoRoute {
        return no_route();
    }
    if why == Why::ApiCallsPerDay {
        let detail = "the number's API calls of today are used up, or those that may be used for reading";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        return problem.with("resets_at", time(until)).retry_after(seconds);
    }
    Problem::later("as many calls of this number are under way as may be").retry_after(seconds)
}

/// What went wrong, and whose fault it is.
fn failed(outcome: &Outcome) -> Problem {
    match outcome {
        Outcome::Refused(refusal) if is_gone(refusal) => {
            let detail = format!(
                "WhatsApp hasn't got this file, or not any more: attachments are kept for 7 days ({})",
                refusal.details
            );
            Problem::not_found(detail).with("error", error(refusal))
        }
        Outcome::Refused(refusal) => {
            let detail = format!("WhatsApp refused it: {}", refusal.details);
            Problem::new(StatusCode::BAD_GATEWAY, detail).with("error", error(refusal))
        }
        Outcome::NotSent { reason } => Problem::later(format!("WhatsApp wasn't asked: {reason}")),
        Outcome::Unknown { reason } => {
            Problem::new(StatusCode::BAD_GATEWAY, format!("WhatsApp gave no answer that is one: {reason}"))
        }
        Outcome::Accepted { .. } => {
            Problem::new(StatusCode::BAD_GATEWAY, "WhatsApp's answer says nothing of a file")
        }
    }
}

/// Meta says of an id that it doesn't know, and of one that isn't kept any more, that its parameter is wrong.
fn is_gone(refusal: &Refusal) -> bool {
    refusal.http == Some(404) || matches!((refusal.code, refusal.http), (Some(33 | 100), Some(400)))
}

fn answer(found: &MediaPlace, file: Download, downloads: Downloads, place: OwnedSemaphorePermit) -> Response {
    let Download { content_type, length, bytes } = file;
    let expected = found.sha256.as_deref().and_then(sha256);
    let kind = found.mime_type.clone().or(content_type);
    let kind = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
    let told = move |end: End| {
        downloads.count(end.word());
        if end == End::Mismatch {
            tracing::warn!("an attachment has another SHA-256 than WhatsApp says: it wasn't handed on whole");
        }
        drop(place);
    };
    let body = Body::from_stream(checked(bytes, expected, told));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(unknown));
    // What a customer has sent is nothing that a browser should make something of.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A digest as Graph writes it: in hexadecimal digits, or in base64 as webhooks have it.
fn sha256(text: &str) -> Option<Vec<u8>> {
    let hex = |place: usize| u8::from_str_radix(text.get(place..place + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = if text.len() == 2 * SHA256_OUTPUT_LEN {
        (0..text.len()).step_by(2).map(hex).collect()
    } else {
        BASE64_STANDARD.decode(text).ok()
    };
    bytes.filter(|bytes| bytes.len() == SHA256_OUTPUT_LEN)
}

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Mismatch,
    Broken,
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Mismatch => "mismatch",
            Self::Broken => "broken",
        }
    }
}

/// What is told how a file ended, once; `Broken` where nobody takes it to its end.
struct Teller<F: FnOnce(End)>(Option<F>);

impl<F: FnOnce(End)> Teller<F> {
    fn tell(&mut self, end: End) {
        if let Some(told) = self.0.take() {
            told(end);
        }
    }
}

impl<F: FnOnce(End)> Drop for Teller<F> {
    fn drop(&mut self) {
        self.tell(End::Broken);
    }
}

/// Hands portions on, each when the next has come: the last one only when the digest is right, so that
/// a file that isn't what it should be never looks whole, whatever length was announced.
fn checked(
    portions: impl Stream<Item = io::Result<Vec<u8>>> + Send + Unpin + 'static,
    expected: Option<Vec<u8>>,
    told: impl FnOnce(End) + Send + 'static,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    let state = (portions, Context::new(&SHA256), None::<Vec<u8>>, Teller(Some(told)));
    stream::unfold(Some(state), move |state| {
        let expected = expected.clone();
        async move {
            let (mut portions, mut digest, mut held, mut teller) = state?;
            loop {
                match portions.next().await {
                    Some(Ok(portion)) => {
                        digest.update(&portion);
                        if let Some(ready) = held.replace(portion) {
                            return Some((Ok(ready), Some((portions, digest, held, teller))));
                        }
                    }
                    Some(Err(error)) => {
                        teller.tell(End::Broken);
                        return Some((Err(error), None));
                    }
                    None if expected.is_some_and(|expected| expected != digest.finish().as_ref()) => {
                        teller.tell(End::Mismatch);
                        return Some((Err(io::Error::other("the file has another SHA-256")), None));
                    }
                    None => {
                        teller.tell(End::Whole);
                        return held.map(|last| (Ok(last), None));
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// `abc`: FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABC_BASE64: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    async fn ends(portions: Vec<io::Result<Vec<u8>>>, expected: Option<&str>) -> (String, bool, End) {
        let end = Arc::new(Mutex::new(None));
        let told = Arc::clone(&end);
        let tell = move |end| *told.lock().unwrap() = Some(end);
        let stream = checked(stream::iter(portions), expected.and_then(sha256), tell);
        let got: Vec<io::Result<Vec<u8>>> = stream.collect().await;
        let failed = got.iter().any(Result::is_err);
        let bytes: Vec<u8> = got.into_iter().filter_map(Result::ok).flatten().collect();
        let end = end.lock().unwrap().unwrap();
        (String::from_utf8(bytes).unwrap(), failed, end)
    }

    #[tokio::test]
    async fn a_file_that_is_another_never_comes_whole() {
        let abc = || ["a", "b", "c"].map(|part| Ok(part.as_bytes().to_vec())).into_iter().collect::<Vec<_>>();
        for right in [Some(ABC), Some(ABC_BASE64), None, Some("nonsense")] {
            assert_eq!(ends(abc(), right).await, ("abc".into(), false, End::Whole), "{right:?}");
        }
        let wrong = ABC.replace("ba78", "ba79");
        assert_eq!(ends(abc(), Some(&wrong)).await, ("ab".into(), true, End::Mismatch));
        assert_eq!(ends(vec![Ok(b"abd".to_vec())], Some(ABC)).await, (String::new(), true, End::Mismatch));
        let mut broken = abc();
        broken.insert(2, Err(io::Error::other("gone")));
        assert_eq!(ends(broken, Some(ABC)).await, ("a".into(), true, End::Broken));
        assert_eq!(ends(vec![], None).await, (String::new(), false, End::Whole));
        assert_eq!(ends(vec![], Some(ABC)).await, (String::new(), true, End::Mismatch));
    }

    #[test]
    fn who_hangs_up_is_noticed() {
        let end = Arc::new(Mutex::new(None));
        let told = Arc::clone(&end);
        drop(checked(stream::empty(), None, move |end| *told.lock().unwrap() = Some(end)));
        assert_eq!(*end.lock().unwrap(), Some(End::Broken));
    }

    #[test]
    fn a_digest_has_two_forms() {
        assert_eq!(sha256(ABC), sha256(ABC_BASE64));
        assert_eq!(sha256(ABC).map(|digest| digest.len()), Some(32));
        let odd = "\u{20ac}".repeat(64 / 3) + "a";
        for text in ["", "ba", "zz", &ABC[..63], &odd, "YWJj"] {
            assert_eq!(sha256(text), None, "{text}");
        }
    }
}
