//! JSON read for what it says, whatever else it holds.
//!
//! A webhook is read here and not through serde because three things that Meta and its resellers
//! send make a strict reader give up on the whole body: lone surrogates in texts and keys,
//! duplicate keys, and a member of another type than expected. [`Doc`] checks the grammar of
//! RFC 8259 in one pass, without recursion (so no depth of nesting can overflow the stack), and
//! leaves a flat list of where each value stands; texts are decoded only when they are asked for.

mod out;
mod parse;
mod text;

use std::borrow::Cow;

pub(crate) use out::Out;

/// A JSON text and the places of its values.
pub(crate) struct Doc<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

/// Where one value stands. The values inside it follow it in the list; in an object every value
/// comes after its key, which is a node of its own.
#[derive(Clone, Copy)]
struct Node {
    /// First byte in the text.
    start: u32,
    /// The byte after the last.
    end: u32,
    /// The node after the last one inside this value.
    next: u32,
    /// Levels of nesting: 0 for a scalar, 1 for `[]`; more than 65,535 count as that.
    height: u16,
    /// True for a string that holds an escape.
    escaped: bool,
}

/// What sort of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

impl<'a> Doc<'a> {
    /// Reads a text; `None` if it isn't JSON.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        parse::nodes(text).map(|nodes| Self { text, nodes })
    }

    /// An object with nothing in it.
    pub(crate) fn nothing() -> Self {
        Self { text: "{}", nodes: vec![Node { start: 0, end: 2, next: 1, height: 1, escaped: false }] }
    }

    /// The outermost value.
    pub(crate) fn root(&self) -> Value<'_, 'a> {
        Value { doc: self, at: 0 }
    }
}

/// One value of a [`Doc`].
#[derive(Clone, Copy)]
pub(crate) struct Value<'d, 'a> {
    doc: &'d Doc<'a>,
    at: u32,
}

impl<'d, 'a> Value<'d, 'a> {
    fn node(self) -> Node {
        self.doc.nodes[self.at as usize]
    }

