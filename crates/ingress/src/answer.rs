//! The answers of the public side: the one place where an outcome becomes HTTP.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode, Version};

use crate::admit::Reason;

/// What became of a request to the public side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Durable.
    Taken,
    /// A right handshake, with its challenge.
    Welcome(Vec<u8>),
    /// A handshake with a wrong token or mode.
    Forbidden,
    /// A handshake that can't be answered.
    BadHandshake,
    /// No signature, or none of the right shape.
    Unsigned,
    /// A signature that isn't Meta's.
    WronglySigned,
    /// Too many of the three above from this address.
    OverRate(Duration),
    /// More bytes than allowed.
    TooLarge,
    /// The body didn't come in time.
    TooSlow,
    /// The body broke off or isn't HTTP.
    BrokenBody,
    /// Right, and can't be taken now.
    Refused(Reason, Duration),
    /// Another path.
    NotFound,
    /// Another method.
    MethodNotAllowed,
}

impl Outcome {
    /// The word in `wagate_webhooks_total{result}`.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Taken => "accepted",
            Self::Welcome(_) => "handshake",
            Self::Forbidden => "forbidden",
            Self::BadHandshake => "bad_handshake",
            Self::Unsigned => "unsigned",
            Self::WronglySigned => "wrong_signature",
            Self::OverRate(_) => "over_rate",
            Self::TooLarge => "too_large",
            Self::TooSlow => "timeout",
            Self::BrokenBody => "broken_body",
            Self::Refused(reason, _) => reason.label(),
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "bad_method",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Taken | Self::Welcome(_) => StatusCode::OK,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::BadHandshake | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::Unsigned | Self::WronglySigned => StatusCode::UNAUTHORIZED,
            Self::OverRate(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Refused(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// The answer, for a request of `version`. Says nothing of software or version, and no more
    /// than the sender needs.
    pub(crate) fn into_response(self, version: Version) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut headers = hyper::HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Self::OverRate(wait) | Self::Refused(_, wait) = &self {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
        }
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        // The rest of such a body can't be told from a next request. HTTP/2 knows no such header.
        if matches!(self, Self::TooSlow | Self::BrokenBody) && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let body = if let Self::Welcome(challenge) = self {
            Bytes::from(challenge)
        } else {
            Bytes::from_static(status.canonical_reason().unwrap_or_default().as_bytes())
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Rounded up, and at least one, so that nobody comes back too early or at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (ms, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (30_000, 30)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds);
        }
    }

    #[test]
    fn only_http_1_is_told_to_close() {
        for (version, close) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let response = Outcome::TooSlow.into_response(version);
            assert_eq!(response.headers().contains_key(CONNECTION), close);
        }
    }
}
