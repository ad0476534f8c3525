//! Takes values out of a parsed file by key, and notes everything that is wrong with them.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Fallback, Key};
use super::values::Fault;
use super::{Env, Problem, Severity, Source};

/// One reading of one file. Problems are gathered, never returned: reading goes on.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) env: Env<'a>,
    problems: RefCell<Vec<Problem>>,
    /// Places below which nothing is reported missing: what stands there is already complained
    /// about. An empty one excuses everything.
    excused: Vec<String>,
    /// What has been asked for, to prove that the list of keys and the code agree.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeSet<&'static str>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, env: Env<'a>, excused: Vec<String>) -> Self {
        Self {
            source,
            env,
            problems: RefCell::default(),
            excused,
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// The file's outermost table.
    pub(super) fn root<'r>(&'r self, table: &'r DeTable<'r>) -> Section<'r> {
        Section { reader: self, table: Some(table), path: String::new(), pattern: String::new(), span: None }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn excuses(&self, pattern: &str) -> bool {
        self.excused.iter().any(|place| {
            pattern
                .strip_prefix(place.as_str())
                .is_some_and(|rest| place.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn note(&self, severity: Severity, span: Option<Range<usize>>, key: String, fault: Fault) {
        let problem = Problem { severity, span, key, message: fault.message, help: fault.help };
        self.problems.borrow_mut().push(problem);
    }
}

/// One table of the file, or the place where it would be.
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader<'r>,
    table: Option<&'r DeTable<'r>>,
    path: String,
    pattern: String,
    /// The table's header, else that of the nearest table around it.
    span: Option<Range<usize>>,
}

impl<'r> Section<'r> {
    /// The table `name` in this one.
    pub(super) fn section(&self, name: &str) -> Section<'r> {
        let (path, pattern) = (join(&self.path, name), join(&self.pattern, name));
        match self.table.and_then(|table| table.get(name)) {
            Some(value) => Section {
                reader: self.reader,
                table: value.get_ref().as_table(),
                path,
                pattern,
                span: Some(value.span()),
            },
            None => Section { reader: self.reader, table: None, path, pattern, span: self.span.clone() },
        }
    }

    /// The entries of the array of tables `name`.
    pub(super) fn sections(&self, name: &str) -> Vec<Section<'r>> {
        let array = self.table.and_then(|table| table.get(name)).and_then(|value| value.get_ref().as_array());
        let (path, pattern) = (join(&self.path, name), join(&self.pattern, name));
        let entry = |(place, value): (usize, &'r Spanned<DeValue<'r>>)| Section {
            reader: self.reader,
            table: value.get_ref().as_table(),
            path: format!("{path}[{place}]"),
            pattern: format!("{pattern}[]"),
            span: Some(value.span()),
        };
        array.map_or(Vec::new(), |array| array.iter().enumerate().map(entry).collect())
    }

    /// Whether the key stands in the file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// The value of a key, or its default. `None`: it's optional and isn't there, or what is there
    /// has been complained about.
    pub(super) fn read<T>(
        &self,
        name: &str,
        convert: impl Fn(&Key, &DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        let key = self.key(name);
        match self.table.and_then(|table| table.get(name)) {
            Some(value) => match convert(key, value.get_ref()) {
                Ok(value) => Some(value),
                Err(fault) => {
                    self.mistake(name, fault);
                    None
                }
            },
            None => match key.default {
                Fallback::Is(text) => {
                    let value = DeValue::parse(text).expect("a test parses every default");
                    Some(convert(key, value.get_ref()).expect("a test reads every default"))
                }
                Fallback::Required => {
                    self.missing(name);
                    None
                }
                Fallback::Otherwise(_) => None,
            },
        }
    }

    /// The same for a value that has to be seen as the file has it, such as a secret: it has no
    /// default but may be required.
    pub(super) fn raw(&self, name: &str) -> Option<&'r Spanned<DeValue<'r>>> {
        let value = self.table.and_then(|table| table.get(name));
        if value.is_none() && self.key(name).default == Fallback::Required {
            self.missing(name);
        }
        value
    }

    fn key(&self, name: &str) -> &'static Key {
        let key = self.reader.source.form.find(&join(&self.pattern, name));
        let key = key.expect("a test asks for every key of the list");
        #[cfg(test)]
        self.reader.asked.borrow_mut().insert(key.path);
        key
    }

    /// Notes a mistake in the value of `name`, or in the table where it would be.
    pub(super) fn mistake(&self, name: &str, fault: Fault) {
        self.reader.note(Severity::Mistake, self.span_of(name), join(&self.path, name), fault);
    }

    /// Notes something about the value of `name` that a person should know.
    pub(super) fn warn(&self, name: &str, fault: Fault) {
        let excused = !self.has(name) && self.reader.excuses(&join(&self.pattern, name));
        if !excused {
            self.reader.note(Severity::Warning, self.span_of(name), join(&self.path, name), fault);
        }
    }

    /// Notes something about one entry of the list `name`, or about its only value.
    pub(super) fn note_entry(&self, severity: Severity, name: &str, entry: &Entry<'_>, fault: Fault) {
        let path = join(&self.path, name);
        let key = entry.place.map_or(path.clone(), |place| format!("{path}[{place}]"));
        self.reader.note(severity, Some(entry.value.span()), key, fault);
    }

    /// Notes a mistake about the table itself.
    pub(super) fn mistake_here(&self, fault: Fault) {
        if !self.reader.excuses(&self.pattern) {
            self.reader.note(Severity::Mistake, self.span.clone(), self.path.clone(), fault);
        }
    }

    fn missing(&self, name: &str) {
        if self.reader.excuses(&join(&self.pattern, name)) {
            return;
        }
        let fault = match self.table {
            Some(_) => Fault::new(format!("`{name}` is required and missing")),
            None => {
                Fault::new(format!("`{name}` is required and missing, and so is its table `[{}]`", self.path))
            }
        };
        self.mistake(name, fault);
    }

    fn span_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.and_then(|table| table.get(name)).map(Spanned::span).or_else(|| self.span.clone())
    }
}

/// A value on its own, or one of a list.
pub(super) struct Entry<'r> {
    pub(super) value: &'r Spanned<DeValue<'r>>,
    /// Its place in the list, from 0.
    pub(super) place: Option<usize>,
}

/// `table.name`, or the name alone in the outermost table.
pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}
