//! Finds what has no place in the configuration, and the nearest thing that has.

use toml::de::{DeTable, DeValue};

use super::keys::{Form, Shape};
use super::reader::join;
use super::{Problem, Severity};

/// Words less alike than this aren't proposed for one another.
const ALIKE: f64 = 0.6;
/// Words this much alike are the same word, mistyped.
const MISTYPED: f64 = 0.75;
/// A key longer than this is cut in messages.
const LONGEST_KEY: usize = 60;

/// What has no place in a file.
#[derive(Debug)]
pub(super) struct Misplaced {
    form: Form,
    pub(super) problems: Vec<Problem>,
    /// Where something was meant to stand: nothing more needs to be said to be missing there.
    pub(super) excused: Vec<String>,
}

/// Goes through the whole file.
pub(super) fn misplaced(form: Form, root: &DeTable<'_>) -> Misplaced {
    let mut found = Misplaced { form, problems: Vec::new(), excused: Vec::new() };
    found.table(root, "", "");
    found
}

impl Misplaced {
    fn table(&mut self, table: &DeTable<'_>, path: &str, pattern: &str) {
        for (key, value) in table.iter() {
            let name = shown(key.get_ref());
            let path = join(path, &name);
            let inner = join(pattern, key.get_ref());
            let (problem, span) = match (self.form.shape(&inner), value.get_ref()) {
                (Some(Shape::Value), _) => continue,
                (Some(Shape::Table), DeValue::Table(table)) => {
                    self.table(table, &path, &inner);
                    continue;
                }
                (Some(Shape::Tables), DeValue::Array(entries)) => {
                    self.entries(entries, &path, &inner);
                    continue;
                }
                (Some(Shape::Table), _) => {
                    self.excused.push(inner);
                    let message = format!("`{name}` is a table of its own");
                    (
                        (message, Some(format!("write `[{path}]`, and its keys in the lines below"))),
                        key.span(),
                    )
                }
                (Some(Shape::Tables), _) => {
                    self.excused.push(inner);
                    let message = format!("there may be several `{name}`");
                    ((message, Some(format!("write `[[{path}]]`, with two brackets"))), value.span())
                }
                (None, _) => {
                    let help = self.suggest(key.get_ref(), pattern);
                    let place = if pattern.is_empty() { self.form.noun() } else { "this table" };
                    ((format!("`{name}` is not a key of {place}"), Some(help)), key.span())
                }
            };
            self.problems.push(Problem {
                severity: Severity::Mistake,
                span: Some(span),
                key: path,
                message: problem.0,
                help: problem.1,
            });
        }
    }

    fn entries(&mut self, entries: &toml::de::DeArray<'_>, path: &str, pattern: &str) {
        for (place, entry) in entries.iter().enumerate() {
            let path = format!("{path}[{place}]");
            match entry.get_ref().as_table() {
                Some(table) => self.table(table, &path, &format!("{pattern}[]")),
                None => {
                    self.excused.push(format!("{pattern}[]"));
                    self.problems.push(Problem {
                        severity: Severity::Mistake,
                        span: Some(entry.span()),
                        key: path,
                        message: "every entry is a table".to_owned(),
                        help: None,
                    });
                }
            }
        }
    }

    /// The nearest valid key: mistyped here, at home elsewhere, alike here, alike elsewhere, or
    /// else what is valid here.
    fn suggest(&mut self, name: &str, pattern: &str) -> String {
        let here = self.form.children(pattern);
        let best = here.iter().map(|word| (alike(name, word), *word)).max_by(|a, b| a.0.total_cmp(&b.0));
        let mut mean_here = |word: &str| {
            self.excused.push(join(pattern, word));
            format!("did you mean `{word}`?")
        };
        if let Some((_, word)) = best.filter(|(likeness, _)| *likeness >= MISTYPED) {
            return mean_here(word);
        }
        let mut homes = homes(self.form, name);
        // A key that is at home further in was most likely meant there.
        if homes.iter().any(|home| home.starts_with(&join(pattern, ""))) {
            homes.retain(|home| home.starts_with(&join(pattern, "")));
        }
        if homes.is_empty()
            && let Some((_, word)) = best.filter(|(likeness, _)| *likeness >= ALIKE)
        {
            return mean_here(word);
        }
        if homes.is_empty() {
            homes = self
                .form
                .keys()
                .iter()
                .filter(|key| alike(name, key.name()) >= MISTYPED)
                .map(|key| key.path)
                .collect();
        }
        match homes.as_slice() {
            [] => format!("valid here: {}", here.join(", ")),
            homes => {
                // A key that belongs elsewhere is usually missed there.
                self.excused.extend(homes.iter().map(|home| (*home).to_owned()));
                let named: Vec<String> = homes.iter().take(3).map(|home| named(self.form, home)).collect();
                format!("did you mean {}?", named.join(" or "))
            }
        }
    }
}

/// The keys and tables of this name in any table.
fn homes(form: Form, name: &str) -> Vec<&'static str> {
    let mut homes: Vec<&'static str> = Vec::new();
    for key in form.keys() {
        let mut end = 0;
        for part in key.path.split('.') {
            end += part.len();
            let home = key.path[..end].trim_end_matches("[]");
            if part.trim_end_matches("[]") == name && !homes.contains(&home) {
                homes.push(home);
            }
            end += 1;
        }
    }
    homes
}

/// A key as one would say where it stands: `[webhook] verify_token`.
fn named(form: Form, path: &str) -> String {
    let header = |path: &str| match path.strip_suffix("[]") {
        Some(tables) => format!("[[{}]]", tables.replace("[]", "")),
        None => format!("[{}]", path.replace("[]", "")),
    };
    match (form.shape(path), path.rsplit_once('.')) {
        (Some(Shape::Value), Some((table, name))) => format!("`{} {name}`", header(table)),
        (Some(Shape::Tables), _) => format!("`{}`", header(&format!("{path}[]"))),
        _ => format!("`{}`", header(path)),
    }
}

/// The most alike of `words`, if it is alike enough.
pub(super) fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|word| (alike(text, word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// How much two words are alike, 0 to 1; case and the difference of `-` and `_` count for nothing.
fn alike(a: &str, b: &str) -> f64 {
    // A key of a million characters is like no other, and isn't worth the time to prove it.
    if a.len() > 2 * LONGEST_KEY {
        return 0.0;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    strsim::normalized_damerau_levenshtein(&plain(a), &plain(b))
}

/// A key as it's written in messages: bare, or in quotes, and never very long.
fn shown(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let mut text = if bare { key.to_owned() } else { format!("{key:?}") };
    if text.chars().count() > LONGEST_KEY {
        text = text.chars().take(LONGEST_KEY).chain("...".chars()).collect();
    }
    text
}
