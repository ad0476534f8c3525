//! The two signatures that travel with bodies: Meta's on webhooks, Standard Webhooks' to the CRM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Meta's signature over the raw body of a webhook: HMAC-SHA256 under the app secret.
pub mod hub {
    use super::hmac;

    /// The header that carries it.
    pub const HEADER: &str = "x-hub-signature-256";
    const PREFIX: &str = "sha256=";

    /// An app secret, ready for use. Prints nothing of itself.
    #[derive(Clone)]
    pub struct AppSecret(hmac::Key);

    impl std::fmt::Debug for AppSecret {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("AppSecret(..)")
        }
    }

    impl AppSecret {
        /// Takes the secret as Meta's dashboard shows it.
        #[must_use]
        pub fn new(secret: &[u8]) -> Self {
            Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
        }

        /// The header's value for `body`.
        #[must_use]
        pub fn sign(&self, body: &[u8]) -> String {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let tag = hmac::sign(&self.0, body);
            let digits = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits = digits.map(|digit| char::from(DIGITS[usize::from(digit)]));
            PREFIX.chars().chain(digits).collect()
        }

        /// Whether `signature` was made over `body` with this secret, in constant time.
        #[must_use]
        pub fn verify(&self, body: &[u8], signature: &Signature) -> bool {
            hmac::verify(&self.0, body, &signature.0).is_ok()
        }
    }

    /// A signature header of the right shape; says nothing yet about its truth.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Signature([u8; 32]);

    impl Signature {
        /// Reads `sha256=` and 64 hexadecimal digits; `None` for anything else.
        #[must_use]
        pub fn parse(header: &[u8]) -> Option<Self> {
            let digits = header.strip_prefix(PREFIX.as_bytes())?;
            if digits.len() != 64 {
                return None;
            }
            let mut bytes = [0; 32];
            for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
            }
            Some(Self(bytes))
        }
    }

    const fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        }
    }
}

/// The signature of <https://www.standardwebhooks.com>: HMAC-SHA256 over `id.timestamp.body`.
pub mod standard_webhooks {
    use super::{Engine, STANDARD, hmac};

    /// Leads a signature of this kind.
    const VERSION: &str = "v1,";

    /// Characters of the longest `i64`, its sign included.
    const DECIMAL_MAX: usize = 20;

    /// The decimal form of `number`, written to the end of `buffer`.
    fn decimal(number: i64, buffer: &mut [u8; DECIMAL_MAX]) -> &[u8] {
        let mut left = number.unsigned_abs();
        let mut start = buffer.len();
        loop {
            start -= 1;
            // One digit.
            buffer[start] = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            buffer[start] = b'-';
        }
        &buffer[start..]
    }

    #[cfg(test)]
    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, -1, -10, 1_614_265_330, i64::MAX, i64::MIN] {
            assert_eq!(decimal(number, &mut [0; DECIMAL_MAX]), number.to_string().as_bytes());
        }
    }

    /// A signing secret. Prints nothing of itself.
    #[derive(Clone)]
    pub struct SigningSecret(hmac::Key);

    impl std::fmt::Debug for SigningSecret {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("SigningSecret(..)")
        }
    }

    impl SigningSecret {
        /// Takes `whsec_` and base 64, or plain text: its bytes are the key.
        ///
        /// # Errors
        /// When what follows `whsec_` is no base 64.
        pub fn parse(text: &str) -> Result<Self, NotBase64> {
            let key = match text.strip_prefix("whsec_") {
                Some(encoded) => STANDARD.decode(encoded).map_err(|_| NotBase64)?,
                None => text.as_bytes().to_vec(),
            };
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
        }

        /// One signature, `v1,` and base 64. `timestamp` is in seconds since 1970.
        #[must_use]
        pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
            // 32 bytes are 44 characters.
            let mut signature = String::with_capacity(VERSION.len() + 44);
            signature.push_str(VERSION);
            STANDARD.encode_string(self.tag(id, timestamp, body), &mut signature);
            signature
        }

        /// Whether one of the signatures in `header` (separated by spaces) is ours.
        #[must_use]
        pub fn verify(&self, id: &str, timestamp: i64, body: &[u8], header: &str) -> bool {
            let tag = self.tag(id, timestamp, body);
            header.split(' ').filter_map(|part| part.strip_prefix(VERSION)).any(|encoded| {
                STANDARD.decode(encoded).is_ok_and(|given| {
                    bool::from(subtle::ConstantTimeEq::ct_eq(tag.as_ref(), given.as_slice()))
                })
            })
        }

        fn tag(&self, id: &str, timestamp: i64, body: &[u8]) -> hmac::Tag {
            let mut context = hmac::Context::with_key(&self.0);
            context.update(id.as_bytes());
            let mut buffer = [0; DECIMAL_MAX];
            context.update(b".");
            context.update(decimal(timestamp, &mut buffer));
            context.update(b".");
            context.update(body);
            context.sign()
        }
    }

    /// What follows `whsec_` in a signing secret isn't base 64.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    #[error("what follows \"whsec_\" is not base 64")]
    pub struct NotBase64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metas_test_vectors_hold() {
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        for (secret, body, digits) in [
            (
                "test_app_secret",
                body.as_slice(),
                "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
            ),
            (
                "test_app_secret",
                br#"{"object": "whatsapp_business_account", "entry": []}"#,
                "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
            ),
            ("otro_secreto", body, "769b03d8c2ae6498f2d1e1f7299c0ba55448c69d741e7b0bb243d852d8a8d8c7"),
        ] {
            let secret = hub::AppSecret::new(secret.as_bytes());
            let header = format!("sha256={digits}");
            assert_eq!(secret.sign(body), header);
            let signature = hub::Signature::parse(header.as_bytes()).unwrap();
            assert!(secret.verify(body, &signature));
            assert!(!secret.verify(b"{}", &signature));
        }
    }

    #[test]
    fn a_signature_header_of_another_shape_is_none() {
        let digits = "0".repeat(64);
        for bad in [
            "",
            "sha256=",
            &digits,
            &format!("sha1={digits}"),
            &format!("sha256={digits}0"),
            &format!("sha256={}g", "0".repeat(63)),
        ] {
            assert_eq!(hub::Signature::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_standard_webhooks_example_holds() {
        // The example of the specification and its reference libraries.
        let secret =
            standard_webhooks::SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let header = format!("v1,AAAA {signature}");
        assert!(secret.verify(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
            &header
        ));
        assert!(!secret.verify(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_331,
            br#"{"test": 2432232314}"#,
            &header
        ));
    }
}
