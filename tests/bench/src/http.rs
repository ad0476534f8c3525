//! As much HTTP/1.1 as the two ends of a benchmark need: a head up to the empty line, and a length.

/// One message at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Everything before the body, the empty line included.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// What the peer has said is no HTTP that the benchmark understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUnderstood;

/// Heads are a few hundred bytes.
const HEAD_MAX: usize = 16 << 10;

impl<'a> Message<'a> {
    /// The message at the beginning of `bytes`; `None` while it isn't all there. A message without
    /// `content-length` has no body; chunks are not understood.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, NotUnderstood> {
        let Some(end) = end_of_head(bytes) else {
            return if bytes.len() > HEAD_MAX { Err(NotUnderstood) } else { Ok(None) };
        };
        let (head, rest) = bytes.split_at(end);
        let length = match header(head, b"content-length") {
            Some(digits) => std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(NotUnderstood)?,
            None if header(head, b"transfer-encoding").is_some() => return Err(NotUnderstood),
            None => 0,
        };
        Ok(rest.get(..length).map(|body| Self { head, body }))
    }

    pub(crate) const fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The status of an answer; 0 where it is none.
    pub(crate) fn status(&self) -> u16 {
        // "HTTP/1.1 200"
        let digits = self.head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    /// The value of a header whose name is given in lower case.
    pub(crate) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        header(self.head, name)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(place) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let place = from + place;
        if bytes[..place].ends_with(b"\r\n\r") {
            return Some(place + 1);
        }
        from = place + 1;
    }
    None
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_when_all_of_it_is() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nokHTTP/1.1 503";
        for end in 0..46 {
            assert_eq!(Message::parse(&bytes[..end]), Ok(None), "{end}");
        }
        let message = Message::parse(bytes).unwrap().unwrap();
        assert_eq!((message.status(), message.body, message.len()), (200, &b"ok"[..], 46));
        assert_eq!(message.header(b"x"), Some(&b"y"[..]));
        assert_eq!(message.header(b"y"), None);
    }

    #[test]
    fn without_a_length_there_is_no_body_and_chunks_are_refused() {
        let message = Message::parse(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap().unwrap();
        assert_eq!((message.body.len(), message.status()), (0, 0));
        assert!(Message::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Message::parse(b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n").is_err());
        assert!(Message::parse(&vec![b'x'; HEAD_MAX + 1]).is_err());
    }
}
