//! What stands between the quotes, and JSON that is passed on as it came.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// Decodes the inside of a JSON string whose grammar has been checked. A lone surrogate, which no
/// text can hold, becomes U+FFFD.
pub(crate) fn decode(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (letter, length) = escape(rest);
        out.push(letter);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What the escape at the start of `rest` stands for, and how many bytes it takes.
fn escape(rest: &str) -> (char, usize) {
    let letter = match rest.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = unit(rest);
            let second = rest.get(6..).map_or(0, unit);
            let mut pair = char::decode_utf16([first, second]);
            return match pair.next() {
                Some(Ok(letter)) => (letter, 6 * letter.len_utf16()),
                Some(Err(_)) | None => (char::REPLACEMENT_CHARACTER, 6),
            };
        }
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (letter, rest.len().min(2))
}

/// The code unit of a `\uXXXX` at the start of `rest`; 0 (which pairs with nothing) if it is none.
fn unit(rest: &str) -> u16 {
    rest.strip_prefix("\\u")
        .and_then(|hex| hex.get(..4))
        .map_or(0, |hex| u16::from_str_radix(hex, 16).unwrap_or(0))
}

/// JSON that goes out as it came in, but for lone surrogates, which many readers refuse: these
/// become `\ufffd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verbatim<'a>(Cow<'a, str>);

impl<'a> Verbatim<'a> {
    /// Takes valid JSON and replaces its lone surrogates.
    pub(crate) fn cleaned(json: &'a str) -> Self {
        Self(clean(json))
    }

    /// Takes valid JSON to the byte.
    pub(crate) const fn exact(json: &'a str) -> Self {
        Self(Cow::Borrowed(json))
    }

    /// Takes JSON made here.
    pub(crate) const fn made(json: String) -> Self {
        Self(Cow::Owned(json))
    }
}

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&serde_json::value::RawValue>(&self.0).ok().serialize(serializer)
    }
}

fn clean(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (letter, length) = escape(rest);
        let lone = letter == char::REPLACEMENT_CHARACTER;
        out.push_str(if lone { "\\ufffd" } else { &rest[..length] });
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_lone_surrogates_replaced_one_by_one() {
        for (inner, text) in [
            ("plain é", "plain é"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u0000\u4f60", "é\0你"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\uD83D\uDE00", "😀"),
            (r"a\ud800b", "a\u{fffd}b"),
            (r"\ud800", "\u{fffd}"),
            (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
            (r"\ud800\ud83d\ude00", "\u{fffd}😀"),
            (r"\ud800\n", "\u{fffd}\n"),
            (r"\ud800é", "\u{fffd}é"),
        ] {
            assert_eq!(decode(inner), text, "{inner}");
        }
    }

    #[test]
    fn cleaning_changes_lone_surrogates_only() {
        for (json, cleaned) in [
            (r#"{"a":"\u00e9\/"}"#, r#"{"a":"\u00e9\/"}"#),
            (r#"["\ud83d\ude00","\ud800","\\ud800"]"#, r#"["\ud83d\ude00","\ufffd","\\ud800"]"#),
            (r#"{"\udfff":1}"#, r#"{"\ufffd":1}"#),
        ] {
            assert_eq!(clean(json), cleaned);
        }
    }
}
