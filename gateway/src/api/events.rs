//! `GET /v1/events`: server-sent events of what changes (the text/event-stream of the HTML standard).
//!
//! Each reader has a task that writes frames into a channel of one place, which the connection empties as fast as
//! its reader reads.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Side;
use super::problem::Problem;
use super::query::Parameters;
use crate::app::access::Caller;
use crate::app::events::{Event, Listener, NAMES};
use crate::clock;
use crate::config::Scope;

/// A reader comes back so long after its connection broke, in milliseconds.
const RETRY_MS: u32 = 3_000;
/// A comment goes out when nothing else did for so long: what stands between closes what is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Who takes nothing for so long has gone without saying so: its place is another's.
const STUCK: Duration = Duration::from_secs(60);
/// Where there is no place left one is asked for again so much later, in seconds. That a reader has hung up is known
/// when the second frame after it can't be written: after two comments at the latest.
const FULL_RETRY: u64 = 10;

/// How long a connection is silent, and how long it may be stuck.
#[derive(Debug, Clone, Copy)]
struct Pace {
    keep_alive: Duration,
    stuck: Duration,
}

/// `?types=endpoint,alarm`: only these.
#[derive(Debug)]
struct Wanted(Vec<&'static str>);

impl Wanted {
    fn read(text: &str) -> Option<Self> {
        let known = |word: &str| NAMES.into_iter().find(|name| *name == word);
        text.split(',').map(known).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// `GET /v1/events`.
pub(super) async fn stream(
    State(side): State<Side>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["types"])?;
    let what = format!("some of {}, with commas between them", NAMES.join(", "));
    let wanted = parameters.get("types", &what, Wanted::read)?.unwrap_or(Wanted(NAMES.to_vec()));
    let Some(listener) = side.events.listen() else {
        let detail = "as many read events already as may";
        return Err(Problem::later(detail).retry_after(FULL_RETRY));
    };
    let hello = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": clock::now().rfc3339_millis(),
        "newest": side.shown.store.newest().to_string(),
    });
    let pace = Pace { keep_alive: KEEP_ALIVE, stuck: STUCK };
    let Side { access, mut stopped, .. } = side;
    let over = async move {
        tokio::select! {
            // A restart isn't kept waiting by who listens.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            // Nor does a token that has leaked go on being heard with.
            () = access.gone(&caller, Scope::Read) => {}
        }
    };
    let mut response = Response::new(body(listener, &hello, wanted, pace, over));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The body that a task of its own fills until the reader goes, is stuck, or it is `over`.
fn body(
    listener: Listener,
    hello: &Value,
    wanted: Wanted,
    pace: Pace,
    over: impl Future<Output = ()> + Send + 'static,
) -> Body {
    let (frames, filled) = mpsc::channel::<Bytes>(1);
    let first = format!("retry: {RETRY_MS}\n{}", frame(Some(listener.last), "hello", hello));
    tokio::spawn(async move {
        tokio::select! {
            () = over => {}
            () = frames.closed() => {}
            () = fill(listener, first, &wanted, pace, &frames) => {}
        }
    });
    Body::from_stream(futures_util::stream::unfold(filled, |mut filled| async move {
        filled.recv().await.map(|frame| (Ok::<_, Infallible>(frame), filled))
    }))
}

/// Writes frames until one isn't taken in time.
async fn fill(
    mut listener: Listener,
    first: String,
    wanted: &Wanted,
    pace: Pace,
    frames: &mpsc::Sender<Bytes>,
) {
    let mut next = first;
    let mut silent_until = Instant::now();
    loop {
        if !next.is_empty() {
            if frames.send_timeout(next.into(), pace.stuck).await.is_err() {
                return;
            }
            silent_until = Instant::now() + pace.keep_alive;
        }
        next = match tokio::time::timeout_at(silent_until, listener.receiver.recv()).await {
            Ok(Ok(event)) => shown(&event, wanted),
            Ok(Err(RecvError::Lagged(missed))) => frame(None, "lagged", &json!({ "missed": missed })),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => ":\n\n".to_owned(),
        };
    }
}

/// The frame of an event; nothing where it isn't wanted.
fn shown(event: &Arc<Event>, wanted: &Wanted) -> String {
    if !wanted.0.contains(&event.name) {
        return String::new();
    }
    frame(Some(event.id), event.name, &event.data)
}

/// JSON has no line breaks, so that its data is one line.
fn frame(id: Option<u64>, name: &str, data: &Value) -> String {
    let mut text = String::new();
    if let Some(id) = id {
        // Writing to a string can't fail.
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::app::events::Events;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3_600);

    fn wanted() -> Wanted {
        Wanted(NAMES.to_vec())
    }

    #[tokio::test]
    async fn silence_is_broken_by_comments_even_when_what_comes_is_not_wanted() {
        let events = Events::default();
        let pace = Pace { keep_alive: SHORT, stuck: LONG };
        let only = Wanted(vec!["message"]);
        let body = body(events.listen().unwrap(), &json!({}), only, pace, pending());
        let chatter = tokio::spawn(async move {
            loop {
                events.alarm("not wanted", true);
                tokio::time::sleep(SHORT / 10).await;
            }
        });
        let mut frames = body.into_data_stream();
        assert!(frames.next().await.unwrap().unwrap().starts_with(b"retry: 3000\nid: 0\nevent: hello\n"));
        for _ in 0..3 {
            assert_eq!(frames.next().await.unwrap().unwrap(), ":\n\n");
        }
        chatter.abort();
    }

    #[tokio::test]
    async fn a_reader_that_is_stuck_loses_its_place() {
        let events = Events::default();
        let pace = Pace { keep_alive: SHORT, stuck: SHORT };
        let places: Vec<Body> = std::iter::from_fn(|| events.listen())
            .map(|listener| body(listener, &json!({}), wanted(), pace, pending()))
            .collect();
        assert!(events.listen().is_none());
        let freed = async {
            while events.listen().is_none() {
                tokio::time::sleep(SHORT).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), freed).await.expect("a place is free");
        drop(places);
    }
}
