//! An answer, put together from whatever portions it comes in. Pure.

use super::chunks::Chunks;
use super::head::{self, Body, Head};

/// Bytes of an answer's head, interim answers before it included.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// So much of a failure's body is kept as the reason of a dead letter.
const REASON_BYTES: usize = 500;
/// So much of a body is read, so that the connection can be used again; more isn't worth it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the other side sent is no answer; says what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Garbage(pub(super) &'static str);

/// A final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// The `Retry-After` header, and the `Date` that goes with it.
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
    /// The beginning of the body, unless the answer is 2xx.
    pub(crate) reason: Vec<u8>,
}

impl Answer {
    /// Whether it says that the CRM has what was sent.
    pub(super) const fn is_accepting(&self) -> bool {
        matches!(self.code, 200..=299 | 409)
    }
}

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    stage: Stage,
    /// Head bytes of earlier portions.
    begun: Vec<u8>,
    head_bytes: usize,
    body_bytes: usize,
    head: Option<Head>,
    reason: Vec<u8>,
    /// The body was cut short, or something followed it.
    spoilt: bool,
    /// Its body isn't wanted.
    brief: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Head,
    Length(u64),
    Chunked(Chunks),
    ToTheEnd,
    Over,
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self {
            stage: Stage::Head,
            begun: Vec::new(),
            head_bytes: 0,
            body_bytes: 0,
            head: None,
            reason: Vec::new(),
            spoilt: false,
            brief: false,
        }
    }

    /// One that has enough once it has the head.
    pub(super) fn of_the_head() -> Self {
        Self { brief: true, ..Self::new() }
    }

    /// Takes the next portion. Once a status has come nothing is garbage any more: what is wrong
    /// with the body ends it.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Garbage> {
        while matches!(self.stage, Stage::Head) {
            let Some(rest) = self.feed_head(bytes)? else { return Ok(()) };
            bytes = rest;
        }
        self.feed_body(bytes);
        Ok(())
    }

    /// Returns what follows the head, once it is there.
    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Garbage> {
        let before = self.begun.len();
        let read = if before == 0 {
            head::read(bytes)?
        } else {
            self.begun.extend_from_slice(bytes);
            head::read(&self.begun)?
        };
        let length = read.as_ref().map_or(before + bytes.len(), |(_, length)| *length);
        if self.head_bytes + length > HEAD_BYTES_MAX {
            return Err(Garbage("the answer's head is too large"));
        }
        let Some((head, length)) = read else {
            if before == 0 {
                self.begun.extend_from_slice(bytes);
            }
            return Ok(None);
        };
        self.begun.clear();
        self.head_bytes += length;
        if head.code >= 200 || head.code == 101 {
            self.stage = match head.body {
                Body::Length(0) => Stage::Over,
                Body::Length(length) => Stage::Length(length),
                Body::Chunked => Stage::Chunked(Chunks::START),
                Body::ToTheEnd => Stage::ToTheEnd,
            };
            self.head = Some(head);
            if self.brief {
                self.cut();
            }
        }
        Ok(bytes.get(length - before..))
    }

    fn feed_body(&mut self, bytes: &[u8]) {
        self.body_bytes = self.body_bytes.saturating_add(bytes.len());
        let wanted = self.head.as_ref().is_some_and(|head| !(200..300).contains(&head.code));
        let mut keep = |bytes: &[u8]| {
            let room = REASON_BYTES - self.reason.len();
            if wanted {
                self.reason.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        };
        let taken = match &mut self.stage {
            Stage::Head => return,
            Stage::Over => 0,
            Stage::ToTheEnd => {
                keep(bytes);
                bytes.len()
            }
            Stage::Length(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                keep(&bytes[..taken]);
                *left -= taken as u64;
                if *left == 0 {
                    self.stage = Stage::Over;
                }
                taken
            }
            Stage::Chunked(chunks) => match chunks.feed(bytes, keep) {
                Ok(taken) => {
                    if *chunks == Chunks::Over {
                        self.stage = Stage::Over;
                    }
                    taken
                }
                Err(_) => {
                    self.cut();
                    return;
                }
            },
        };
        self.spoilt |= taken < bytes.len();
        if self.body_bytes > BODY_BYTES_MAX && !self.is_over() {
            self.cut();
        }
    }

    /// Whether all of it is there.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Nothing more will come. True if a status has come before.
    pub(super) const fn cut(&mut self) -> bool {
        self.spoilt |= !self.is_over();
        if self.head.is_some() {
            self.stage = Stage::Over;
        }
        self.head.is_some()
    }

    /// The answer, and whether its connection can be used again; `None` before there is a status.
    pub(super) fn into_answer(self) -> Option<(Answer, bool)> {
        let head = self.head?;
        let answer =
            Answer { code: head.code, retry_after: head.retry_after, date: head.date, reason: self.reason };
        Some((answer, head.keeps && !self.spoilt))
    }
}

