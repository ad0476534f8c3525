//! What the CRM answers to each request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::behaviour::{Act, Behaviour, Probe, chaos};
use super::delivery::Delivery;
use super::observed::{Complaint, Keep, Wrong};
use super::page;
use super::record::{Record, is_test};
use super::server::Shared;
use crate::Event;
use crate::event::Arrival;

/// The longest delivery that is read: a batch of 100 with room for a few of 4 MiB.
pub const DELIVERY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest command.
const COMMAND_BYTES_MAX: usize = 16 * 1024;
/// The longest chaos that a command can start, a week.
const CHAOS_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;

pub(crate) type Answer = Response<Either<Full<Bytes>, Half>>;

/// The port for deliveries.
pub(crate) async fn deliveries(shared: &Shared, request: Request<Incoming>, reset: Arc<Notify>) -> Answer {
    let get = request.method() == Method::GET;
    match request.uri().path() {
        "/" if get => html(page::page(&shared.observed())),
        "/records" if get => json(200, page::records(&shared.observed())),
        "/observed" if get => json(200, page::observed(&shared.observed())),
        path if get => {
            let probe = if path == shared.health_path { Probe::Health } else { Probe::Address };
            carry_out(shared.act_on(probe), &reset).await
        }
        _ if request.method() == Method::POST => delivery(shared, request, &reset).await,
        _ => not_allowed("GET, POST"),
    }
}

async fn delivery(shared: &Shared, request: Request<Incoming>, reset: &Arc<Notify>) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, DELIVERY_BYTES_MAX).collect().await else {
        return refuse(413, "the delivery is too long or broke off");
    };
    match judge(shared, &head.headers, &body.to_bytes()) {
        Ok(act) => carry_out(act, reset).await,
        Err((status, complaint)) => {
            let answer = refuse(status, &complaint.detail);
            shared.events.tell(|| Event::Complained(complaint));
            answer
        }
    }
}

/// Checks a delivery, asks the behaviour and takes the records. All of them or none.
fn judge(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Act, (u16, Complaint)> {
    let at = Instant::now();
    let complain = |status, wrong, detail| {
        let mut observed = shared.observed();
        observed.delivery(true);
        (status, observed.complain(wrong, detail))
    };
    let delivery = shared
        .checks
        .check(headers, body, now_s())
        .map_err(|refusal| complain(refusal.status, refusal.wrong, refusal.detail.to_owned()))?;
    if let [json] = delivery.records[..]
        && is_test(delivery.webhook_id, json)
    {
        let number = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
        return Ok(shared.act(number, std::iter::once(delivery.webhook_id)));
    }
    let records = read(&delivery).map_err(|(wrong, detail)| complain(400, wrong, detail))?;

    let number = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let act = shared.act(number, records.iter().map(|(record, _)| &*record.id));
    let mut observed = shared.observed();
    observed.delivery(!act.takes());
    if act.takes() {
        for ((record, sequence), json) in records.iter().zip(&delivery.records) {
            let (first, complaint) = observed.take(record, *sequence, json, at);
            if let Some(desk) = shared.desk.as_ref().filter(|_| first) {
                // Before the journey is over, so that who sees its end sees the reply to come.
                desk.read(record, at);
            }
            let journeys = shared.journeys.as_ref().filter(|_| first);
            let after = journeys.and_then(|journeys| journeys.arrived(&record.id, at));
            shared.events.tell(|| Event::Arrived {
                arrival: Arc::new(arrival(record, *sequence, first, shared.keep)),
                after,
            });
            if let Some(complaint) = complaint {
                shared.events.tell(|| Event::Complained(complaint));
            }
        }
    }
    Ok(act)
}

/// Reads the records of a delivery.
fn read<'a>(delivery: &Delivery<'a>) -> Result<Vec<(Record<'a>, u64)>, (Wrong, String)> {
    let mut records = Vec::with_capacity(delivery.records.len());
    for json in &delivery.records {
        let (record, sequence) = Record::parse(json).map_err(|detail| (Wrong::Malformed, detail))?;
        if !delivery.is_batch && record.id != delivery.webhook_id {
            return Err((Wrong::Header, "webhook-id is not the record's id".into()));
        }
        records.push((record, sequence));
    }
    Ok(records)
}

