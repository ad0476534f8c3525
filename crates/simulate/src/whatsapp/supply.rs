//! What a connection has to send.

use hyper::header::HeaderValue;
use model::signature::hub::AppSecret;

use super::payload::{Body, Payloads};

/// A webhook ready to go.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Its body and what it holds.
    pub body: Body,
    /// `X-Hub-Signature-256`.
    pub signature: HeaderValue,
}

impl Signed {
    /// Signs `body`.
    #[must_use]
    pub fn new(body: Body, secret: &AppSecret) -> Self {
        let signature =
            HeaderValue::try_from(secret.sign(&body.bytes)).expect("hexadecimal digits make a header value");
        Self { body, signature }
    }
}

/// What one connection sends, in order.
pub struct Supply(pub(crate) Box<dyn Iterator<Item = Signed> + Send>);

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
        Self(Box::new(webhooks.into_iter()))
    }
}

impl std::fmt::Debug for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Supply(..)")
    }
}
