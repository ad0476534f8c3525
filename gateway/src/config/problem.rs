//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::keys::Form;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration can't be used.
    Mistake,
    /// It can, but a person should know.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// Bytes of the text that it's about; `None`: it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// The full key, `numbers[1].limits.messages_per_day`; empty where no key is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// A configuration as it was read: the text, where it came from, and where its relative paths
/// begin.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, as it's called in messages.
    pub file: PathBuf,
    /// The folder that relative paths in it are looked for in.
    pub base: PathBuf,
    /// What stands in it.
    pub text: String,
    /// What kind of file it is.
    pub form: Form,
}

impl Source {
    /// Takes `text` as the content of `file`, whose folder is where relative paths begin.
    #[must_use]
    pub fn new(file: &Path, text: String) -> Self {
        let base = file.parent().unwrap_or(Path::new("")).to_owned();
        Self { file: file.to_owned(), base, text, form: Form::Configuration }
    }

    /// Takes `text` as the content of the rate card `file`.
    #[must_use]
    pub fn rate_card(file: &Path, text: String) -> Self {
        Self { form: Form::RateCard, ..Self::new(file, text) }
    }

    /// Line and column of a byte of the text, both from 1; the column counts characters. What
    /// lies behind the text is at its end.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let mut before = &self.text[..offset];
        // A mistake found at the very end belongs to the last line, not to one that isn't there.
        if offset == self.text.len() && !self.text.is_empty() {
            before = before.strip_suffix('\n').unwrap_or(before);
            before = before.strip_suffix('\r').unwrap_or(before);
        }
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[start..].trim_start_matches('\u{feff}').chars().count() + 1;
        (line, column)
    }
}

/// The text may hold secrets, so it isn't shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Everything that is wrong with one configuration, in the order of its lines.
///
/// As an error it says the first mistake in one line; [`Problems::render`] shows them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The configuration.
    pub source: Source,
    /// What is wrong with it.
    pub list: Vec<Problem>,
}

impl Problems {
    /// One mistake that is about the file as a whole.
    pub(super) fn of_file(source: Source, message: String) -> Self {
        let key = String::new();
        let problem = Problem { severity: Severity::Mistake, span: None, key, message, help: None };
        Self::new(source, vec![problem])
    }

    /// Sorts `list` by place; what is about the file as a whole comes last.
    pub(super) fn new(source: Source, mut list: Vec<Problem>) -> Self {
        let place = |problem: &Problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start);
        list.sort_by(|a, b| place(a).cmp(&place(b)).then(a.severity.cmp(&b.severity)));
        list.dedup();
        Self { source, list }
    }

    /// Those of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Problem> {
        self.list.iter().filter(move |problem| problem.severity == severity)
    }

    /// Whether there is a mistake among them.
    #[must_use]
    pub fn refuse(&self) -> bool {
        self.of(Severity::Mistake).next().is_some()
    }

    /// `file:line:column`, or the file alone.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> String {
        let file = self.source.file.display();
        match &problem.span {
            Some(span) => {
                let (line, column) = self.source.position(span.start);
                format!("{file}:{line}:{column}")
            }
            None => file.to_string(),
        }
    }

    /// One problem in one line, for a log.
    #[must_use]
    pub fn line(&self, problem: &Problem) -> String {
        let help = problem.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        format!("{}: {key}{}{help}", self.place(problem), problem.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = self.of(Severity::Mistake).count();
        match self.of(Severity::Mistake).next() {
            Some(first) => {
                f.write_str(&self.line(first))?;
                if mistakes > 1 {
                    write!(f, "; and {} more", mistakes - 1)?;
                }
                Ok(())
            }
            None => write!(f, "{}: no mistakes", self.source.file.display()),
        }
    }
}

impl std::error::Error for Problems {}
