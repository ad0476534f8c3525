//! The signature under a request.

use std::sync::{Arc, PoisonError, RwLock};

use model::signature::standard_webhooks::SigningSecret;

/// The signing secrets in force: none, one, or two while one is being rotated. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SigningSecrets(Arc<RwLock<Vec<SigningSecret>>>);

impl SigningSecrets {
    /// Starts with `secrets`; without any, requests are unsigned.
    #[must_use]
    pub fn new(secrets: Vec<SigningSecret>) -> Self {
        Self(Arc::new(RwLock::new(secrets)))
    }

    /// Puts other secrets in force, from the next request on.
    pub fn replace(&self, secrets: Vec<SigningSecret>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    /// Hands the signatures over `id`, `timestamp` (seconds since 1970) and `body` to `each`, one
    /// per secret, with its place from 0; `webhook-signature` holds them separated by spaces.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8], mut each: impl FnMut(usize, &str)) {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for (place, secret) in secrets.iter().enumerate() {
            each(place, &secret.sign(id, timestamp, body));
        }
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

    fn sign(secrets: &SigningSecrets, id: &str, timestamp: i64, body: &[u8]) -> Vec<String> {
        let mut signatures = Vec::new();
        secrets.sign(id, timestamp, body, |place, signature| {
            assert_eq!(place, signatures.len());
            signatures.push(signature.to_owned());
        });
        signatures
    }

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    #[test]
    fn the_documented_vectors_hold() {
        for vector in VECTORS {
            let secrets = SigningSecrets::new(vec![secret(vector.secret)]);
            let signatures = sign(&secrets, vector.id, vector.timestamp, vector.body);
            assert_eq!(signatures, [vector.signature], "{}", vector.id);
        }
    }

    #[test]
    fn while_a_secret_is_rotated_both_receivers_are_content() {
        let secrets = SigningSecrets::default();
        assert!(sign(&secrets, "a", 1, b"{}").is_empty());
        secrets.clone().replace(vec![secret("new"), secret("old")]);
        let signatures = sign(&secrets, "a", 1, b"{}");
        assert_eq!(signatures.len(), 2);
        let header = signatures.join(" ");
        for receiver in ["new", "old"] {
            assert!(secret(receiver).verify("a", 1, b"{}", &header));
        }
        assert!(!secret("other").verify("a", 1, b"{}", &header));
    }
}
