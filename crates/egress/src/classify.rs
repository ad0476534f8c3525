//! What an answer of the CRM means (contract, section 5).

use std::time::{Duration, SystemTime};

use policy::delivery::{Failure, Verdict};

/// An answer, or the want of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A status code came.
    Status {
        /// The code.
        code: u16,
        /// The `Retry-After` header: seconds, or an HTTP date.
        retry_after: Option<&'a str>,
        /// The `Date` header. A `Retry-After` date is measured against it, since the box's own
        /// clock may be wrong by years.
        date: Option<&'a str>,
    },
    /// No connection: nothing was sent.
    NotSent,
    /// Something was sent, and no status code came.
    Unknown,
}

/// Says what an answer means. `now` is the box's wall clock, used only where the answer has a
/// `Retry-After` date and no `Date`.
#[must_use]
pub fn classify(answer: &Answer<'_>, now: SystemTime) -> Verdict {
    let (code, retry_after, date) = match *answer {
        Answer::Status { code, retry_after, date } => (code, retry_after, date),
        Answer::NotSent => return Verdict::Retry { failure: Failure::NotSent, retry_after: None },
        Answer::Unknown => return Verdict::Retry { failure: Failure::Unknown, retry_after: None },
    };
    let retry = |failure| Verdict::Retry { failure, retry_after: wait(retry_after, date, now) };
    match code {
        200..=299 | 409 => Verdict::Accepted,
        408 | 425 | 429 => retry(Failure::Busy),
        401 | 403 => Verdict::Unauthorized,
        300..=499 => Verdict::Refused,
        // 5xx, and what is no final status code at all: a server that is out of order.
        _ => retry(Failure::Server),
    }
}

/// How long a `Retry-After` asks to wait, by the clock that wrote it where that told its `date`.
pub(crate) fn wait(retry_after: Option<&str>, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let text = retry_after?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Answer<'static> {
        Answer::Status { code, retry_after: None, date: None }
    }

    fn retry(failure: Failure) -> Verdict {
        Verdict::Retry { failure, retry_after: None }
    }

    #[test]
    fn every_answer_has_its_meaning() {
        let now = SystemTime::UNIX_EPOCH;
        let table: &[(&[u16], Verdict)] = &[
            (&[200, 201, 202, 204, 207, 226, 299, 409], Verdict::Accepted),
            (&[408, 425, 429], retry(Failure::Busy)),
            (&[500, 501, 502, 503, 504, 507, 529, 599], retry(Failure::Server)),
            (&[100, 101, 199, 600, 999], retry(Failure::Server)),
            (&[401, 403], Verdict::Unauthorized),
            (&[300, 301, 302, 303, 304, 307, 308, 399], Verdict::Refused),
            (
                &[400, 402, 404, 405, 406, 407, 410, 411, 412, 413, 415, 422, 426, 431, 451, 499],
                Verdict::Refused,
            ),
        ];
        for (codes, verdict) in table {
            for code in *codes {
                assert_eq!(classify(&status(*code), now), *verdict, "{code}");
            }
        }
        assert_eq!(classify(&Answer::NotSent, now), retry(Failure::NotSent));
        assert_eq!(classify(&Answer::Unknown, now), retry(Failure::Unknown));
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_nonsense_is_none() {
        // 1994-11-06T08:49:37Z, the example of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let late = Some("Sun, 06 Nov 1994 08:49:27 GMT");
        let table = [
            ("0", None, Some(0)),
            ("120", None, Some(120)),
            (" 7 ", None, Some(7)),
            ("99999999999999999999", None, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None, Some(60)),
            ("Sun Nov  6 08:49:37 1994", None, Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", late, Some(10)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some("no date"), Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None, Some(0)),
            ("", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("soon", None, None),
        ];
        for (text, date, seconds) in table {
            let answer = Answer::Status { code: 503, retry_after: Some(text), date };
            let retry_after = seconds.map(Duration::from_secs);
            let expected = Verdict::Retry { failure: Failure::Server, retry_after };
            assert_eq!(classify(&answer, now), expected, "{text:?}");
        }
    }
}