/// What comes of these portions: the answer and whether its connection can be used again, if there is one, and
/// whether all of it was there; `None` for garbage.
pub(crate) fn read(portions: &[&[u8]]) -> Option<(Option<(Answer, bool)>, bool)> {
    let mut reader = Reader::new();
    for portion in portions {
        reader.feed(portion).ok()?;
    }
    let over = reader.is_over();
    Some((reader.into_answer(), over))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(portions: &[&[u8]]) -> Option<(u16, String, bool, bool)> {
        let (answer, over) = super::read(portions).unwrap();
        let (answer, keeps) = answer?;
        Some((answer.code, String::from_utf8(answer.reason).unwrap(), over, keeps))
    }

    #[test]
    fn an_answer_is_the_same_in_whatever_portions_it_comes() {
        for (bytes, code, reason) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, ""),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HTTP/1.1 422 No\r\ncontent-length: 4\r\n\r\nname", 422, "name"),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 400 No\r\nContent-Length: 1\r\n\r\nx",
                400,
                "x",
            ),
            (
                "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                500,
                "abc",
            ),
        ] {
            let expected = Some((code, reason.to_owned(), true, true));
            let bytes = bytes.as_bytes();
            for place in 0..=bytes.len() {
                assert_eq!(read(&[&bytes[..place], &bytes[place..]]), expected, "{place}");
            }
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(read(&single), expected);
            assert_eq!(read(&[bytes, b"H"]).map(|read| read.3), Some(false), "something follows it");
            assert!(read(&[&bytes[..bytes.len() - 1]]).is_none_or(|read| !read.2), "a byte is missing");
        }
    }

    #[test]
    fn what_has_no_end_is_cut_and_its_status_counts() {
        let endless = "x".repeat(BODY_BYTES_MAX);
        let huge = "HTTP/1.1 500 Oh\r\ncontent-length: 99999999999\r\n\r\n";
        let (code, reason, over, keeps) = read(&[huge.as_bytes(), endless.as_bytes(), b"x"]).unwrap();
        assert_eq!((code, reason.len(), over, keeps), (500, REASON_BYTES, true, false));
        let (_, _, over, keeps) = read(&[b"HTTP/1.1 200 OK\r\n\r\n", endless.as_bytes(), b"x"]).unwrap();
        assert_eq!((over, keeps), (true, false));
        let chunked = "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabnonsense";
        assert_eq!(read(&[chunked.as_bytes()]), Some((500, "ab".to_owned(), true, false)));
    }

    /// A hundred thousand damaged answers: any of them is an answer, garbage, or unfinished, and the
    /// same in one portion as in two.
    #[test]
    fn nothing_that_comes_can_hurt() {
        let whole = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh\r\nRetry-After: 5\r\nTransfer-Encoding: chunked\r\n\
                      Connection: keep-alive\r\nContent-Length: 12\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n";
        let mut dice = 7_u64;
        let mut throw = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(dice >> 33).unwrap() % sides
        };
        let mut ends = [0; 3];
        for _ in 0..100_000 {
            let mut bytes = whole.to_vec();
            for _ in 0..=throw(3) {
                let place = throw(bytes.len());
                if bytes.len() == 1 {
                    break;
                }
                match throw(4) {
                    0 => bytes[place] = u8::try_from(throw(256)).unwrap(),
                    1 => drop(bytes.remove(place)),
                    2 => bytes.insert(place, b"\r\n 0f:;,H"[throw(9)]),
                    _ => bytes.truncate(place + 1),
                }
            }
            let at_once = super::read(&[&bytes]);
            let place = throw(bytes.len());
            assert_eq!(super::read(&[&bytes[..place], &bytes[place..]]), at_once);
            ends[match at_once {
                Some((_, true)) => 0,
                Some((_, false)) => 1,
                None => 2,
            }] += 1;
        }
        assert!(ends.iter().all(|count| *count > 1_000), "{ends:?}");
    }

    #[test]
    fn a_head_without_an_end_is_garbage() {
        let line = format!("a: {}\r\n", "b".repeat(1_000));
        let mut reader = Reader::new();
        reader.feed(b"HTTP/1.1 200 OK\r\n").unwrap();
        let failed = (0..40).find_map(|_| reader.feed(line.as_bytes()).err());
        assert_eq!(failed, Some(Garbage("the answer's head is too large")));
        let mut reader = Reader::new();
        let interim = format!("HTTP/1.1 102 Wait\r\n{line}\r\n");
        assert!(
            (0..40).any(|_| reader.feed(interim.as_bytes()).is_err()),
            "nor are interim answers for ever"
        );
    }
}
