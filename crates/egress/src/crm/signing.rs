//! The signature under a request.

use std::sync::{Arc, PoisonError, RwLock};

use model::signature::standard_webhooks::SigningSecret;

/// The signing secrets in force: none, one, or two while one is being rotated. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SigningSecrets(Arc<RwLock<Arc<[SigningSecret]>>>);

impl SigningSecrets {
    /// Starts with `secrets`; without any, requests are unsigned.
    #[must_use]
    pub fn new(secrets: Vec<SigningSecret>) -> Self {
        Self(Arc::new(RwLock::new(secrets.into())))
    }

    /// Puts other secrets in force, from the next request on.
    pub fn replace(&self, secrets: Vec<SigningSecret>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets.into();
    }

    /// The `webhook-signature` over `id`, `timestamp` (seconds since 1970) and `body`: one
    /// signature per secret, separated by spaces; `None` without a secret.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let secrets = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vector {
        secret: &'static str,
        id: &'static str,
        timestamp: i64,
        body: &'static [u8],
        signature: &'static str,
    }

    /// Vectors for whoever writes a receiver. The signature is HMAC-SHA256 in base 64 over
    /// `{id}.{timestamp}.{body}`; the key is what follows `whsec_`, decoded from base 64, or the
    /// bytes of a secret that doesn't begin so. They were computed with Python's `hmac`; the first
    /// is the example of the specification.
    const VECTORS: &[Vector] = &[
        Vector {
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: 1_614_265_330,
            body: br#"{"test": 2432232314}"#,
            signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        Vector {
            secret: "whsec_c2VjcmV0IG9mIHRoZSBzdG9yZQ==",
            id: "wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==",
            timestamp: 1_795_214_596,
            body: br#"{"specversion":"1.0","id":"wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ=="}"#,
            signature: "v1,cuuNtJgHkdL1FwuADZVVEaiH+Q02jrRjpTJyB/PL4Dk=",
        },
        Vector {
            secret: "secret of the store",
            id: "wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==",
            timestamp: 1_795_214_596,
            body: br#"{"specversion":"1.0","id":"wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ=="}"#,
            signature: "v1,cuuNtJgHkdL1FwuADZVVEaiH+Q02jrRjpTJyB/PL4Dk=",
        },
        Vector {
            secret: "secret of the store",
            id: "wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQQ==:delivered",
            timestamp: 1_795_214_597,
            body: "{\"text\":\"\u{4f60}\u{597d}\"}".as_bytes(),
            signature: "v1,us5P7jAfQ2uowsD8Cp1rjzmDuO4iRG8lD8bi3AiYtjc=",
        },
    ];

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    #[test]
    fn the_documented_vectors_hold() {
        for vector in VECTORS {
            let secrets = SigningSecrets::new(vec![secret(vector.secret)]);
            let signature = secrets.sign(vector.id, vector.timestamp, vector.body);
            assert_eq!(signature.as_deref(), Some(vector.signature), "{}", vector.id);
        }
    }

    #[test]
    fn while_a_secret_is_rotated_both_receivers_are_content() {
        let secrets = SigningSecrets::default();
        assert_eq!(secrets.sign("a", 1, b"{}"), None);
        secrets.clone().replace(vec![secret("new"), secret("old")]);
        let header = secrets.sign("a", 1, b"{}").unwrap();
        assert_eq!(header.split(' ').count(), 2);
        for receiver in ["new", "old"] {
            assert!(secret(receiver).verify("a", 1, b"{}", &header));
        }
        assert!(!secret("other").verify("a", 1, b"{}", &header));
    }
}