fn arrival(record: &Record<'_>, sequence: u64, first: bool, keep: Keep) -> Arrival {
    let shown = keep == Keep::Everything;
    Arrival {
        id: record.id.clone().into_owned(),
        kind: record.kind.clone().into_owned(),
        sequence,
        contact_id: record.contact_id().map(str::to_owned),
        name: if shown { record.name() } else { None },
        text: if shown { record.summary() } else { None },
        outbox_id: if shown { record.outbox_id() } else { None },
        first,
    }
}

async fn carry_out(act: Act, reset: &Arc<Notify>) -> Answer {
    match act {
        Act::Accept => json(200, "{\"ok\":true}\n".into()),
        Act::AcceptAfter(time) => {
            tokio::time::sleep(time).await;
            json(200, "{\"ok\":true}\n".into())
        }
        Act::Refuse { code, retry_after_s } => {
            let mut answer = refuse(code, "the simulated CRM is asked to refuse");
            if let Some(seconds) = retry_after_s {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
        Act::Hang => std::future::pending().await,
        Act::Reset => Response::new(Either::Right(Half { told: false, reset: Arc::clone(reset) })),
    }
}

/// The control port: `POST /behave` with a [`Behaviour`], `POST /probes` with a [`Probe`] and what it
/// meets with, `POST /chaos` with `seed` and `for_s`, `GET /observed`.
pub(crate) async fn commands(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Chaos {
        seed: u64,
        for_s: u32,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probes {
        probe: Probe,
        behaviour: Option<Behaviour>,
    }
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/observed") => json(200, page::observed(&shared.observed())),
        (&Method::POST, "/behave") => match command::<Behaviour>(request).await {
            Ok(behaviour) => {
                shared.end_chaos();
                shared.behave(behaviour).await;
                json(200, "{\"ok\":true}\n".into())
            }
            Err(refusal) => refusal,
        },
        (&Method::POST, "/probes") => match command::<Probes>(request).await {
            Ok(Probes { probe, behaviour }) => {
                shared.behave_to(probe, behaviour);
                json(200, "{\"ok\":true}\n".into())
            }
            Err(refusal) => refusal,
        },
        (&Method::POST, "/chaos") => match command::<Chaos>(request).await {
            Ok(Chaos { seed, for_s }) => {
                let lasts = Duration::from_secs(u64::from(for_s.min(CHAOS_SECONDS_MAX)));
                shared.misbehave(chaos(seed, lasts));
                json(200, "{\"ok\":true}\n".into())
            }
            Err(refusal) => refusal,
        },
        (_, "/behave" | "/probes" | "/chaos") => not_allowed("POST"),
        (_, "/observed") => not_allowed("GET"),
        _ => refuse(404, "there are POST /behave, POST /probes, POST /chaos and GET /observed"),
    }
}

/// Reads a command. A page in a browser can't send this content type elsewhere without being asked
/// first, and the question isn't answered.
async fn command<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Answer> {
    if request.headers().get(CONTENT_TYPE).is_none_or(|value| value != "application/json") {
        return Err(refuse(415, "the content type must be application/json"));
    }
    let body = Limited::new(request.into_body(), COMMAND_BYTES_MAX).collect().await;
    let body = body.map_err(|_| refuse(413, "the command is too long or broke off"))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| refuse(400, &error.to_string()))
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn json(status: u16, body: String) -> Answer {
    answer(status, "application/json", body)
}

fn html(body: String) -> Answer {
    let mut answer = answer(200, "text/html; charset=utf-8", body);
    let policy = HeaderValue::from_static(page::CONTENT_SECURITY_POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

fn refuse(status: u16, why: &str) -> Answer {
    json(status, format!("{}\n", serde_json::json!({ "error": why })))
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = refuse(405, "another method is needed here");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn answer(status: u16, content_type: &'static str, body: String) -> Answer {
    const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(body))));
    // A command may ask for a status that doesn't exist.
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    answer
}

/// The first half of an answer, and then the wish for a reset.
#[derive(Debug)]
pub(crate) struct Half {
    told: bool,
    reset: Arc<Notify>,
}

impl Body for Half {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.told {
            // Asked again, so the first half is on its way; the connection ends without this.
            self.reset.notify_one();
            return Poll::Pending;
        }
        self.told = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{\"ok\":")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(12)
    }
}
