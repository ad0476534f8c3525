//! Calls of Graph at one endpoint, over connections that are kept.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use model::Outcome;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, RequestBuilder, Url};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{accepted, judge, marked, media_id};
use super::endpoint::GraphEndpoint;
use super::heard::Called;
use super::token::TokenInfo;
use super::upload::{Form, Upload};
use super::wire::Wire;
use crate::{EgressError, tls};

/// Time to connect, name and TLS included; what fails within it was surely not sent, and goes out
/// again. Kept short: over a black hole the next message waits no longer than this before another
/// endpoint may have it, and who can't connect in 5 s has missed two retransmissions already.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A file has the time of a call and that of its bytes over a slow line: 1 Mbit/s.
const FILE_BYTES_PER_SECOND: u64 = 128 * 1024;

/// How a client behaves, whatever its endpoint.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// The `User-Agent`, such as `wagate/0.1.0`.
    pub product: String,
    /// See [`CONNECT_TIMEOUT`]; of an endpoint's time for a call it is half at most.
    pub connect_timeout: Duration,
    /// Idle connections kept: as many as there are calls in flight.
    pub idle_connections: usize,
}

impl GraphSettings {
    /// The defaults.
    #[must_use]
    pub const fn new(product: String, idle_connections: usize) -> Self {
        Self { product, connect_timeout: CONNECT_TIMEOUT, idle_connections }
    }
}

/// Calls Graph at one endpoint. Clones share their connections.
///
/// Until its first call it holds neither connections nor the roots of the world's certificates.
#[derive(Clone)]
pub struct Graph(Arc<Inner>);

struct Inner {
    endpoint: GraphEndpoint,
    settings: GraphSettings,
    made: Mutex<Made>,
}

/// What a first call makes.
#[derive(Default)]
struct Made {
    tls: Option<Arc<ClientConfig>>,
    wire: Option<Wire>,
}

impl Graph {
    /// A client of `endpoint`, with connections of its own.
    #[must_use]
    pub fn new(endpoint: GraphEndpoint, settings: GraphSettings) -> Self {
        Self(Arc::new(Inner { endpoint, settings, made: Mutex::default() }))
    }

    /// Where it calls.
    #[must_use]
    pub fn endpoint(&self) -> &GraphEndpoint {
        &self.0.endpoint
    }

