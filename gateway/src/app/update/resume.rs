//! What the answer to a request for a bundle, or for the rest of it, comes to (RFC 9110, sections 13 and 14).
//!
//! What has come is part of a file only as long as the file is the same: its validator says so. A server that has
//! none, or only a weak one, is asked for the whole file anew.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{self, HeaderMap, HeaderName};

/// The first wait after a failure; each in a row doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A server that names a time to wait is believed up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A file that was changed less than this before the answer may have been changed twice in that second (RFC 9110,
/// 8.8.2.2, whose older edition says a minute).
const SETTLED_SECONDS: i64 = 60;

/// What has come of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Got {
    /// Bytes from its beginning.
    pub(super) have: u64,
    /// What tells it from other files: a strong ETag, or a time that it was last changed at.
    pub(super) validator: Option<String>,
    /// Its length, where that is known.
    pub(super) total: Option<u64>,
}

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// As [`Got::validator`].
    pub(super) validator: Option<String>,
    /// Bytes of its body.
    pub(super) length: Option<u64>,
    /// Where the body begins in the file, and the file's length.
    pub(super) range: Option<(u64, Option<u64>)>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The body is the file from where it was left, behind so many bytes that are known.
    Take { skip: u64, got: Got },
    /// Everything is there.
    Complete,
    /// It is another file, or can't be told from one: begin with the first byte.
    Anew,
    /// It is somewhere else.
    Redirect(String),
    /// Not now.
    Later { why: String, retry_after: Option<Duration> },
    /// Never.
    Never(String),
}

impl Head {
    pub(super) fn read(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let etag = text(header::ETAG).filter(|etag| etag.starts_with('"'));
        let changed = text(header::LAST_MODIFIED)
            .filter(|changed| text(header::DATE).is_some_and(|date| is_settled(changed, date)));
        Self {
            status,
            validator: etag.or(changed).map(str::to_owned),
            length: text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            range: text(header::CONTENT_RANGE).and_then(range),
            location: text(header::LOCATION).map(str::to_owned),
            retry_after: text(header::RETRY_AFTER)
                .and_then(|text| text.parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
        }
    }
}

fn is_settled(changed: &str, date: &str) -> bool {
    let second = |text| DateTimeParser::new().parse_timestamp(text).ok().map(jiff::Timestamp::as_second);
    matches!((second(changed), second(date)), (Some(changed), Some(date)) if date - changed >= SETTLED_SECONDS)
}

/// `bytes 100-199/200`, or `*` where the length isn't known.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (place, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = place.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (end >= start && total.is_none_or(|total| end < total)).then_some((start, total))
}

/// Whether the rest may be asked for: without a validator nobody can say whether it is the same file's.
pub(super) const fn may_resume(got: &Got) -> bool {
    got.have > 0 && got.validator.is_some()
}

/// What `head`, the answer to a request for what is missing of `got`, comes to.
pub(super) fn judge(got: &Got, head: &Head) -> Next {
    let same = got.validator.is_some() && head.validator == got.validator;
    match head.status {
        200 if got.have == 0 => {
            let got = Got { have: 0, validator: head.validator.clone(), total: head.length };
            Next::Take { skip: 0, got }
        }
        // A server that knows no ranges; what is known is passed over.
        200 if same && head.length.is_some() && head.length == got.total => {
            Next::Take { skip: got.have, got: got.clone() }
        }
        200 => Next::Anew,
        206 => match head.range {
            // The validator may be left out of a 206, whose If-Range has just been found right.
            Some((start, total))
                if start == got.have
                    && start > 0
                    && (same || head.validator.is_none())
                    && (total.is_none() || got.total.is_none() || total == got.total) =>
            {
                Next::Take { skip: 0, got: Got { total: total.or(got.total), ..got.clone() } }
            }
            _ => Next::Anew,
        },
        416 if got.have > 0 && got.total == Some(got.have) => Next::Complete,
        416 if got.have > 0 => Next::Anew,
        301 | 302 | 303 | 307 | 308 => match &head.location {
            Some(location) => Next::Redirect(location.clone()),
            None => Next::Never("the server points elsewhere and doesn't say where".to_owned()),
        },
        408 | 425 | 429 | 500..=599 => {
            Next::Later { why: format!("the server answers {}", head.status), retry_after: head.retry_after }
        }
        status => Next::Never(format!("the server answers {status}: look at the address")),
    }
}

