//! One endpoint's connections, and what comes over them.
//!
//! A message must never be sent twice by a library, so all that repeats by itself is off:
//! redirects, and `reqwest`'s repeating of what a server took back. One thing `hyper` does still: a
//! request for which a kept connection was chosen that turns out to be closed before one byte of
//! it was written goes over another; that is what [`Outcome::NotSent`] would lead to as well.
//!
//! HTTP/1.1, one call a connection: one that breaks leaves one message in doubt, not all that are
//! in flight.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use model::Outcome;
use reqwest::{Client, Error, RequestBuilder, Response};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::client::GraphSettings;
use super::endpoint::GraphEndpoint;
use super::heard::{Called, Head};
use crate::EgressError;
use crate::client::IDLE_TIMEOUT;
use crate::http::{Names, Resolver};

/// Of an answer so much is read; Graph's are below 2 KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Connections to an endpoint, and the DNS settings that they were made with. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) client: Client,
    pub(super) names: Arc<Names>,
}

/// What was heard of a call.
pub(super) struct Heard {
    /// The head of the answer; `None` without one.
    head: Option<Head>,
    /// The body of the answer, or its beginning where it is too large; else why there is none.
    body: Result<Vec<u8>, Outcome>,
    latency: Duration,
    /// See [`Called::dialled`].
    dialled: bool,
}

/// Why there is no answer.
pub(super) struct Unanswered {
    pub(super) outcome: Outcome,
    /// See [`Called::dialled`].
    pub(super) dialled: bool,
}

impl Wire {
    /// Nothing is dialled yet. `timeout` is that of a whole call.
    pub(super) fn new(
        tls: ClientConfig,
        settings: &GraphSettings,
        timeout: Duration,
        idle_connections: usize,
    ) -> Result<Self, EgressError> {
        let names = Arc::new(Names::of_the_system());
        let client = Client::builder()
            .user_agent(&settings.product)
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Resolver(Arc::clone(&names))))
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            // What isn't connected by half the time must be known for it: at its end a call counts as unknown.
            .connect_timeout(settings.connect_timeout.min(timeout / 2))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle_connections)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, names })
    }

    /// Sends a request and waits for the head of its answer; else what came of it.
    pub(super) async fn begin(&self, request: RequestBuilder) -> Result<Response, Unanswered> {
        request.send().await.map_err(|error| self.without_answer(&error))
    }

    /// Sends a request and hears its answer out.
    pub(super) async fn exchange(
        &self,
        endpoint: &GraphEndpoint,
        request: RequestBuilder,
        begun: Instant,
    ) -> Heard {
        match self.begin(request).await {
            Ok(answer) => Heard::out(endpoint, answer, begun).await,
            Err(unanswered) => Heard::nothing(unanswered, begun),
        }
    }

    /// Only what failed before there was a connection was surely not sent.
    fn without_answer(&self, error: &Error) -> Unanswered {
        if error.is_connect() {
            self.names.forget();
            let reason = if error.is_timeout() {
                "no connection in time".to_owned()
            } else {
                format!("no connection: {}", innermost(error))
            };
            return Unanswered { outcome: Outcome::NotSent { reason }, dialled: true };
        }
        if error.is_builder() {
            let reason = "there is no such request".to_owned();
            return Unanswered { outcome: Outcome::NotSent { reason }, dialled: false };
        }
        Unanswered { outcome: Outcome::Unknown { reason: unknown(error) }, dialled: true }
    }
}

impl Heard {
    /// No answer came.
    pub(super) fn nothing(why: Unanswered, begun: Instant) -> Self {
        Self { head: None, body: Err(why.outcome), latency: begun.elapsed(), dialled: why.dialled }
    }

    /// Hears an answer out.
    pub(super) async fn out(endpoint: &GraphEndpoint, answer: Response, begun: Instant) -> Self {
        let head = Head::of(&answer);
        // What a redirect says besides is nobody's answer.
        let body = if answer.status().is_redirection() { Ok(Vec::new()) } else { read(answer).await };
        let body = match body {
            Ok(body) => Ok(endpoint.without_token(body)),
            // Without its whole body an answer has no code, by which everything is decided.
            Err(error) => Err(Outcome::Unknown { reason: unknown(&error) }),
        };
        Self { head: Some(head), body, latency: begun.elapsed(), dialled: true }
    }

    /// What came of the call, by `judge`, which is given what was heard, or why nothing was.
    pub(super) fn judged<T>(self, judge: impl FnOnce(Result<(Head, &[u8]), Outcome>) -> T) -> Called<T> {
        let Self { head, body, latency, dialled } = self;
        let outcome = match (head, body) {
            (Some(head), Ok(body)) => judge(Ok((head, &body))),
            (_, Err(outcome)) => judge(Err(outcome)),
            (None, Ok(_)) => judge(Err(Outcome::Unknown { reason: "no answer came".to_owned() })),
        };
        Called {
            outcome,
            latency,
            date_ms: head.and_then(|head| head.date_ms),
            throttle: head.and_then(|head| head.throttle),
            status: head.map(|head| head.status),
            dialled,
        }
    }
}

/// The body of an answer, or its beginning where it is too large.
async fn read(mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(portion) = answer.chunk().await? {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&portion[..portion.len().min(room)]);
        if portion.len() > room {
            break;
        }
    }
    Ok(body)
}

/// Why no whole answer came, in words that hold no URL.
pub(super) fn unknown(error: &Error) -> String {
    if error.is_timeout() {
        return "no answer came in time".to_owned();
    }
    format!("no whole answer came: {}", innermost(error))
}

/// The first cause, in its own words: those around it may hold the URL.
fn innermost(error: &Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "no cause is known".to_owned(), ToString::to_string)
}