    /// Lets go of idle connections, TLS sessions and DNS settings: the next call dials anew, to
    /// wherever the name leads by then. Calls in flight go on to their end.
    pub fn reset(&self) {
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner).wire = None;
    }

    /// Posts a message of `number` (a phone number id). `body` is the whole JSON object.
    ///
    /// Whoever drops the future before it ends doesn't know what became of the message.
    pub async fn send(&self, number: &str, body: Vec<u8>) -> Called {
        self.post(number, body, accepted).await
    }

    /// Marks a message as read, with a typing indicator or without. `body` is the whole JSON object.
    /// [`Outcome::Accepted`] without ids is success.
    pub async fn mark(&self, number: &str, body: Vec<u8>) -> Called {
        self.post(number, body, marked).await
    }

    /// Uploads a file and returns its media id. What isn't one is never [`Outcome::Accepted`].
    ///
    /// `file` must give as many bytes as `upload` says, in portions; it isn't collected.
    pub async fn upload<S>(
        &self,
        number: &str,
        upload: &Upload<'_>,
        file: S,
    ) -> Called<Result<String, Outcome>>
    where
        S: Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    {
        let prepared = self.endpoint().media(number).and_then(|url| Ok((url, Form::new(upload)?)));
        let (url, form) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return not_sent(reason),
        };
        let time = self.time_for(upload.length);
        let request = |client: &Client| {
            client
                .post(url)
                .timeout(time)
                .header(CONTENT_TYPE, &form.content_type)
                .header(CONTENT_LENGTH, form.length())
                .body(Body::wrap_stream(form.around(file)))
        };
        self.call(request, media_id).await
    }

    /// Asks Meta about the endpoint's own token, with that token. Never [`Outcome::Accepted`] where it
    /// fails; not sent where [`GraphEndpoint::has_token_info`] isn't so.
    pub async fn token_info(&self) -> Called<Result<TokenInfo, Outcome>> {
        self.get(self.endpoint().debug_token(), TokenInfo::read).await
    }

    /// Time for a call that carries a file of `bytes`.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        self.endpoint().timeout() + Duration::from_secs(bytes / FILE_BYTES_PER_SECOND)
    }

    /// Reads what stands at a place, which has a reason not to be one.
    pub(super) async fn get<T>(
        &self,
        place: Result<Url, &'static str>,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Called<Result<T, Outcome>> {
        match place {
            Ok(url) => self.call(|client| client.get(url), take).await,
            Err(reason) => not_sent(reason),
        }
    }

    /// Makes a signed call; `take` finds what was asked for in the body of a 2xx.
    pub(super) async fn call<T>(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Called<Result<T, Outcome>> {
        let wire = match self.wire() {
            Ok(wire) => wire,
            Err(error) => return not_sent(&error.to_string()),
        };
        let request = self.endpoint().sign(request(&wire.client));
        let heard = wire.exchange(self.endpoint(), request, Instant::now()).await;
        heard.judged(|heard| {
            let (head, body) = heard?;
            judge(head.status, body, head.retry_after_ms, take)
        })
    }

    /// The connections that calls go over, made by the first that asks.
    pub(super) fn wire(&self) -> Result<Wire, EgressError> {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = &made.wire {
            return Ok(wire.clone());
        }
        let tls = tls::sessions(&*self.trusted(&mut made)?, true);
        let (endpoint, settings) = (self.endpoint(), &self.0.settings);
        let wire = Wire::new(tls, settings, endpoint.timeout(), settings.idle_connections)?;
        Ok(made.wire.insert(wire).clone())
    }

    /// Connections of their own, which nothing that was made before has a part in, and which end with
    /// them; `timeout` is that of a whole call.
    pub(super) fn fresh(&self, timeout: Duration) -> Result<Wire, EgressError> {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = tls::sessions(&*self.trusted(&mut made)?, false);
        Wire::new(tls, &self.0.settings, timeout, 0)
    }

    fn trusted(&self, made: &mut Made) -> Result<Arc<ClientConfig>, EgressError> {
        if let Some(tls) = &made.tls {
            return Ok(Arc::clone(tls));
        }
        let tls = tls::shared(self.endpoint().roots())?;
        Ok(Arc::clone(made.tls.insert(tls)))
    }

    async fn post(&self, number: &str, body: Vec<u8>, take: fn(&Value) -> Option<Outcome>) -> Called {
        let url: Url = match self.endpoint().messages(number) {
            Ok(url) => url,
            Err(reason) => return not_sent::<Outcome>(reason).map(either),
        };
        self.call(|client| json(client.post(url), body), take).await.map(either)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Graph").field(&self.0.endpoint).finish()
    }
}

/// A request with a JSON object for its body.
pub(super) fn json(request: RequestBuilder, body: Vec<u8>) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body)
}

/// A call that wasn't made.
pub(super) fn not_sent<T>(reason: &str) -> Called<Result<T, Outcome>> {
    Called::undialled(Err(Outcome::NotSent { reason: reason.to_owned() }))
}

fn either(outcome: Result<Outcome, Outcome>) -> Outcome {
    outcome.unwrap_or_else(|outcome| outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_takes_new_dns_settings_and_keeps_whom_it_trusts() {
        let endpoint = GraphEndpoint::new("meta", "https://a.example", None, None, "/messages").unwrap();
        let graph = Graph::new(endpoint, GraphSettings::new("wagate/0".to_owned(), 1));
        let tls = || graph.0.made.lock().unwrap().tls.clone();
        assert!(tls().is_none(), "until it is called it holds nothing");
        let (first, same) = (graph.wire().unwrap(), graph.clone().wire().unwrap());
        assert!(Arc::ptr_eq(&first.names, &same.names));
        let trusted = tls().unwrap();
        graph.reset();
        let other = graph.wire().unwrap();
        assert!(!Arc::ptr_eq(&first.names, &other.names));
        assert!(Arc::ptr_eq(&trusted, &tls().unwrap()), "no certificate is read again");
    }
}
