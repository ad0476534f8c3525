//! The grammar of RFC 8259, in one pass and without recursion.

use super::Node;
use super::text::plain_end;

/// No container is open.
const NONE: u32 = u32::MAX;

/// The places of all values of a JSON text; `None` if it isn't JSON.
pub(super) fn nodes(text: &str) -> Option<Vec<Node>> {
    u32::try_from(text.len()).ok()?;
    // A webhook has a node per 11 to 16 bytes, so this rarely grows.
    let nodes = Vec::with_capacity(text.len() / 10 + 4);
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, nodes, open: NONE, in_object: false };
    parser.run()?;
    Some(parser.nodes)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// While a container is open its `end` says which one it stands in.
    nodes: Vec<Node>,
    /// The innermost container that isn't closed yet, as a place in `nodes`.
    open: u32,
    /// Whether that is an object.
    in_object: bool,
}

impl Parser<'_> {
    fn run(&mut self) -> Option<()> {
        loop {
            // A value: scalars and empty containers are taken whole; of a container with something
            // in it the opening is taken, and its first value comes next.
            match self.peek()? {
                b'{' => {
                    self.enter(true);
                    if self.peek()? != b'}' {
                        self.key()?;
                        continue;
                    }
                    self.close();
                }
                b'[' => {
                    self.enter(false);
                    if self.peek()? != b']' {
                        continue;
                    }
                    self.close();
                }
                b'"' => self.string()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.leaf(number_end(self.bytes, self.at)?, false),
            }
            // What may follow it.
            loop {
                let byte = self.peek();
                if self.open == NONE {
                    return byte.is_none().then_some(());
                }
                match (byte?, self.in_object) {
                    (b',', in_object) => {
                        self.at += 1;
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => self.close(),
                    _ => return None,
                }
            }
        }
    }

    /// The next byte that isn't white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn key(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.string()?;
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    #[inline]
    fn string(&mut self) -> Option<()> {
        let (end, escaped) = string_end(self.bytes, self.at)?;
        self.leaf(end, escaped);
        Some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return None;
        }
        self.leaf(self.at + word.len(), false);
        Some(())
    }

    fn leaf(&mut self, end: usize, escaped: bool) {
        let next = place(self.nodes.len()) + 1;
        self.nodes.push(Node { start: place(self.at), end: place(end), next, height: 0, escaped });
        self.at = end;
    }

    fn enter(&mut self, is_object: bool) {
        let container = place(self.nodes.len());
        self.nodes.push(Node { start: place(self.at), end: self.open, next: 0, height: 1, escaped: false });
        self.open = container;
        self.in_object = is_object;
        self.at += 1;
    }

    fn close(&mut self) {
        self.at += 1;
        let next = place(self.nodes.len());
        let Some(node) = self.nodes.get_mut(self.open as usize) else { return };
        self.open = node.end;
        node.end = place(self.at);
        node.next = next;
        let height = node.height;
        if let Some(outer) = self.nodes.get_mut(self.open as usize) {
            outer.height = outer.height.max(height.saturating_add(1));
            self.in_object = self.bytes[outer.start as usize] == b'{';
        }
    }
}

/// There are at most as many nodes as bytes, and [`nodes`] has checked that those fit.
#[expect(clippy::cast_possible_truncation, reason = "checked once for all")]
const fn place(at: usize) -> u32 {
    at as u32
}

/// The byte after the string that opens at `start`, and whether it holds an escape.
#[inline]
fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start + 1;
    let mut escaped = false;
    loop {
        at = plain_end(bytes, at);
        match *bytes.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                // They often come in rows.
                while bytes.get(at) == Some(&b'\\') {
                    at = escape_end(bytes, at)?;
                }
            }
            _ => return None,
        }
    }
}

/// The byte after the escape that begins at `start`.
fn escape_end(bytes: &[u8], start: usize) -> Option<usize> {
    match *bytes.get(start + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(start + 2),
        b'u' => {
            let digits: &[u8; 4] = bytes.get(start + 2..)?.first_chunk()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(start + 6)
        }
        _ => None,
    }
}

/// The byte after the number that begins at `start`.
fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = |from: usize| {
        let count = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    let whole = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut end = if bytes.get(whole) == Some(&b'0') { whole + 1 } else { digits(whole)? };
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + signed)?;
    }
    Some(end)
}

/// True if the text is one number and nothing else.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && number_end(text.as_bytes(), 0) == Some(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "{1:2}",
            "}",
            "]",
            "[}",
            "{]",
            "01",
            "-",
            "1.",
            "1e",
            "tru",
            "nul",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "{} {}",
            "1 x",
            "+1",
            ".5",
            "[,]",
            "{,}",
            "\u{feff}1",
            "NaN",
            "'a'",
            "-a",
            "1.e3",
            "\"\\",
        ] {
            assert!(nodes(bad).is_none(), "{bad:?}");
            assert!(serde_json::from_str::<IgnoredAny>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_million_levels_do_not_overflow_the_stack() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(nodes(&deep).unwrap()[0].height, u16::MAX);
        assert!(nodes(&deep[1..]).is_none());
        assert!(nodes(&"{\"a\":".repeat(1_000_000)).is_none());
    }

    proptest! {
        /// Another reader of the same grammar agrees on what is JSON.
        #[test]
        fn accepts_exactly_what_serde_json_accepts(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud800", "a", "\"a\"", "\"k\":", "0", "1", "-",
                ".", "e", "E+", "12.5e-3", "true", "false", "null", " ", "\n", "\u{1}", "é", "{}", "[]", "\\n", "\\/",
            ]), 0..12)
        ) {
            let text = pieces.concat();
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            prop_assert_eq!(nodes(&text).is_some(), theirs.is_ok(), "{:?}", text);
        }
    }
}
