//! From a file to a configuration.

use std::io::Read;
use std::path::Path;

use super::keys::Form;
use super::reader::Reader;
use super::syntax::Parsed;
use super::types::CrmKind;
use super::{Config, Problem, Problems, Severity, Source, rate_card, secret, sections, syntax, unknown};

/// Looks up a variable of the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. A value that isn't UTF-8 counts as not set.
#[must_use]
pub fn system_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A configuration larger than this is something else.
const MAX_FILE: u64 = 1024 * 1024;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What a person should know about it; no mistakes among them.
    pub warnings: Problems,
    /// What is wrong with the rate card that it names; the configuration then has none. Prices are known
    /// by nobody else, so this stops no start: it is to be said loudly.
    pub rate_card: Option<Problems>,
}

impl Loaded {
    /// The text that it was read from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.warnings.source
    }

    /// Reads the secrets again, from where this configuration (not a newer file) says that they
    /// are. Nothing but secrets can differ in the answer.
    ///
    /// # Errors
    /// When a secret can't be read any more; the old ones are then the ones to go on with.
    pub fn reload_secrets(&self, env: Env<'_>) -> Result<Config, Problems> {
        parse(self.source().clone(), env).map(|loaded| loaded.config)
    }

    /// What the configuration asks for and this version of the program can't do yet.
    #[must_use]
    pub fn not_yet(&self) -> Vec<Problem> {
        let not_yet = |wanted: bool, key: &str, what: &str| {
            wanted.then(|| Problem {
                severity: Severity::Mistake,
                span: None,
                key: key.to_owned(),
                message: format!("this version of wagate can't do {what} yet"),
                help: None,
            })
        };
        let crm = &self.config.crm;
        let kind = not_yet(crm.kind != CrmKind::Http, "crm.kind", "any kind of CRM but \"http\"");
        kind.into_iter().collect()
    }
}

/// Reads a configuration, and the secrets that it names.
///
/// # Errors
/// With everything that is wrong with it.
pub fn load(path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    match read(path, Form::Configuration) {
        Ok(text) => {
            let mut source = Source::new(path, text);
            // So that it still holds when the text is kept and read again from another folder.
            if let Ok(absolute) = std::path::absolute(path) {
                source.base = absolute.parent().unwrap_or(&absolute).to_owned();
            }
            parse(source, env)
        }
        Err(message) => Err(Problems::of_file(Source::new(path, String::new()), message)),
    }
}

/// The text of a file, or why there is none.
pub(super) fn read(path: &Path, form: Form) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("can't be read: {}", secret::reason(&error));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("this file is larger than 1 MiB: it isn't {}", form.noun()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        format!("line {} isn't UTF-8: save the file as UTF-8 text", line + 1)
    })
}

/// The same for a text that has been read already.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse(source: Source, env: Env<'_>) -> Result<Loaded, Problems> {
    let (config, list) = examine(&source, env);
    let problems = Problems::new(source, list);
    match config {
        Some(mut config) if !problems.refuse() => {
            let rate_card = match config.costs.rate_card.as_deref().map(rate_card::read) {
                None => None,
                Some(Ok(cards)) => {
                    config.costs.cards = cards;
                    None
                }
                Some(Err(problems)) => Some(problems),
            };
            Ok(Loaded { config, warnings: problems, rate_card })
        }
        _ => Err(problems),
    }
}

fn examine(source: &Source, env: Env<'_>) -> (Option<Config>, Vec<Problem>) {
    let mended = syntax::mend(source);
    let parsed = syntax::parse(source, &mended);
    let misplaced = unknown::misplaced(source.form, &parsed.table);
    let mut excused = misplaced.excused;
    if !parsed.problems.is_empty() {
        // What seems to be missing may stand in what couldn't be understood.
        excused.push(String::new());
    }
    let reader = Reader::new(source, env, excused);
    let config = sections::config(&reader.root(&parsed.table));
    let list = together(source, parsed, misplaced.problems, reader.into_problems());
    (config, list)
}

/// All problems, without those that follow from a line that can't be parsed.
pub(super) fn together(
    source: &Source,
    parsed: Parsed<'_>,
    misplaced: Vec<Problem>,
    read: Vec<Problem>,
) -> Vec<Problem> {
    let mut list = parsed.problems;
    list.extend(misplaced.into_iter().chain(read).filter(|problem| {
        let line = problem.span.as_ref().map(|span| source.position(span.start).0);
        line.is_none_or(|line| !parsed.lines.contains(&line))
    }));
    list
}
