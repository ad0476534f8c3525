//! What is wrong with the file before it's even a configuration.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::{Problem, Severity, Source};

/// Past this many a file isn't mistyped, it's something else.
const MOST: usize = 20;

/// A parsed file: what could be understood, and what couldn't.
pub(super) struct Parsed<'s> {
    pub(super) table: DeTable<'s>,
    pub(super) problems: Vec<Problem>,
    /// The lines that `problems` are about: what else seems wrong there follows from them.
    pub(super) lines: BTreeSet<usize>,
}

/// Parses the text. One mistake of a line is enough: the parser often sees several in one.
pub(super) fn parse(source: &Source) -> Parsed<'_> {
    let (table, mut errors) = DeTable::parse_recoverable(&source.text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut parsed = Parsed { table: table.into_inner(), problems: Vec::new(), lines: BTreeSet::new() };
    let mut in_array = false;
    for error in errors {
        // An array that isn't closed swallows the rest of the file and calls it wrong, line by line.
        let about_array = error.message().contains("array");
        if about_array && in_array {
            continue;
        }
        in_array |= about_array;
        let span = error.span().unwrap_or(0..0);
        let (line, _) = source.position(span.start);
        if parsed.lines.insert(line) && parsed.problems.len() < MOST {
            let help = about_array.then(|| "is every `[` closed by a `]`, with commas between?".to_owned());
            let message = error.message().to_owned();
            let problem =
                Problem { severity: Severity::Mistake, span: Some(span), key: String::new(), message, help };
            parsed.problems.push(problem);
        }
    }
    parsed
}
