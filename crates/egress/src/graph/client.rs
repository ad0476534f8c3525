//! Calls of Graph over connections that are kept.
//!
//! A message must never be sent twice by a library, so all that repeats by itself is off:
//! redirects, and `reqwest`'s repeating of what a server took back. One thing `hyper` does still: a
//! request for which a kept connection was chosen that turns out to be closed before one byte of
//! it was written goes over another; that is what [`Outcome::NotSent`] would lead to as well.
//!
//! HTTP/1.1, one call a connection: one that breaks leaves one message in doubt, not all that are
//! in flight.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use model::Outcome;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Error, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{accepted, judge, marked, media_id};
use super::endpoint::GraphEndpoint;
use super::heard::{Called, Head};
use super::token::TokenInfo;
use super::upload::{Form, Upload};
use crate::client::IDLE_TIMEOUT;
use crate::http::Names;
use crate::{EgressError, tls};

/// Time for a whole call, from its beginning to the end of the answer (contract, section 2).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to connect, name and TLS included; what fails within it was surely not sent.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer so much is read; Graph's are below 2 KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// An upload has the time of a call and that of its bytes over a slow line: 1 Mbit/s.
const UPLOAD_BYTES_PER_SECOND: u64 = 128 * 1024;

/// How the client behaves.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// The `User-Agent`, such as `wagate/0.1.0`.
    pub product: String,
    /// See [`ANSWER_TIMEOUT`].
    pub answer_timeout: Duration,
    /// See [`CONNECT_TIMEOUT`]; less than [`Self::answer_timeout`], or what isn't connected by then
    /// counts as unknown.
    pub connect_timeout: Duration,
    /// Idle connections kept per endpoint: as many as there are calls in flight.
    pub idle_connections: usize,
    /// Root certificates of the operator in PEM, on top of the ordinary ones; may be empty.
    pub extra_roots: Vec<u8>,
}

impl GraphSettings {
    /// The defaults.
    #[must_use]
    pub const fn new(product: String, idle_connections: usize) -> Self {
        Self {
            product,
            answer_timeout: ANSWER_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            idle_connections,
            extra_roots: Vec::new(),
        }
    }
}

/// Calls Graph. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Graph {
    client: Client,
    names: Arc<Names>,
    answer_timeout: Duration,
}

impl Graph {
    /// A client for all endpoints, with connections of its own.
    ///
    /// # Errors
    /// When a root certificate of the operator is none, or the settings don't go together.
    pub fn new(settings: GraphSettings) -> Result<Self, EgressError> {
        let names = Arc::new(Names::of_the_system());
        let client = Client::builder()
            .user_agent(settings.product)
            .tls_backend_preconfigured(tls::config(&settings.extra_roots)?)
            .dns_resolver(Arc::new(Resolver(Arc::clone(&names))))
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.answer_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.idle_connections)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, names, answer_timeout: settings.answer_timeout })
    }

    /// Posts a message of `number` (a phone number id). `body` is the whole JSON object.
    ///
    /// Whoever drops the future before it ends doesn't know what became of the message.
    pub async fn send(&self, endpoint: &GraphEndpoint, number: &str, body: Vec<u8>) -> Called {
        self.post(endpoint, number, body, accepted).await
    }

    /// Marks a message as read, with a typing indicator or without. `body` is the whole JSON object.
    /// [`Outcome::Accepted`] without ids is success.
    pub async fn mark(&self, endpoint: &GraphEndpoint, number: &str, body: Vec<u8>) -> Called {
        self.post(endpoint, number, body, marked).await
    }

    /// Uploads a file and returns its media id. What isn't one is never [`Outcome::Accepted`].
    ///
    /// `file` must give as many bytes as `upload` says, in portions; it isn't collected.
    pub async fn upload<S>(
        &self,
        endpoint: &GraphEndpoint,
        number: &str,
        upload: &Upload<'_>,
        file: S,
    ) -> Called<Result<String, Outcome>>
    where
        S: Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    {
        let prepared = endpoint.media(number).and_then(|url| Ok((url, Form::new(upload)?)));
        let (url, form) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return not_sent(reason),
        };
        let time = self.answer_timeout + Duration::from_secs(upload.length / UPLOAD_BYTES_PER_SECOND);
        let request = self
            .client
            .post(url)
            .timeout(time)
            .header(CONTENT_TYPE, &form.content_type)
            .header(CONTENT_LENGTH, form.length())
            .body(Body::wrap_stream(form.around(file)));
        self.call(endpoint, request, media_id).await
    }

    /// Asks Meta about the endpoint's own token, with that token. Never [`Outcome::Accepted`] where it
    /// fails; not sent where the token goes into a header of a provider's.
    pub async fn token_info(&self, endpoint: &GraphEndpoint) -> Called<Result<TokenInfo, Outcome>> {
        match endpoint.debug_token() {
            Ok(url) => self.call(endpoint, self.client.get(url), TokenInfo::read).await,
            Err(reason) => not_sent(reason),
        }
    }

    async fn post(
        &self,
        endpoint: &GraphEndpoint,
        number: &str,
        body: Vec<u8>,
        take: fn(&Value) -> Option<Outcome>,
    ) -> Called {
        let url: Url = match endpoint.messages(number) {
            Ok(url) => url,
            Err(reason) => return not_sent::<Outcome>(reason).map(either),
        };
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        self.call(endpoint, request, take).await.map(either)
    }

    async fn call<T>(
        &self,
        endpoint: &GraphEndpoint,
        mut request: RequestBuilder,
        take: fn(&Value) -> Option<T>,
    ) -> Called<Result<T, Outcome>> {
        if let Some((name, value)) = endpoint.credential() {
            request = request.header(name, value);
        }
        let begun = Instant::now();
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Called::unanswered(Err(self.without_answer(&error)), begun.elapsed()),
        };
        let head = Head::of(&answer);
        // What a redirect says besides is nobody's answer.
        let body = if answer.status().is_redirection() { Ok(Vec::new()) } else { read(answer).await };
        let outcome = match body {
            Ok(body) => judge(head.status, &body, head.retry_after_ms, take),
            // Without its whole body an answer has no code, by which everything is decided.
            Err(error) => Err(Outcome::Unknown { reason: unknown(&error) }),
        };
        Called {
            outcome,
            latency: begun.elapsed(),
            date_ms: head.date_ms,
            throttle: head.throttle,
            status: Some(head.status),
        }
    }

    /// Only what failed before there was a connection was surely not sent.
    fn without_answer(&self, error: &Error) -> Outcome {
        if error.is_connect() {
            self.names.forget();
            let reason = if error.is_timeout() {
                "no connection in time".to_owned()
            } else {
                format!("no connection: {}", innermost(error))
            };
            return Outcome::NotSent { reason };
        }
        if error.is_builder() {
            return Outcome::NotSent { reason: "there is no such request".to_owned() };
        }
        Outcome::Unknown { reason: unknown(error) }
    }
}

fn not_sent<T>(reason: &str) -> Called<Result<T, Outcome>> {
    Called::unanswered(Err(Outcome::NotSent { reason: reason.to_owned() }), Duration::ZERO)
}

fn either(outcome: Result<Outcome, Outcome>) -> Outcome {
    outcome.unwrap_or_else(|outcome| outcome)
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

fn unknown(error: &Error) -> String {
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

/// Names as delivery has them: the hosts file first, new settings after a failure.
struct Resolver(Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = names.look_up(name.as_str()).await?;
            // The port is the URL's.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as _)
        })
    }
}
