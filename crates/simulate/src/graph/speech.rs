//! How an answer goes over the wire: whole, or broken off in the middle.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::refusal::Refusal;

/// The connection ends here, on purpose.
#[derive(Debug, thiserror::Error)]
#[error("ended on purpose")]
pub(crate) struct Ends;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Speech {
    left: Option<Bytes>,
    promised: u64,
    breaks: bool,
    waited: bool,
}

impl Speech {
    fn whole(bytes: Bytes) -> Self {
        Self {
            promised: bytes.len() as u64,
            left: Some(bytes).filter(|bytes| !bytes.is_empty()),
            breaks: false,
            waited: false,
        }
    }

    /// The first half of it, with the length of the whole promised.
    pub(crate) fn halved(mut self) -> Self {
        self.left = self.left.map(|bytes| bytes.slice(..bytes.len() / 2));
        self.breaks = true;
        self
    }
}

impl Body for Speech {
    type Data = Bytes;
    type Error = Ends;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.left.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // The first half goes on its way while this waits; the end would overtake it.
            None if self.breaks && !self.waited => {
                self.waited = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.breaks => Poll::Ready(Some(Err(Ends))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// An answer of the simulator.
pub(crate) type Answer = Response<Speech>;

/// Any JSON.
pub(crate) fn text(status: u16, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Speech::whole(Bytes::from(body)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// 200 and a file.
pub(crate) fn file(bytes: Bytes, mime: &str) -> Answer {
    let mut answer = Response::new(Speech::whole(bytes));
    let mime = HeaderValue::from_str(mime);
    let kind = mime.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// 200 and JSON.
pub(crate) fn yes(body: &Value) -> Answer {
    text(200, "application/json; charset=UTF-8", body.to_string())
}

/// An error in Graph's form, or in 360dialog's.
pub(crate) fn no(refusal: &Refusal, bsp: bool, trace: u64) -> Answer {
    let own = refusal.of_provider || (bsp && refusal.code == Some(190));
    let body = if own { refusal.bsp() } else { refusal.body(trace) };
    let kind = if own || refusal.code.is_some() { "application/json; charset=UTF-8" } else { "text/html" };
    let mut answer = text(refusal.http, kind, body);
    if let Some(seconds) = refusal.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Says how much of Meta's call limits is used.
pub(crate) fn add_usage(answer: &mut Answer, waba_id: &str, percent: u32, regain_minutes: u32) {
    const APP: HeaderName = HeaderName::from_static("x-app-usage");
    const BUSINESS: HeaderName = HeaderName::from_static("x-business-use-case-usage");
    let app = json!({ "call_count": percent, "total_cputime": 1, "total_time": 1 });
    let business = json!({ waba_id: [{
        "type": "whatsapp", "call_count": percent, "total_cputime": 1, "total_time": 1,
        "estimated_time_to_regain_access": regain_minutes,
    }] });
    for (name, usage) in [(APP, app), (BUSINESS, business)] {
        if let Ok(value) = HeaderValue::try_from(usage.to_string()) {
            answer.headers_mut().insert(name, value);
        }
    }
}
