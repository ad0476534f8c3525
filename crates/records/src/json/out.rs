//! JSON written piece by piece, in one buffer.
//!
//! A record is mostly words that are always the same and pieces of the payload that are copied as
//! they are, so it is written as a template: [`Out::raw`] for what is known to be JSON, the others
//! for what stands between.

use super::text::{Piece, pieces, plain_end};
use super::{Sort, Value};

/// JSON in the making.
pub(crate) struct Out(Vec<u8>);

impl Out {
    /// Starts with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// The buffer, for what writes itself; nothing but JSON may be added.
    pub(crate) const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// JSON, or a piece of it, as it is.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Null.
    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    /// A text in quotes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(b'"');
        let bytes = text.as_bytes();
        let mut start = 0;
        loop {
            let end = plain_end(bytes, start);
            self.0.extend_from_slice(&bytes[start..end]);
            let Some(&special) = bytes.get(end) else { break };
            self.escaped(special);
            start = end + 1;
        }
        self.0.push(b'"');
        self
    }

    /// A word of our own in quotes, which holds nothing that needs an escape.
    pub(crate) fn word(&mut self, word: &'static str) -> &mut Self {
        self.raw("\"").raw(word).raw("\"")
    }

    /// A text in quotes, or null.
    pub(crate) fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.raw("null"),
        }
    }

    /// What [`Value::text`] reads, in quotes, or null.
    pub(crate) fn text_of(&mut self, value: Option<Value<'_, '_>>) -> &mut Self {
        let Some(value) = value.filter(|value| value.is_word()) else { return self.raw("null") };
        if value.sort() == Sort::Number {
            return self.raw("\"").raw(value.raw()).raw("\"");
        }
        if !value.is_escaped() {
            return self.raw(value.raw());
        }
        self.0.push(b'"');
        for piece in pieces(value.inner().unwrap_or_default()) {
            match piece {
                Piece::Plain(plain) => self.0.extend_from_slice(plain.as_bytes()),
                Piece::Escape(letter, _) => self.letter(letter),
            }
        }
        self.0.push(b'"');
        self
    }

    /// What [`Value::number`] reads, or null.
    pub(crate) fn number_of(&mut self, value: Option<Value<'_, '_>>) -> &mut Self {
        self.raw(value.and_then(Value::number).unwrap_or("null"))
    }

    /// What [`Value::truth`] reads, or null.
    pub(crate) fn truth_of(&mut self, value: Option<Value<'_, '_>>) -> &mut Self {
        match value.and_then(Value::truth) {
            Some(truth) => self.truth(truth),
            None => self.raw("null"),
        }
    }

    /// A truth value.
    pub(crate) fn truth(&mut self, truth: bool) -> &mut Self {
        self.raw(if truth { "true" } else { "false" })
    }

    /// A value as it came in, but for lone surrogates, which many readers refuse: these become
    /// `\ufffd`.
    pub(crate) fn cleaned(&mut self, value: Value<'_, '_>) -> &mut Self {
        if !value.holds_escapes() {
            return self.raw(value.raw());
        }
        let mut rest = value.raw();
        // Outside of strings there are no backslashes.
        while let Some(at) = rest.find('\\') {
            self.raw(&rest[..at]);
            rest = &rest[at..];
            if let Some(Piece::Escape(letter, written)) = pieces(rest).next() {
                self.raw(if letter == char::REPLACEMENT_CHARACTER { "\\ufffd" } else { written });
                rest = &rest[written.len()..];
            }
        }
        self.raw(rest)
    }

    fn letter(&mut self, letter: char) {
        match u8::try_from(letter) {
            Ok(special) if special < 0x20 || matches!(special, b'"' | b'\\') => self.escaped(special),
            _ => self.0.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// A character that can't stand for itself.
    fn escaped(&mut self, special: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let short = match special {
            b'"' | b'\\' => special,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0C => b'f',
            b'\r' => b'r',
            _ => {
                self.0.extend_from_slice(b"\\u00");
                self.0.push(DIGITS[usize::from(special >> 4)]);
                return self.0.push(DIGITS[usize::from(special & 15)]);
            }
        };
        self.0.extend_from_slice(&[b'\\', short]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Doc;

    proptest! {
        /// Another writer of the same language agrees.
        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "([\\x00-\\x7f]|\\PC){0,40}") {
            let theirs = serde_json::to_string(&text).unwrap();
            let mut out = Out::with_capacity(0);
            out.text(&text);
            prop_assert_eq!(String::from_utf8(out.finish()).unwrap(), theirs.as_str());
            // The same text written with another hand.
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
            let wire = format!("\"{}\"", units.collect::<String>());
            let doc = Doc::parse(&wire).unwrap();
            let mut out = Out::with_capacity(0);
            out.text_of(Some(doc.root()));
            let written = if text.is_empty() { "null" } else { &theirs };
            prop_assert_eq!(String::from_utf8(out.finish()).unwrap(), written);
        }
    }
}
