//! What came of a call.

use std::time::{Duration, SystemTime};

use model::Outcome;
use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::throttle::Throttle;
use crate::classify;

const APP_USAGE: HeaderName = HeaderName::from_static("x-app-usage");
const BUSINESS_USAGE: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// What came of a call, and what else its answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called<T = Outcome> {
    /// What came of it.
    pub outcome: T,
    /// From the beginning of the call to the end of its answer, or to its failure.
    pub latency: Duration,
    /// The answer's `Date`, in milliseconds since 1970; only over TLS, where it is the word of
    /// whoever holds the certificate.
    pub date_ms: Option<i64>,
    /// How near the limits of calls are; `None` where the answer doesn't say.
    pub throttle: Option<Throttle>,
    /// The answer's status; `None` without an answer.
    pub status: Option<u16>,
    /// A connection was tried, or one that was kept was used. Without that the call failed for the box's own
    /// reasons, and says nothing of the endpoint.
    pub dialled: bool,
}

impl<T> Called<T> {
    /// A call that was never dialled.
    pub(super) const fn undialled(outcome: T) -> Self {
        Self { outcome, latency: Duration::ZERO, date_ms: None, throttle: None, status: None, dialled: false }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Called<U> {
        Called {
            outcome: change(self.outcome),
            latency: self.latency,
            date_ms: self.date_ms,
            throttle: self.throttle,
            status: self.status,
            dialled: self.dialled,
        }
    }
}

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) date_ms: Option<i64>,
    pub(super) throttle: Option<Throttle>,
    pub(super) retry_after_ms: Option<u64>,
}

impl Head {
    pub(super) fn of(answer: &Response) -> Self {
        let https = answer.url().scheme() == "https";
        Self::read(answer.status().as_u16(), answer.headers(), https, SystemTime::now())
    }

    /// `now` is the box's clock, for a `Retry-After` date that comes without a `Date`.
    fn read(status: u16, headers: &HeaderMap, https: bool, now: SystemTime) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let bytes = |name| headers.get(name).map(HeaderValue::as_bytes);
        let throttle = Throttle::read(bytes(APP_USAGE), bytes(BUSINESS_USAGE));
        let wait = classify::wait(text(RETRY_AFTER), text(DATE), now);
        let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Self {
            status,
            date_ms: text(DATE).filter(|_| https).and_then(date_ms),
            throttle,
            retry_after_ms: wait.max(throttle.and_then(Throttle::regain_ms)),
        }
    }
}

fn date_ms(text: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(text).ok()?;
    i64::try_from(date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(HeaderName, &'static str)], https: bool) -> Head {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        Head::read(400, &headers, https, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_date_counts_over_tls_only() {
        let date = [(DATE, "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(read(&date, true).date_ms, Some(784_111_777_000));
        assert_eq!(read(&date, false).date_ms, None);
        assert_eq!(read(&[(DATE, "today")], true).date_ms, None);
        assert_eq!(read(&[], true).date_ms, None);
    }

    #[test]
    fn the_longest_wait_that_is_asked_for_counts() {
        let late = "Sun, 06 Nov 1994 08:50:37 GMT";
        let usage = r#"{"1":[{"estimated_time_to_regain_access":2}]}"#;
        for (headers, expected) in [
            (vec![], None),
            (vec![(RETRY_AFTER, "7")], Some(7_000)),
            (vec![(RETRY_AFTER, "7"), (BUSINESS_USAGE, usage)], Some(120_000)),
            (vec![(RETRY_AFTER, "700"), (BUSINESS_USAGE, usage)], Some(700_000)),
            (vec![(RETRY_AFTER, "99999999999999999999")], Some(u64::MAX)),
            (vec![(RETRY_AFTER, "soon")], None),
            // Measured by the other side's clock, whatever the box's says, and even without TLS.
            (vec![(RETRY_AFTER, late), (DATE, "Sun, 06 Nov 1994 08:49:37 GMT")], Some(60_000)),
        ] {
            assert_eq!(read(&headers, false).retry_after_ms, expected, "{headers:?}");
        }
    }
}
