//! What stands between the quotes.

use std::borrow::Cow;

/// The first byte at or after `at` that doesn't stand for itself inside a JSON string: a quote, a
/// backslash or a control character; the length where there is none.
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special(u64::from_le_bytes(*eight));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let left = bytes.len().saturating_sub(at);
    match bytes.last_chunk() {
        // The last eight once more, less those that were looked at.
        Some(eight) if left > 0 => {
            let special = special(u64::from_le_bytes(*eight) >> (64 - 8 * left));
            at + left.min(special.trailing_zeros() as usize / 8)
        }
        _ => {
            let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            at + bytes.get(at..).and_then(|rest| rest.iter().position(special)).unwrap_or(left)
        }
    }
}

/// Eight bytes at once: the highest bit of each that is a quote, a backslash or a control
/// character. What is subtracted borrows upwards only, so the lowest one found is right; those
/// above it may not be.
const fn special(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // With the bit of 2 turned a quote is 0x20, control characters are below, and all others of ASCII above.
    let control_or_quote = (eight ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (eight ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control_or_quote | backslash) & !eight & (ONES * 0x80)
}

/// A piece of the inside of a JSON string.
pub(crate) enum Piece<'a> {
    /// Characters that stand for themselves.
    Plain(&'a str),
    /// What an escape stands for, and how it is written.
    Escape(char, &'a str),
}

/// The pieces of the inside of a JSON string whose grammar has been checked. A lone surrogate, which
/// no text can hold, is U+FFFD.
pub(crate) fn pieces(inner: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = inner;
    std::iter::from_fn(move || {
        let end = if rest.starts_with('\\') { 0 } else { plain_end(rest.as_bytes(), 0) };
        if end > 0 {
            let (plain, behind) = rest.split_at(end);
            rest = behind;
            return Some(Piece::Plain(plain));
        }
        if rest.is_empty() {
            return None;
        }
        let (letter, length) = escape(rest.as_bytes());
        let (written, behind) = rest.split_at(length);
        rest = behind;
        Some(Piece::Escape(letter, written))
    })
}

/// Decodes the inside of a JSON string whose grammar has been checked.
pub(crate) fn decode(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    for piece in pieces(inner) {
        match piece {
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Escape(letter, _) => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// What the escape at the start of `rest` stands for, and how many bytes it takes.
fn escape(rest: &[u8]) -> (char, usize) {
    let letter = match rest.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = unit(rest);
            let second = if first & 0xFC00 == 0xD800 { rest.get(6..).map_or(0, unit) } else { 0 };
            if second & 0xFC00 == 0xDC00 {
                let letter = 0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
                return (char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
            }
            return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (letter, rest.len().min(2))
}

/// The code unit of a `\uXXXX` at the start of `rest`; 0 (which pairs with nothing) if it is none.
fn unit(rest: &[u8]) -> u32 {
    let digits = rest.strip_prefix(b"\\u").and_then(<[u8]>::first_chunk::<4>);
    let digits = digits.map(|digits| digits.map(|digit| char::from(digit).to_digit(16)));
    digits
        .and_then(|digits| digits.into_iter().try_fold(0, |unit, digit| Some(unit << 4 | digit?)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Doc, Out};

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
    fn plain_runs_end_where_they_should() {
        // Every byte at every place, among bytes that a borrow could be mistaken for.
        for neighbour in [b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xA2, 0xDC, 0xFF] {
            for place in 0..20 {
                for byte in 0..=u8::MAX {
                    let mut bytes = [neighbour; 20];
                    bytes[place] = byte;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(plain_end(&bytes, 0), if is_special { place } else { 20 }, "{bytes:?}");
                }
            }
        }
        assert_eq!(plain_end(b"", 0), 0);
        assert_eq!(plain_end(b"\"", 1), 1);
        for length in 0..20 {
            for start in 0..=length {
                assert_eq!(plain_end(&b"                    "[..length], start), length);
                assert_eq!(plain_end(&b"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""[..length], start), start);
            }
        }
    }

    #[test]
    fn cleaning_changes_lone_surrogates_only() {
        for (json, cleaned) in [
            (r#"{"a":"\u00e9\/"}"#, r#"{"a":"\u00e9\/"}"#),
            (r#"["\ud83d\ude00","\ud800","\\ud800"]"#, r#"["\ud83d\ude00","\ufffd","\\ud800"]"#),
            (r#"{"\udfff":1}"#, r#"{"\ufffd":1}"#),
        ] {
            let mut out = Out::with_capacity(0);
            out.cleaned(Doc::parse(json).unwrap().root());
            assert_eq!(out.finish(), cleaned.as_bytes());
        }
    }
}