/// How long to wait after `failures` in a row; `chance` spreads the boxes of a fleet.
pub(super) fn wait(failures: u32, retry_after: Option<Duration>, chance: u16) -> Duration {
    let full = WAIT_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(WAIT_MAX);
    let jitter = full.mul_f64(f64::from(chance) / f64::from(u16::MAX) / 2.0);
    retry_after.unwrap_or(full / 2).max(full / 2) + jitter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), header::HeaderValue::from_static(value)))
            .collect()
    }

    fn head(status: u16, list: &[(&'static str, &'static str)]) -> Head {
        Head::read(status, &headers(list))
    }

    fn half() -> Got {
        Got { have: 100, validator: Some("\"v1\"".to_owned()), total: Some(200) }
    }

    #[test]
    fn only_what_tells_one_file_from_another_is_a_validator() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (list, expected) in [
            (vec![("etag", "\"v1\"")], Some("\"v1\"")),
            (vec![("etag", "W/\"v1\"")], None),
            (
                vec![("last-modified", "Sun, 06 Nov 1994 08:48:37 GMT"), date],
                Some("Sun, 06 Nov 1994 08:48:37 GMT"),
            ),
            (vec![("last-modified", "Sun, 06 Nov 1994 08:48:38 GMT"), date], None),
            (vec![("last-modified", "Sun, 06 Nov 1994 08:48:37 GMT")], None),
            (vec![("last-modified", "yesterday"), date], None),
        ] {
            assert_eq!(head(200, &list).validator.as_deref(), expected, "{list:?}");
        }
    }

    #[test]
    fn the_rest_is_taken_only_of_the_same_file() {
        let rest = |range, etag| head(206, &[("content-range", range), ("etag", etag)]);
        assert_eq!(judge(&half(), &rest("bytes 100-199/200", "\"v1\"")), Next::Take { skip: 0, got: half() });
        assert_eq!(
            judge(&half(), &head(206, &[("content-range", "bytes 100-199/*")])),
            Next::Take { skip: 0, got: half() }
        );
        for other in [
            rest("bytes 100-199/200", "\"v2\""),
            rest("bytes 99-199/200", "\"v1\""),
            rest("bytes 100-200/201", "\"v1\""),
            rest("bytes 100-99/200", "\"v1\""),
            head(206, &[]),
            head(200, &[("etag", "\"v2\""), ("content-length", "200")]),
            head(200, &[("content-length", "200")]),
            head(416, &[("content-range", "bytes */90")]),
        ] {
            assert_eq!(judge(&half(), &other), Next::Anew, "{other:?}");
        }
        // A server without ranges that still has the same file.
        let whole = head(200, &[("etag", "\"v1\""), ("content-length", "200")]);
        assert_eq!(judge(&half(), &whole), Next::Take { skip: 100, got: half() });
        let all = Got { have: 200, ..half() };
        assert_eq!(judge(&all, &head(416, &[])), Next::Complete);
        assert!(!may_resume(&Got { validator: None, ..half() }) && may_resume(&half()));
    }

    #[test]
    fn what_may_pass_is_waited_for_and_what_will_not_isnt() {
        for status in [408, 425, 429, 500, 503] {
            let later = judge(&Got::default(), &head(status, &[("retry-after", "7")]));
            let Next::Later { retry_after, .. } = later else { panic!("{status}: {later:?}") };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        for status in [204, 206, 304, 401, 403, 404, 410] {
            assert!(
                !matches!(judge(&Got::default(), &head(status, &[])), Next::Later { .. } | Next::Take { .. }),
                "{status}"
            );
        }
        let moved = head(302, &[("location", "/b")]);
        assert_eq!(judge(&half(), &moved), Next::Redirect("/b".to_owned()));
        assert!(matches!(judge(&half(), &head(302, &[])), Next::Never(_)));
    }

    #[test]
    fn waits_double_to_a_minute_and_boxes_are_spread() {
        assert_eq!(wait(1, None, 0), Duration::from_millis(500));
        assert_eq!(wait(1, None, u16::MAX), Duration::from_secs(1));
        assert_eq!(wait(3, None, u16::MAX), Duration::from_secs(4));
        assert_eq!(wait(u32::MAX, None, u16::MAX), WAIT_MAX);
        assert_eq!(wait(1, Some(Duration::from_secs(20)), 0), Duration::from_secs(20));
        let far = head(503, &[("retry-after", "999999")]);
        assert_eq!(far.retry_after, Some(RETRY_AFTER_MAX));
    }
}
