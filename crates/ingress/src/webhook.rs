//! What the public side does with a request: the handshake and the signed POST.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::http::HeaderName;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use model::signature::hub::{HEADER, Signature};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::admit::{Admit, Place, Reason, Refusal};
use crate::answer::Outcome;
use crate::body::{BodyError, Held, Reading, drop_rest};
use crate::connections::Peer;
use crate::credentials::Credentials;
use crate::handshake::{Handshake, handshake};
use crate::limits::{ConnectionLimits, RequestLimits};
use crate::memory::{Memory, Share};
use crate::metrics::Metrics;
use crate::quiet::Quiet;
use crate::rate::FailureBudget;
use crate::serve::{Drained, Transport, serve};

/// The public side: one path, for Meta and nobody else.
pub struct Webhook<A> {
    path: String,
    credentials: RwLock<Credentials>,
    limits: RequestLimits,
    admit: Arc<A>,
    in_flight: Arc<Semaphore>,
    memory: Arc<Memory>,
    unsigned: FailureBudget,
    metrics: Metrics,
    wrong_signatures: Quiet,
    refusals: Quiet,
}

/// A body up to this size is hashed at once: on a small core without instructions for SHA-256 that takes
/// a millisecond.
const INLINE_BYTES: usize = 64 * 1024;

/// The name as `http` keeps it, made once.
static SIGNATURE: HeaderName = HeaderName::from_static(HEADER);

/// The signature of a request: exactly one header of the right shape.
#[must_use]
pub fn signature(headers: &HeaderMap) -> Option<Signature> {
    let mut values = headers.get_all(&SIGNATURE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Signature::parse(value.as_bytes()),
        _ => None,
    }
}

impl<A: Admit> Webhook<A> {
    /// Makes the public side at `path` (as in the configuration, `/webhook`).
    #[must_use]
    pub fn new(
        path: String,
        credentials: Credentials,
        limits: RequestLimits,
        admit: Arc<A>,
        metrics: Metrics,
    ) -> Self {
        Self {
            path,
            credentials: RwLock::new(credentials),
            in_flight: Arc::new(Semaphore::new(limits.requests_in_flight)),
            memory: Memory::new(
                limits.body_bytes_in_flight,
                limits.stranger_bytes_in_flight,
                limits.strangers_bytes_in_flight,
                limits.neighbours_bytes_in_flight,
                metrics.body_bytes_in_flight.clone(),
            ),
            unsigned: FailureBudget::new(
                limits.unsigned_per_minute,
                limits.unsigned_burst,
                limits.addresses_remembered,
            ),
            limits,
            admit,
            metrics,
            wrong_signatures: Quiet::default(),
            refusals: Quiet::default(),
        }
    }

    /// Takes other credentials, for every request whose signature hasn't been looked at yet.
    pub fn replace(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }

