//! The head of an answer, and how much body follows it.

use httparse::{Header, Status};

use super::answer::Garbage;

/// Headers of one answer.
const HEADERS_MAX: usize = 64;

/// What the head of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) code: u16,
    /// Of answers that ask for a wait only, as the others have no use for it.
    pub(super) retry_after: Option<String>,
    /// The answer's own date, where there is a `Retry-After`.
    pub(super) date: Option<String>,
    pub(super) body: Body,
    /// The connection can carry another request once the body has been read.
    pub(super) keeps: bool,
}

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    /// It ends with the connection.
    ToTheEnd,
}

/// Reads the head at the beginning of `bytes`: what it says, and its length; `None` if there's more
/// to come. Interim answers (1xx but 101) are heads of their own, with no body.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, Garbage> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let length = match answer.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Garbage("the answer has too many headers")),
        Err(_) => return Err(Garbage("the answer is not HTTP")),
    };
    let code = answer.code.unwrap_or_default();
    let (body, keeps) = framing(code, answer.version == Some(1), answer.headers);
    let text = |name| value(answer.headers, name).and_then(|value| std::str::from_utf8(value).ok());
    let retry_after = text("retry-after").map(str::to_owned);
    let date = retry_after.as_ref().and_then(|_| text("date")).map(str::to_owned);
    Ok(Some((Head { code, retry_after, date, body, keeps }, length)))
}

/// RFC 9112, section 6.3, for an answer to POST.
fn framing(code: u16, new: bool, headers: &[Header<'_>]) -> (Body, bool) {
    let (mut length, mut coded, mut chunked) = (None, false, false);
    let mut unclear = false;
    let (mut closes, mut keeps_alive) = (false, false);
    for header in headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let this = number(header.value);
            unclear |= this.is_none() || length.is_some_and(|length| Some(length) != this);
            length = this.or(length);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            coded = true;
            chunked = words(header.value).last().is_some_and(|word| word.eq_ignore_ascii_case(b"chunked"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes |= words(header.value).any(|word| word.eq_ignore_ascii_case(b"close"));
            keeps_alive |= words(header.value).any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
        }
    }
    // Two ways to find the end, or a coding that HTTP/1.0 doesn't have: whoever sends that is
    // believed for this answer and not trusted with another.
    let sure = !(coded && (length.is_some() || !new));
    let keeps = !closes && (new || keeps_alive) && sure && code != 101;
    match code {
        // The status counts: who takes a record and miscounts what it says about it has the record.
        _ if unclear => (Body::Length(0), false),
        // A body that is announced where there is none may come all the same.
        100..=199 | 204 | 304 => (Body::Length(0), keeps && !coded && length.unwrap_or_default() == 0),
        _ if chunked && new => (Body::Chunked, keeps),
        _ if coded => (Body::ToTheEnd, false),
        _ => length.map_or((Body::ToTheEnd, false), |length| (Body::Length(length), keeps)),
    }
}

fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn words(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_body_and_of_the_connection_are_found_as_the_standard_says() {
        for (head, body, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Body::Length(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", Body::Length(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\n", Body::Length(5), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, close\r\n\r\n", Body::Length(5), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Body::Length(5), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", Body::Length(5), true),
            ("HTTP/1.1 200 OK\r\n\r\n", Body::ToTheEnd, false),
            ("HTTP/1.1 204 No Content\r\n\r\n", Body::Length(0), true),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Body::Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 100 Continue\r\n\r\n", Body::Length(0), true),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n", Body::Chunked, true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Body::ToTheEnd, false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                Body::Chunked,
                false,
            ),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Body::ToTheEnd, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\nContent-Length: 5\r\n\r\n", Body::Length(0), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Body::Length(0), false),
        ] {
            let (read, length) = read(head.as_bytes()).unwrap().unwrap();
            assert_eq!((read.body, read.keeps, length), (body, keeps, head.len()), "{head:?}");
        }
    }

    #[test]
    fn what_asks_for_a_wait_is_kept() {
        let head = b"HTTP/1.1 503 Busy\r\nDate: today\r\nRETRY-AFTER: 7\r\n\r\nbody";
        let (head, _) = read(head).unwrap().unwrap();
        assert_eq!(
            (head.code, head.retry_after.as_deref(), head.date.as_deref()),
            (503, Some("7"), Some("today"))
        );
        let (head, _) = read(b"HTTP/1.1 200 OK\r\nDate: today\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.date, None);
    }

    #[test]
    fn garbage_is_told_from_a_head_that_has_not_come_yet() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        for (bytes, garbage) in [
            ("", false),
            ("HTTP/1.1 200 O", false),
            ("HTTP/1.1 200 OK\r\nContent-Len", false),
            ("SSH-2.0-OpenSSH_9.2\r\n", true),
            ("HTTP/2.0 200 OK\r\n\r\n", true),
            ("HTTP/1.1 20x OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nno header\r\n\r\n", true),
            (&many, true),
        ] {
            let read = read(bytes.as_bytes());
            assert_eq!(read.is_err(), garbage, "{bytes:?}: {read:?}");
            assert!(read.is_err() || read == Ok(None), "{bytes:?}");
        }
    }
}
