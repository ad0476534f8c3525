//! Checks a delivery as the contract has it, before its records are read.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use model::signature::standard_webhooks::SigningSecret;
use serde_json::value::RawValue;

use super::observed::Wrong;

/// How far a timestamp may be from now, as Standard Webhooks recommends.
pub const TIMESTAMP_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What a delivery is measured by.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    /// Any of them may have signed; with none, signatures aren't looked at.
    pub(crate) secrets: Vec<SigningSecret>,
    /// `None` takes any timestamp.
    pub(crate) tolerance: Option<Duration>,
}

/// A delivery that isn't taken: what is wrong, and the status that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) wrong: Wrong,
    pub(crate) detail: &'static str,
}

/// A delivery that is what it says.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// `webhook-id`; of a single record that record's id.
    pub(crate) webhook_id: &'a str,
    pub(crate) is_batch: bool,
    /// The records, one or several, each as JSON.
    pub(crate) records: Vec<&'a str>,
}

impl Checks {
    /// `now_s` is in seconds since 1970.
    pub(crate) fn check<'a>(
        &self,
        headers: &'a HeaderMap,
        body: &'a [u8],
        now_s: i64,
    ) -> Result<Delivery<'a>, Refusal> {
        let refuse = |status, wrong, detail| Err(Refusal { status, wrong, detail });
        let text = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().ok()?;
            (values.next().is_none() && !value.is_empty()).then_some(value)
        };
        let content_type =
            text(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).map(str::trim);
        let is_batch = match content_type {
            Some("application/cloudevents+json") => false,
            Some("application/cloudevents-batch+json") => true,
            _ => {
                return refuse(415, Wrong::ContentType, "the content type is none of the two of CloudEvents");
            }
        };
        let Some(webhook_id) = text("webhook-id") else {
            return refuse(400, Wrong::Header, "webhook-id is missing or not to be read");
        };
        if text("idempotency-key").is_none() {
            return refuse(400, Wrong::Header, "idempotency-key is missing or not to be read");
        }
        if !self.secrets.is_empty() {
            let timestamp = text("webhook-timestamp").and_then(|seconds| seconds.parse::<i64>().ok());
            let Some(timestamp) = timestamp else {
                return refuse(400, Wrong::Header, "webhook-timestamp is missing or not to be read");
            };
            let Some(signature) = text("webhook-signature") else {
                return refuse(400, Wrong::Header, "webhook-signature is missing or not to be read");
            };
            let signed =
                self.secrets.iter().any(|secret| secret.verify(webhook_id, timestamp, body, signature));
            if !signed {
                return refuse(
                    401,
                    Wrong::Signature,
                    "webhook-signature is of another secret or other bytes",
                );
            }
            if self.tolerance.is_some_and(|tolerance| now_s.abs_diff(timestamp) > tolerance.as_secs()) {
                return refuse(401, Wrong::Timestamp, "webhook-timestamp is too far from now");
            }
        }
        let Ok(json) = std::str::from_utf8(body) else {
            return refuse(400, Wrong::Malformed, "the body is not UTF-8");
        };
        let records = if is_batch {
            match serde_json::from_str::<Vec<&RawValue>>(json) {
                Ok(records) if !records.is_empty() => records.into_iter().map(RawValue::get).collect(),
                _ => return refuse(400, Wrong::Malformed, "the batch is no list of records, or empty"),
            }
        } else {
            vec![json]
        };
        Ok(Delivery { webhook_id, is_batch, records })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_795_214_595;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    fn checks() -> Checks {
        Checks { secrets: vec![secret("old"), secret("new")], tolerance: Some(TIMESTAMP_TOLERANCE) }
    }

    /// The headers of a right delivery of `body`, with some replaced; `None` leaves one out.
    fn headers(body: &[u8], changed: &[(&'static str, Option<&str>)]) -> HeaderMap {
        let signature = secret("new").sign("id-1", NOW, body);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/cloudevents+json"),
            ("webhook-id", "id-1"),
            ("webhook-timestamp", &NOW.to_string()),
            ("webhook-signature", &signature),
            ("idempotency-key", "id-1"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        for (name, value) in changed {
            match value {
                Some(value) => {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
                }
                None => headers.remove(*name),
            };
        }
        headers
    }

    #[test]
    fn a_right_delivery_passes_with_either_secret() {
        let headers = headers(b"{}", &[]);
        let delivery = checks().check(&headers, b"{}", NOW + 300).unwrap();
        assert_eq!((delivery.webhook_id, delivery.is_batch, delivery.records), ("id-1", false, vec!["{}"]));
        let old = secret("old").sign("id-1", NOW, b"{}");
        let old = self::headers(b"{}", &[("webhook-signature", Some(&old))]);
        assert!(checks().check(&old, b"{}", NOW).is_ok());
    }

    #[test]
    fn each_wrong_delivery_is_told_from_the_others() {
        let other = secret("other").sign("id-1", NOW, b"{}");
        for (changed, wrong, status) in [
            (("content-type", Some("application/json")), Wrong::ContentType, 415),
            (("content-type", None), Wrong::ContentType, 415),
            (("webhook-id", None), Wrong::Header, 400),
            (("webhook-id", Some("")), Wrong::Header, 400),
            (("webhook-id", Some("id-2")), Wrong::Signature, 401),
            (("idempotency-key", None), Wrong::Header, 400),
            (("webhook-timestamp", None), Wrong::Header, 400),
            (("webhook-timestamp", Some("soon")), Wrong::Header, 400),
            (("webhook-timestamp", Some("1795214596")), Wrong::Signature, 401),
            (("webhook-signature", None), Wrong::Header, 400),
            (("webhook-signature", Some("v1,AAAA")), Wrong::Signature, 401),
            (("webhook-signature", Some(&other)), Wrong::Signature, 401),
            (("content-type", Some("application/cloudevents-batch+json")), Wrong::Malformed, 400),
        ] {
            let headers = headers(b"{}", &[changed]);
            let refusal = checks().check(&headers, b"{}", NOW).unwrap_err();
            assert_eq!((refusal.wrong, refusal.status), (wrong, status), "{changed:?}");
        }
        let right = headers(b"{}", &[]);
        assert_eq!(checks().check(&right, b"{ }", NOW).unwrap_err().wrong, Wrong::Signature);
        for now in [NOW - 301, NOW + 301] {
            assert_eq!(checks().check(&right, b"{}", now).unwrap_err().wrong, Wrong::Timestamp);
            let any_time = Checks { tolerance: None, ..checks() };
            assert!(any_time.check(&right, b"{}", now).is_ok());
        }
        let not_text = headers(b"\xff", &[]);
        assert_eq!(checks().check(&not_text, b"\xff", NOW).unwrap_err().wrong, Wrong::Malformed);
    }

    #[test]
    fn unsigned_deliveries_are_taken_only_without_secrets() {
        let unsigned = headers(
            b"[1, {\"a\": 2}]",
            &[
                ("content-type", Some("application/cloudevents-batch+json; charset=utf-8")),
                ("webhook-signature", None),
                ("webhook-timestamp", None),
            ],
        );
        let open = Checks { secrets: Vec::new(), tolerance: None };
        let delivery = open.check(&unsigned, b"[1, {\"a\": 2}]", NOW).unwrap();
        assert_eq!((delivery.is_batch, delivery.records), (true, vec!["1", "{\"a\": 2}"]));
        assert!(checks().check(&unsigned, b"[1, {\"a\": 2}]", NOW).is_err());
    }
}