    /// Answers one request.
    ///
    /// Once a webhook has been handed to [`Admit`] that goes on to its end, even when this future
    /// is dropped because the sender hung up.
    pub async fn answer<B>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let received = Instant::now();
        let (mut head, body) = request.into_parts();
        let mut body = Reading::new(&head, body);
        let signature = signature(&head.headers);
        // Over HTTP/2 they can take far more than their bytes on the wire, for as long as a body lasts.
        head.headers = HeaderMap::new();
        let outcome = self.judge(peer, &head, signature, &mut body, received).await;
        if let Some(rest) = body.rest() {
            let (most, time, busy) = (self.limits.dropped_bytes, self.limits.dropped_time, peer.busy());
            tokio::spawn(async move {
                drop_rest(rest, most, time).await;
                drop(busy);
            });
        }
        if outcome == Outcome::Taken {
            self.metrics.ack_seconds.observe(received.elapsed().as_secs_f64());
        }
        self.metrics.count(&outcome);
        outcome.into_response(head.version)
    }

    /// Returns once nothing is being admitted any more.
    pub async fn settled(&self) {
        let all = u32::try_from(self.limits.requests_in_flight).unwrap_or(u32::MAX);
        // Fails only on a closed semaphore, and this one is never closed.
        let _ = self.in_flight.acquire_many(all).await;
    }

    async fn judge<B>(
        &self,
        peer: &Peer,
        head: &Parts,
        signature: Option<Signature>,
        body: &mut Reading<B>,
        received: Instant,
    ) -> Outcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if head.uri.path() != self.path {
            return Outcome::NotFound;
        }
        match head.method {
            Method::GET => self.welcome(peer, head.uri.query()),
            Method::POST => self.webhook(peer, signature, body, received).await,
            _ => Outcome::MethodNotAllowed,
        }
    }

    fn welcome(&self, peer: &Peer, query: Option<&str>) -> Outcome {
        match handshake(query, self.credentials().verify_token()) {
            Handshake::Welcome(challenge) => Outcome::Welcome(challenge),
            Handshake::Forbidden => self.charge(peer, Outcome::Forbidden),
            Handshake::BadChallenge | Handshake::Repeated => Outcome::BadHandshake,
        }
    }

    async fn webhook<B>(
        &self,
        peer: &Peer,
        signature: Option<Signature>,
        body: &mut Reading<B>,
        received: Instant,
    ) -> Outcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let deadline = received + self.limits.body_time;
        let Some(signature) = signature else {
            return self.charge(peer, Outcome::Unsigned);
        };
        let stranger = (!peer.connection.proved()).then(|| peer.network());
        let share = self.memory.share(stranger, peer.connection.known());
        let held = match body.read(self.limits.body_bytes, deadline, share).await {
            Ok(held) => held,
            Err(BodyError::TooLarge) => return Outcome::TooLarge,
            Err(BodyError::TooSlow) => return Outcome::TooSlow,
            Err(BodyError::Broken) => return Outcome::BrokenBody,
            Err(BodyError::NoMemory) => return self.busy(),
        };
        let Some(right) = self.verify(&held.bytes, signature).await else { return self.busy() };
        if !right {
            if let Some(unsaid) = self.wrong_signatures.speak(Instant::now()) {
                warn!(
                    unsaid,
                    "a webhook was not signed with a configured app secret: a stranger, or app_secret is out of date"
                );
            }
            return self.charge(peer, Outcome::WronglySigned);
        }
        peer.prove();
        // Not before: strangers could take all places with bodies that never end.
        let Held { bytes, share } = held;
        let Some(place) = self.place(share) else { return self.busy() };
        match self.admit.admit(bytes, place).await {
            Ok(()) => Outcome::Taken,
            Err(Refusal { reason, retry_after }) => {
                if let Some(unsaid) = self.refusals.speak(Instant::now()) {
                    warn!(reason = reason.label(), unsaid, "a webhook was put off with 503");
                }
                Outcome::Refused(reason, retry_after)
            }
        }
    }

    /// Whether the signature is right; `None` if nobody could look. Large bodies are looked at on
    /// another thread: who has no secret can send them, too, and the other senders shall not wait.
    async fn verify(&self, body: &Bytes, signature: Signature) -> Option<bool> {
        if body.len() <= INLINE_BYTES {
            return Some(self.credentials().verify(body, &signature));
        }
        let (credentials, body) = (self.credentials().clone(), body.clone());
        tokio::task::spawn_blocking(move || credentials.verify(&body, &signature)).await.ok()
    }

    /// `outcome`, or 429 once the address has had too many of its kind.
    fn charge(&self, peer: &Peer, outcome: Outcome) -> Outcome {
        let charged = self.unsigned.charge(&peer.network());
        self.metrics.addresses_remembered.set(i64::try_from(self.unsigned.remembered()).unwrap_or(i64::MAX));
        charged.map_or_else(Outcome::OverRate, |()| outcome)
    }

    fn busy(&self) -> Outcome {
        Outcome::Refused(Reason::Busy, self.limits.busy_retry)
    }

    fn place(&self, share: Share) -> Option<Place> {
        let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok()?;
        Some(Place::new(share, permit, self.metrics.requests_in_flight.clone()))
    }

    fn credentials(&self) -> RwLockReadGuard<'_, Credentials> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves `webhook` on `listener` until `stop`, then drains: the answers still owed go out, and
/// what was handed to [`Admit`] ends, within [`ConnectionLimits::drain_time`] altogether.
pub async fn serve_webhooks<A: Admit>(
    listener: TcpListener,
    transport: Transport,
    limits: ConnectionLimits,
    webhook: Arc<Webhook<A>>,
    stop: impl Future<Output = ()>,
) -> Drained {
    let metrics = webhook.metrics.listener(LISTENER);
    let drain_time = limits.drain_time;
    let service = {
        let webhook = Arc::clone(&webhook);
        move |peer: Peer, request| {
            let webhook = Arc::clone(&webhook);
            async move { webhook.answer(&peer, request).await }
        }
    };
    let drained = serve(listener, transport, limits, metrics, service, stop).await;
    let left = drain_time.saturating_sub(drained.took).max(Duration::from_millis(1));
    if timeout(left, webhook.settled()).await.is_err() {
        warn!("stopped while webhooks were being stored; they had no answer, so Meta sends them again");
    }
    drained
}

/// The name of the public listener in metrics.
pub const LISTENER: &str = "webhook";
