//! A part of a request, and the rules that most parts have.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::fault::{Faults, Place, nearest, shown};
use crate::identity::is_usable;
use crate::json::{Sort, Value};

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Look<'p, 'd, 'a> {
    pub(super) value: Value<'d, 'a>,
    pub(super) place: Place<'p>,
}

impl<'p, 'd, 'a> Look<'p, 'd, 'a> {
    /// The member of that name, where there is one; null is the same as absent.
    pub(super) fn member<'q>(&'q self, name: &'q str) -> Option<Look<'q, 'd, 'a>>
    where
        'p: 'q,
    {
        Some(Look { value: self.value.get(name)?, place: self.place.member(name) })
    }

    /// The member of that name; a fault that says `what` it is where there is none.
    pub(super) fn required<'q>(
        &'q self,
        name: &'q str,
        what: &str,
        faults: &mut Faults,
    ) -> Option<Look<'q, 'd, 'a>>
    where
        'p: 'q,
    {
        let member = self.member(name);
        if member.is_none() {
            faults.add(&self.place.member(name), format!("is missing: {what}"));
        }
        member
    }

    /// A member that is an object; a fault where it is missing or something else.
    pub(super) fn object<'q>(
        &'q self,
        name: &'q str,
        what: &str,
        faults: &mut Faults,
    ) -> Option<Look<'q, 'd, 'a>>
    where
        'p: 'q,
    {
        self.required(name, what, faults)?.is_object(faults)
    }

    /// A member that is a text of 1 to `most` characters; a fault where it is missing or something else.
    pub(super) fn text(
        &self,
        name: &str,
        most: usize,
        what: &str,
        faults: &mut Faults,
    ) -> Option<Cow<'a, str>> {
        self.required(name, what, faults)?.words(most, faults)
    }

    /// The same where the member may be missing.
    pub(super) fn maybe_text(&self, name: &str, most: usize, faults: &mut Faults) -> Option<Cow<'a, str>> {
        self.member(name)?.words(most, faults)
    }

    /// This, if it is an object; else a fault.
    pub(super) fn is_object(self, faults: &mut Faults) -> Option<Self> {
        self.is_sort(Sort::Object, "an object", faults)
    }

    fn is_sort(self, sort: Sort, name: &str, faults: &mut Faults) -> Option<Self> {
        if self.value.sort() == sort {
            return Some(self);
        }
        faults.add(&self.place, format!("is {}; {name} is expected", self.sort_name()));
        None
    }

    /// What sort of value it is, in words.
    pub(super) fn sort_name(&self) -> &'static str {
        match self.value.sort() {
            Sort::Object => "an object",
            Sort::Array => "a list",
            Sort::Text => "a text",
            Sort::Number => "a number",
            Sort::Bool => "true or false",
            Sort::Null => "null",
        }
    }

    /// A text of 1 to `most` characters (Unicode scalar values).
    pub(super) fn words(&self, most: usize, faults: &mut Faults) -> Option<Cow<'a, str>> {
        let text = self.is_sort(Sort::Text, "a text", faults)?.value.text().unwrap_or_default();
        // A character has a byte at least.
        let count = if text.len() > most { text.chars().count() } else { text.len() };
        if text.is_empty() {
            faults.add(&self.place, format!("is empty; 1 to {} characters are allowed", thousands(most)));
        } else if count > most {
            let (count, most) = (thousands(count), thousands(most));
            faults.add(&self.place, format!("has {count} characters; at most {most} are allowed"));
        } else {
            return Some(text);
        }
        None
    }

    /// An id that Meta gave: 1 to 256 visible characters of ASCII, also where it is written as a number.
    pub(super) fn id(&self, faults: &mut Faults) -> Option<Cow<'a, str>> {
        let id = self.value.text().filter(|id| is_usable(id));
        if id.is_none() {
            faults.add(&self.place, "is no id; 1 to 256 visible characters of ASCII are expected");
        }
        id
    }

    /// A truth value.
    pub(super) fn truth(&self, faults: &mut Faults) -> Option<bool> {
        // In quotes it would be true for Meta, whatever it says.
        let truth = self.value.truth().filter(|_| self.value.sort() == Sort::Bool);
        if truth.is_none() {
            faults.add(&self.place, format!("is {}; true or false is expected", self.sort_name()));
        }
        truth
    }

    /// The elements of a list of so many `things`; none, and a fault, if it is something else.
    pub(super) fn list<'q>(
        &'q self,
        allowed: RangeInclusive<usize>,
        things: &str,
        faults: &mut Faults,
    ) -> impl Iterator<Item = Look<'q, 'd, 'a>> + use<'p, 'q, 'd, 'a>
    where
        'p: 'q,
    {
        let count = self.value.elements().count();
        let mut most = *allowed.end();
        if self.is_sort(Sort::Array, "a list", faults).is_none() {
            most = 0;
        } else if !allowed.contains(&count) {
            let (least, most) = (allowed.start(), allowed.end());
            let allowed = if least == most { most.to_string() } else { format!("{least} to {most}") };
            faults.add(&self.place, format!("has {count} {things}; {allowed} are allowed"));
        }
        let elements = self.value.elements().take(most).enumerate();
        elements.map(|(at, value)| Look { value, place: self.place.element(at) })
    }

    /// A fault if the text is a mistyped one of the `known` words; other words may be new.
    pub(super) fn mistyped(&self, word: &str, known: &[&str], faults: &mut Faults) {
        if !known.contains(&word)
            && let Some(meant) = nearest(word, known)
        {
            faults.add(&self.place, format!("is {:?}; did you mean {meant:?}?", shown(word)));
        }
    }

    /// A fault if the text isn't one of the `known` words.
    pub(super) fn one_of(&self, word: &str, known: &[&str], faults: &mut Faults) -> bool {
        let is_known = known.contains(&word);
        if !is_known {
            let meant = nearest(word, known).map(|meant| format!("; did you mean {meant:?}?"));
            let known = format!("; known are {}", known.join(", "));
            faults.add(&self.place, format!("is {:?}{}", shown(word), meant.unwrap_or(known)));
        }
        is_known
    }

    /// An address of the web: http or https, with a host.
    pub(super) fn link(&self, faults: &mut Faults) {
        let Some(link) = self.words(LINK_MAX, faults) else { return };
        let lower = link.get(..8).unwrap_or(&link).to_ascii_lowercase();
        let rest =
            lower.find("://").filter(|_| lower.starts_with("http://") || lower.starts_with("https://"));
        let host = rest.and_then(|at| link.get(at + 3..)).unwrap_or_default();
        let has_host = host.starts_with(|first: char| first.is_alphanumeric() || first == '[');
        if !has_host || link.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
            faults.add(&self.place, "is no absolute http:// or https:// address");
        }
    }
}

/// The longest address that is taken; more than any browser keeps.
const LINK_MAX: usize = 2_048;

/// A number with commas, as people write it.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
