//! What is wrong with the file before it's even a configuration.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, Error};

use super::{Problem, Severity, Source};

/// Past this many a file isn't mistyped, it's something else.
const MOST: usize = 20;

/// A parsed file: what could be understood, and what couldn't.
pub(super) struct Parsed<'t> {
    pub(super) table: DeTable<'t>,
    pub(super) problems: Vec<Problem>,
    /// The lines that `problems` are about: what else seems wrong there follows from them.
    pub(super) lines: BTreeSet<usize>,
}

/// A text without the lines that would stop the parser, each character in its place.
pub(super) struct Mended {
    text: String,
    stops: Vec<Error>,
}

/// Takes out the lines that are no `key = value`: the parser would look no further than the first
/// of them.
pub(super) fn mend(source: &Source) -> Mended {
    let mut mended = Mended { text: source.text.clone(), stops: Vec::new() };
    while mended.stops.len() < MOST {
        let (_, errors) = DeTable::parse_recoverable(&mended.text);
        let stop = errors.into_iter().find(|error| error.message().starts_with("key with no value"));
        let Some(stop) = stop else { break };
        let line = line_around(&mended.text, stop.span().map_or(0, |span| span.start));
        if mended.text[line.clone()].trim().is_empty() {
            break;
        }
        let blanks = " ".repeat(line.len());
        mended.text.replace_range(line, &blanks);
        mended.stops.push(stop);
    }
    mended
}

/// Parses the text. One mistake of a line is enough: the parser often sees several in one.
pub(super) fn parse<'t>(source: &Source, mended: &'t Mended) -> Parsed<'t> {
    let (table, mut errors) = DeTable::parse_recoverable(&mended.text);
    let table = table.into_inner();
    errors.extend(mended.stops.iter().cloned());
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut parsed = Parsed { table, problems: Vec::new(), lines: BTreeSet::new() };
    for error in without_echoes(errors) {
        let mut span = error.span().unwrap_or(0..0);
        let mut problem = describe(source, &error, span.clone());
        if error.message().contains("unclosed array") || error.message().contains("array elements") {
            // It's seen where the next thing begins, and to be mended where the list does.
            let start = source.text[..span.start].rfind('[').unwrap_or(span.start);
            parsed.lines.insert(source.position(span.start).0);
            span = start..start + 1;
            problem.span = Some(span.clone());
            problem.message = "this list isn't closed, or a comma is missing in it".to_owned();
        }
        if parsed.lines.insert(source.position(span.start).0) && parsed.problems.len() < MOST {
            parsed.problems.push(problem);
        }
    }
    parsed
}

fn line_around(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    start..end
}

/// A list that isn't closed swallows what follows it, and calls it wrong line by line: of that,
/// only the first is of use.
fn without_echoes(errors: Vec<Error>) -> Vec<Error> {
    let unclosed = errors.iter().any(|error| error.message().contains("unclosed array"));
    let first = errors.iter().position(|error| unclosed && error.message().contains("array"));
    let count = first.map_or(errors.len(), |first| first + 1);
    errors.into_iter().take(count).collect()
}

fn describe(source: &Source, error: &Error, span: Range<usize>) -> Problem {
    let word = source.text.get(span.clone()).filter(|word| is_bare(word)).unwrap_or_default();
    let mut key = String::new();
    let mut help = None;
    let mut message = error.message().to_owned();
    if message == "duplicate key" && !word.is_empty() {
        word.clone_into(&mut key);
        message = format!("`{word}` stands in this table twice; this is the second");
    } else {
        let line = line_around(&source.text, span.start);
        let (name, value) = source.text[line.clone()].split_once('=').unwrap_or_default();
        let in_value = !name.is_empty() && span.start > line.start + name.len();
        if in_value && is_bare(name.trim()) {
            name.trim().clone_into(&mut key);
        }
        if in_value && !value.trim_start().starts_with(['"', '\'', '[', '{']) {
            message = format!("this value can't be read: {message}");
            help = Some("text stands in quotes; without them: numbers, true, false".to_owned());
        }
    }
    Problem { severity: Severity::Mistake, span: Some(span), key, message, help }
}

/// Whether a word can be a key without quotes, and is short enough to be repeated.
fn is_bare(word: &str) -> bool {
    word.len() <= 60 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
