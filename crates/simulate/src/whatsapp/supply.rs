//! What a connection has to send.

use std::sync::Arc;

use hyper::header::HeaderValue;
use model::signature::hub::AppSecret;
use tokio::sync::{Notify, mpsc};

use super::payload::{Body, Payloads};

/// A webhook ready to go.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Its body and what it holds.
    pub body: Body,
    /// `X-Hub-Signature-256`.
    pub signature: HeaderValue,
    /// The number that it is about, where it is another one than the sender's.
    pub(crate) number: Option<Arc<str>>,
    /// Who waits for its acknowledgement.
    pub(crate) waited_for: Vec<Arc<Notify>>,
}

impl Signed {
    /// Signs `body`.
    #[must_use]
    pub fn new(body: Body, secret: &AppSecret) -> Self {
        let signature =
            HeaderValue::try_from(secret.sign(&body.bytes)).expect("hexadecimal digits make a header value");
        Self { body, signature, number: None, waited_for: Vec::new() }
    }
}

/// What one connection sends, in order.
pub struct Supply(Source);

enum Source {
    Made(Box<dyn Iterator<Item = Signed> + Send>),
    Arriving(mpsc::Receiver<Signed>),
}

impl Supply {
    /// Generates and signs on the way.
    #[must_use]
    pub fn live(payloads: Payloads, secret: AppSecret) -> Self {
        Self::from_iter(payloads.map(move |body| Signed::new(body, &secret)))
    }

    /// The same, `count` in all.
    #[must_use]
    pub fn limited(payloads: Payloads, secret: AppSecret, count: usize) -> Self {
        Self::from_iter(payloads.take(count).map(move |body| Signed::new(body, &secret)))
    }

    /// The same, generated and signed beforehand: for measurements, about 1.2 KiB of memory each.
    #[must_use]
    pub fn prepared(payloads: Payloads, secret: &AppSecret, count: usize) -> Self {
        let ready: Vec<Signed> = payloads.take(count).map(|body| Signed::new(body, secret)).collect();
        Self::from_iter(ready)
    }

    /// Any webhooks.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the trait cannot ask for Send and 'static")]
    pub fn from_iter<I>(webhooks: I) -> Self
    where
        I: IntoIterator<Item = Signed>,
        I::IntoIter: Send + 'static,
    {
        Self(Source::Made(Box::new(webhooks.into_iter())))
    }

    /// Webhooks as they come, until the other end is gone.
    #[must_use]
    pub const fn arriving(webhooks: mpsc::Receiver<Signed>) -> Self {
        Self(Source::Arriving(webhooks))
    }

    /// Whether the next one is at hand without waiting.
    pub(crate) const fn is_made(&self) -> bool {
        matches!(self.0, Source::Made(_))
    }

    /// The next one; loses nothing when it's dropped.
    pub(crate) async fn next(&mut self) -> Option<Signed> {
        match &mut self.0 {
            Source::Made(webhooks) => webhooks.next(),
            Source::Arriving(webhooks) => webhooks.recv().await,
        }
    }
}

impl std::fmt::Debug for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Supply(..)")
    }
}
