//! Lines of a configuration as they may be shown: without what could be a secret.
//!
//! A value is shown where its key is known and holds no secret, and where it only says where a
//! secret is kept. What stands under an unknown key may well be a secret whose key was mistyped,
//! and a comment may hold the one of last year, so neither is shown.

use std::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use super::keys::{Form, Kind, Shape};
use super::reader::join;
use super::{Source, secret, syntax};

/// What stands for a character that isn't shown.
const MASK: char = '*';
/// A line is cut here; nobody reads on.
const LONGEST: usize = 160;
/// What some editors put before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Tabs would put the marks below a line in the wrong place.
const TAB: &str = "    ";

/// The lines of one configuration.
pub(super) struct Lines<'s> {
    source: &'s Source,
    places: Places<'s>,
    /// Lines that couldn't be parsed, by number from 1.
    broken: std::collections::BTreeSet<usize>,
}

/// Parts of the text by what may be done with them.
struct Places<'s> {
    form: Form,
    text: &'s str,
    /// Never shown.
    hidden: Vec<Range<usize>>,
    /// Keys and values. What is outside of them may be shown no more than what is hidden: where the
    /// parser had to guess it leaves out values.
    known: Vec<Range<usize>>,
}

/// One line and the part of it that is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) number: usize,
    pub(super) text: String,
    /// Blanks before the marks, and marks.
    pub(super) marks: (usize, usize),
}

impl<'s> Lines<'s> {
    pub(super) fn of(source: &'s Source) -> Self {
        let mended = syntax::mend(source);
        let parsed = syntax::parse(source, &mended);
        let mut places =
            Places { form: source.form, text: &source.text, hidden: Vec::new(), known: Vec::new() };
        places.table(&parsed.table, "", false);
        Self { source, places, broken: parsed.lines }
    }

    /// The line in which `span` begins.
    pub(super) fn show(&self, span: &Range<usize>) -> Shown {
        let text = &self.source.text;
        let (number, column) = self.source.position(span.start);
        let mut start: usize = text.split('\n').take(number - 1).map(|line| line.len() + 1).sum();
        if text[start..].starts_with(BYTE_ORDER_MARK) {
            start += BYTE_ORDER_MARK.len_utf8();
        }
        let line = text[start..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let broken = self.broken.contains(&number);
        let comment = line
            .match_indices('#')
            .map(|(at, _)| at)
            .find(|at| broken || !self.places.known.iter().any(|range| range.contains(&(start + at))));
        let line = line[..comment.unwrap_or(line.len())].trim_end();
        let plain = if broken { broken_prefix(self.source.form, line) } else { key_prefix(line) };
        let mut shown = String::new();
        let mut marks: Option<(usize, usize)> = None;
        for (count, (at, character)) in line.char_indices().enumerate() {
            if count == LONGEST {
                shown.push_str("...");
                break;
            }
            let offset = start + at;
            let before = shown.chars().count();
            let within = |places: &[Range<usize>]| places.iter().any(|range| range.contains(&offset));
            let punctuation = character.is_whitespace() || "=,\"'[]{}".contains(character);
            let shown_as_it_is = at < plain || punctuation || !broken && within(&self.places.known);
            if !shown_as_it_is || within(&self.places.hidden) {
                shown.push(MASK);
            } else if character == '\t' {
                shown.push_str(TAB);
            } else if character.is_control() {
                shown.push('\u{fffd}');
            } else {
                shown.push(character);
            }
            let width = shown.chars().count() - before;
            if span.contains(&offset) || (count + 1 == column && span.is_empty()) {
                marks.get_or_insert((before, 0)).1 += width;
            }
        }
        let end = shown.chars().count();
        Shown { number, text: shown, marks: marks.unwrap_or((end, 1)) }
    }
}

/// How much of a line that couldn't be parsed may be shown as it is: all of it if it's a header,
/// or a known key with one word behind it, else what stands before the value.
fn broken_prefix(form: Form, line: &str) -> usize {
    if is_header(line) {
        return line.len();
    }
    let Some((name, value)) = line.split_once('=') else {
        return 0;
    };
    let last = name.trim().rsplit('.').next().unwrap_or_default();
    let mut homes = form.keys().iter().filter(|key| key.name() == last).peekable();
    let harmless = homes.peek().is_some() && homes.all(|key| !key.kind.is_secret());
    let value = value.trim();
    if harmless
        && !value.contains(['=', ' ', '\t', '[', '{', '@', '?'])
        && value.matches(['"', '\'']).count() <= 2
    {
        line.len()
    } else {
        name.find(['"', '\'']).unwrap_or(name.len())
    }
}

/// How much of a line is a header, or the key before its value.
fn key_prefix(line: &str) -> usize {
    let bare = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. \t".contains(&b));
    match line.find('=') {
        _ if is_header(line) => line.len(),
        Some(end) if bare(&line[..end]) => end,
        _ => 0,
    }
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[') && !line.contains(['"', '\'', '=', ','])
}

/// Whether the value of a known key holds no secret. Some write one into a URL all the same.
fn may_be_shown(form: Form, pattern: &str, value: &DeValue<'_>) -> bool {
    let url_with_more =
        |kind| kind == Kind::Url && value.as_str().is_some_and(|url| url.contains(['@', '?']));
    form.find(pattern).is_some_and(|key| !key.kind.is_secret() && !url_with_more(key.kind))
}

impl Places<'_> {
    /// Goes through a table; with `all`, nothing in it is known.
    fn table(&mut self, table: &DeTable<'_>, pattern: &str, all: bool) {
        for (key, value) in table.iter() {
            self.known.push(key.span());
            let inner = join(pattern, key.get_ref());
            let shape = self.form.shape(&inner).filter(|_| !all);
            match (shape, value.get_ref()) {
                (Some(Shape::Table), DeValue::Table(table)) => self.table(table, &inner, false),
                (Some(Shape::Tables), DeValue::Array(entries)) => {
                    self.array(entries, &format!("{inner}[]"), false);
                }
                (_, DeValue::Table(table)) => {
                    self.table(table, &inner, true);
                    // In `token = { "hunter2" }` the secret is a key. A header may be shown.
                    if self.text[value.span()].starts_with('{') {
                        self.hidden.push(value.span());
                    }
                }
                (Some(Shape::Value), other) if may_be_shown(self.form, &inner, other) => {
                    self.known.push(value.span());
                }
                (_, DeValue::Array(entries)) => self.array(entries, &inner, true),
                (_, other) => self.hide(other, value.span()),
            }
        }
    }

    fn array(&mut self, entries: &DeArray<'_>, pattern: &str, all: bool) {
        for entry in entries.iter() {
            let value = entry.get_ref();
            if let Some(table) = value.as_table() {
                self.table(table, pattern, all);
            } else if let Some(inner) = value.as_array() {
                self.array(inner, pattern, true);
            } else {
                self.hide(value, entry.span());
            }
        }
    }

    fn hide(&mut self, value: &DeValue<'_>, span: Range<usize>) {
        self.known.push(span.clone());
        match value.as_str() {
            Some(text) if secret::is_reference(text) => {}
            // The quotes may stay, so that one sees that it is text.
            Some(_) if span.len() >= 2 => self.hidden.push(span.start + 1..span.end - 1),
            _ => self.hidden.push(span),
        }
    }
}