    /// The value as it stands in the text, byte for byte.
    pub(crate) fn raw(self) -> &'a str {
        let node = self.node();
        &self.doc.text[node.start as usize..node.end as usize]
    }

    /// Where it begins in the text, in bytes.
    pub(crate) fn start(self) -> usize {
        self.node().start as usize
    }

    /// How deep it nests: 0 for a scalar, 1 for `[]` or `[1]`, 2 for `[[]]`.
    pub(crate) fn height(self) -> usize {
        usize::from(self.node().height)
    }

    pub(crate) fn sort(self) -> Sort {
        match self.doc.text.as_bytes()[self.node().start as usize] {
            b'{' => Sort::Object,
            b'[' => Sort::Array,
            b'"' => Sort::Text,
            b't' | b'f' => Sort::Bool,
            b'n' => Sort::Null,
            _ => Sort::Number,
        }
    }

    pub(crate) fn is_object(self) -> bool {
        self.sort() == Sort::Object
    }

    /// True for what says nothing: null, `""`, `[]` and `{}`. Senders write them for "absent".
    pub(crate) fn is_nothing(self) -> bool {
        let node = self.node();
        match self.sort() {
            Sort::Null => true,
            Sort::Text => node.end - node.start == 2,
            Sort::Object | Sort::Array => node.next == self.at + 1,
            Sort::Number | Sort::Bool => false,
        }
    }

    /// The members of an object as (key, value) in the order of the text, duplicates included;
    /// none if it isn't an object.
    pub(crate) fn members(self) -> impl Iterator<Item = (Self, Self)> + use<'d, 'a> {
        let mut children = self.children(Sort::Object);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The elements of an array; none if it isn't an array.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> + use<'d, 'a> {
        self.children(Sort::Array)
    }

    fn children(self, of: Sort) -> impl Iterator<Item = Self> + use<'d, 'a> {
        let doc = self.doc;
        let end = if self.sort() == of { self.node().next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let child = Value { doc, at };
                at = child.node().next;
                child
            })
        })
    }

    /// The member of that name. Of duplicates the last one counts; null is the same as absent.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        let [member] = self.get_each([key]);
        member
    }

    /// [`Self::get`] for several names at once.
    // Inlined, the names' lengths are numbers in the code, and a comparison is one instruction.
    #[inline(always)]
    pub(crate) fn get_each<const N: usize>(self, keys: [&str; N]) -> [Option<Self>; N] {
        let (text, nodes) = (self.doc.text.as_bytes(), self.doc.nodes.as_slice());
        let mut found = [None; N];
        let end = if self.is_object() { self.node().next } else { 0 };
        let mut at = self.at + 1;
        while at < end {
            let (name, value) = (nodes[at as usize], Value { doc: self.doc, at: at + 1 });
            // What stands between the quotes.
            let written = &text[name.start as usize + 1..name.end as usize - 1];
            for (key, found) in keys.iter().zip(&mut found) {
                // Of most pairs the length alone says that they differ.
                if (written.len() == key.len() && written == key.as_bytes())
                    || (name.escaped && Value { doc: self.doc, at }.is_text(key))
                {
                    *found = Some(value);
                }
            }
            at = value.node().next;
        }
        found.map(|found| found.filter(|value| value.sort() != Sort::Null))
    }

    /// [`Self::get`], through several levels.
    pub(crate) fn path(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// True if this is a text and equal to `other` once decoded.
    #[inline]
    pub(crate) fn is_text(self, other: &str) -> bool {
        let node = self.node();
        if node.escaped {
            return self.inner().is_some_and(|inner| text::decode(inner) == other);
        }
        // The quotes are two bytes; of most pairs the length alone says that they differ.
        (node.end - node.start) as usize == other.len() + 2 && self.inner() == Some(other)
    }

    /// True if this is a text and equal to one of `others` once decoded.
    pub(crate) fn is_one_of(self, others: &[&str]) -> bool {
        if self.is_escaped() {
            return others.iter().any(|other| self.is_text(other));
        }
        self.inner().is_some_and(|inner| others.contains(&inner))
    }

    /// True for a text that holds an escape.
    fn is_escaped(self) -> bool {
        self.node().escaped
    }

    /// True if a text or a key in it holds an escape.
    fn holds_escapes(self) -> bool {
        self.doc.nodes[self.at as usize..self.node().next as usize].iter().any(|node| node.escaped)
    }

    /// True for a text that holds half of a surrogate pair, which [`Self::text`] can't give.
    pub(crate) fn has_lone_surrogate(self) -> bool {
        let stands_in = |piece| match piece {
            text::Piece::Escape(letter, written) => {
                letter == char::REPLACEMENT_CHARACTER && !written.eq_ignore_ascii_case("\\ufffd")
            }
            text::Piece::Plain(_) => false,
        };
        self.is_escaped() && self.inner().is_some_and(|inner| text::pieces(inner).any(stands_in))
    }

    /// True for what [`Self::text`] can read.
    pub(crate) fn is_word(self) -> bool {
        match self.sort() {
            Sort::Text => !self.is_nothing(),
            Sort::Number => true,
            Sort::Object | Sort::Array | Sort::Bool | Sort::Null => false,
        }
    }

    /// What stands between the quotes.
    fn inner(self) -> Option<&'a str> {
        let node = self.node();
        let is_quoted = self.sort() == Sort::Text;
        if is_quoted { self.doc.text.get(node.start as usize + 1..node.end as usize - 1) } else { None }
    }

    /// A text, decoded, with U+FFFD for each lone surrogate; `""` is the same as absent. A number
    /// is taken as the text of its digits.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self.sort() {
            Sort::Text => {
                let inner = self.inner().filter(|inner| !inner.is_empty())?;
                Some(if self.node().escaped { text::decode(inner) } else { Cow::Borrowed(inner) })
            }
            Sort::Number => Some(Cow::Borrowed(self.raw())),
            Sort::Object | Sort::Array | Sort::Bool | Sort::Null => None,
        }
    }

    /// A truth value, also where it is written as a text.
    pub(crate) fn truth(self) -> Option<bool> {
        match self.raw() {
            "true" | "\"true\"" => Some(true),
            "false" | "\"false\"" => Some(false),
            _ => None,
        }
    }

    /// A whole number above zero as it is written, in quotes or not, of the usual length; most
    /// numbers are of this kind, and it is quickly read. `None` says nothing.
    pub(crate) fn digits(self) -> Option<&'a str> {
        let digits = match self.sort() {
            Sort::Number => self.raw(),
            Sort::Text => self.inner()?,
            Sort::Object | Sort::Array | Sort::Bool | Sort::Null => return None,
        };
        let usual = digits.len() < NUMBER_MAX && !digits.is_empty() && !digits.starts_with('0');
        (usual && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
    }

    /// A number as it is written, also where it stands in quotes; `None` if it has no finite value
    /// as a double, or more than [`NUMBER_MAX`] characters.
    pub(crate) fn number(self) -> Option<&'a str> {
        let digits = match self.sort() {
            Sort::Number => self.raw(),
            Sort::Text => self.inner()?.trim(),
            Sort::Object | Sort::Array | Sort::Bool | Sort::Null => return None,
        };
        let readable = digits.len() <= NUMBER_MAX
            && parse::is_number(digits)
            && digits.parse().is_ok_and(f64::is_finite);
        readable.then_some(digits)
    }
}

/// The longest number that is passed on; doubles need 17 digits, sign, point and exponent.
const NUMBER_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(text: &str) -> Doc<'_> {
        Doc::parse(text).unwrap()
    }

    #[test]
    fn the_last_of_duplicate_keys_counts_and_null_is_absent() {
        let doc = doc(r#"{"a": 1, "b": 2, "\u0061": "x", "b": null}"#);
        assert_eq!(doc.root().get("a").and_then(Value::text).as_deref(), Some("x"));
        assert!(doc.root().get("b").is_none());
        assert_eq!(doc.root().members().count(), 4);
    }

    #[test]
    fn values_are_walked_without_their_insides() {
        let doc = doc(r#" [ {"a": [1, [2]]}, "x", [], 7 ] "#);
        let raw: Vec<_> = doc.root().elements().map(Value::raw).collect();
        assert_eq!(raw, [r#"{"a": [1, [2]]}"#, r#""x""#, "[]", "7"]);
        let heights: Vec<_> = doc.root().elements().map(Value::height).collect();
        assert_eq!(heights, [3, 0, 1, 0]);
        assert_eq!(doc.root().height(), 4);
        assert_eq!(doc.root().members().count(), 0);
    }

    #[test]
    fn numbers_are_read_from_texts_and_texts_from_numbers() {
        let doc = doc(r#"["37.4842", -122.1485, "x", "1e999", 1e999, "01", "", 5]"#);
        let numbers: Vec<_> = doc.root().elements().map(Value::number).collect();
        assert_eq!(numbers, [Some("37.4842"), Some("-122.1485"), None, None, None, None, None, Some("5")]);
        assert_eq!(doc.root().elements().last().and_then(Value::text).as_deref(), Some("5"));
        assert_eq!(doc.root().elements().nth(6).and_then(Value::text), None);
    }
}
