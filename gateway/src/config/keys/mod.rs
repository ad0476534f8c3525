//! Every key of the configuration: the one list that reading, suggesting and the reference in
//! `docs/operating/configuration.md` go by.
//!
//! A path names tables by dots and the entries of an array of tables by `[]`. The rate card, a file that the
//! configuration names, has a list of its own ([`Form`]).

mod api;
mod card;
mod list;
mod network;

#[cfg(test)]
pub(super) use api::SCOPES;
pub use card::CARD_KEYS;

/// All keys of the configuration, in the order in which the reference shows them.
pub static KEYS: &[Key] = &joined::<{ length(LISTS) }>(LISTS);

const LISTS: &[&[Key]] = &[list::INWARD, api::API, list::OUTWARD, network::NETWORK];

const fn length(lists: &[&[Key]]) -> usize {
    let (mut sum, mut list) = (0, 0);
    while list < lists.len() {
        sum += lists[list].len();
        list += 1;
    }
    sum
}

const fn joined<const N: usize>(lists: &[&[Key]]) -> [Key; N] {
    let mut all = [lists[0][0]; N];
    let (mut place, mut list) = (0, 0);
    while list < lists.len() {
        let mut within = 0;
        while within < lists[list].len() {
            all[place] = lists[list][within];
            (place, within) = (place + 1, within + 1);
        }
        list += 1;
    }
    all
}

/// What a file is, and so which keys may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The configuration itself.
    Configuration,
    /// The rate card that it may name.
    RateCard,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands, `numbers[].limits.messages_per_day`.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What happens without it.
    pub default: Fallback,
    /// What it's for, in one line of Markdown.
    pub meaning: &'static str,
}

/// What a key holds. Both ends of a range belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text that isn't empty.
    Text,
    /// Text with a shape of its own, told in a few words.
    Shaped(&'static str),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number of this range.
    Integer(u64, u64),
    /// A number of 0 to 1.
    Share,
    /// A size of this range.
    Size(&'static str, &'static str),
    /// A time of this range.
    Time(&'static str, &'static str),
    /// This word, or a time of this range.
    WordOrTime(&'static str, &'static str, &'static str),
    /// A file or folder; relative to the folder of the configuration file.
    Path,
    /// An IP address and a port.
    Listen,
    /// An `http` or `https` address with a host.
    Url,
    /// A list of texts.
    Texts,
    /// A list of some of these words.
    Choices(&'static [&'static str]),
    /// A secret.
    Secret,
    /// A secret, or a list of two of them.
    Secrets,
}

/// What happens without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing works without it.
    Required,
    /// This value, in TOML, takes its place.
    Is(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

/// The most that a limit can be set to: a thousand million is more than any number can send.
const MANY: u64 = 1_000_000_000;

/// What may stand at a place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A key with a value.
    Value,
    /// `[table]`
    Table,
    /// `[[table]]`
    Tables,
}

impl Form {
    /// All keys that may stand in it.
    #[must_use]
    pub fn keys(self) -> &'static [Key] {
        match self {
            Self::Configuration => KEYS,
            Self::RateCard => CARD_KEYS,
        }
    }

    /// What it's called in messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Configuration => "a configuration",
            Self::RateCard => "a rate card",
        }
    }

    /// The key at `pattern`, if there is one.
    pub(super) fn find(self, pattern: &str) -> Option<&'static Key> {
        self.keys().iter().find(|key| key.path == pattern)
    }

    /// What may stand at `pattern`: the parents of keys are tables.
    pub(super) fn shape(self, pattern: &str) -> Option<Shape> {
        self.keys().iter().find_map(|key| match key.path.strip_prefix(pattern)? {
            "" => Some(Shape::Value),
            rest if rest.starts_with('.') => Some(Shape::Table),
            rest if rest.starts_with("[]") => Some(Shape::Tables),
            _ => None,
        })
    }

    /// The names that may stand in the table at `pattern` (the root is empty), each once.
    pub(super) fn children(self, pattern: &str) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for key in self.keys() {
            let rest = match pattern {
                "" => Some(key.path),
                _ => key.path.strip_prefix(pattern).and_then(|rest| rest.strip_prefix('.')),
            };
            if let Some(name) = rest.and_then(|rest| rest.split(['.', '[']).next())
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }
}

impl Key {
    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// Its line in the table of `docs/operating/configuration.md`.
    #[must_use]
    pub fn reference(&self) -> String {
        let default = match self.default {
            Fallback::Required => "**required**".to_owned(),
            Fallback::Is(value) => format!("`{value}`"),
            Fallback::Otherwise(words) => words.to_owned(),
        };
        format!("| `{}` | {} | {default} | {} |", self.path, self.kind.words(), self.meaning)
    }
}

impl Kind {
    /// What may stand there, in a few words of Markdown.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Shaped(words) => words.to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::Flag => "true, false".to_owned(),
            Self::Integer(low, MANY) => format!("{low} or more"),
            Self::Integer(low, high) => format!("{low} to {high}"),
            Self::Share => "0 to 1".to_owned(),
            Self::Size(low, high) => format!("size, {low} to {high}"),
            Self::Time(low, high) => format!("time, {low} to {high}"),
            Self::WordOrTime(word, low, high) => format!("`\"{word}\"`, or a time, {low} to {high}"),
            Self::Path => "path".to_owned(),
            Self::Listen => "IP address and port".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Texts => "list of texts".to_owned(),
            Self::Choices(words) => format!("list of {}", words.join(", ")),
            Self::Secret => "secret".to_owned(),
            Self::Secrets => "secret, or a list of two".to_owned(),
        }
    }

    /// Whether the value must never be shown.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{reader::Reader, sections, syntax, units};
    use super::*;
    use crate::config::Source;

    #[test]
    fn every_key_is_asked_for_and_every_default_can_be_read() {
        let tables = "[[numbers]]\n[[api.clients]]\n[api.tls]\ncertificate = \"x\"\n[[whatsapp.endpoints]]\n[[crm.endpoints]]\n[webhook.tls]\n";
        let mut asked = BTreeSet::new();
        for tls in ["certificate = \"x\"", "acme = {}", "off = true"] {
            let text = format!("{tables}{tls}\n");
            let source = Source::new(std::path::Path::new("wagate.toml"), text);
            let mended = syntax::mend(&source);
            let parsed = syntax::parse(&source, &mended);
            assert_eq!(parsed.problems, []);
            let reader = Reader::new(&source, &|_| None, Vec::new());
            sections::config(&reader.root(&parsed.table));
            asked.extend(reader.asked.borrow().iter().copied());
        }
        let known: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
        assert_eq!(asked, known);
        assert_eq!(known.len(), KEYS.len(), "a key is in the list twice");
    }

    #[test]
    fn every_key_of_a_rate_card_is_asked_for_and_every_default_can_be_read() {
        let mut asked = BTreeSet::new();
        for text in ["[[markets]]\n[other]\n", "[[cards]]\n[[cards.markets]]\n[cards.other]\n"] {
            let source = Source::rate_card(std::path::Path::new("card.toml"), text.to_owned());
            let mended = syntax::mend(&source);
            let parsed = syntax::parse(&source, &mended);
            let reader = Reader::new(&source, &|_| None, Vec::new());
            sections::cards(&reader.root(&parsed.table));
            asked.extend(reader.asked.borrow().iter().copied());
        }
        let known: BTreeSet<&str> = CARD_KEYS.iter().map(|key| key.path).collect();
        assert_eq!(asked, known);
        assert_eq!(known.len(), CARD_KEYS.len(), "a key is in the list twice");
    }

    #[test]
    fn every_bound_can_be_read() {
        for key in KEYS {
            if let Kind::Size(low, high) = key.kind {
                assert!(units::size(low).unwrap() < units::size(high).unwrap(), "{}", key.path);
            } else if let Kind::Time(low, high) | Kind::WordOrTime(_, low, high) = key.kind {
                assert!(units::duration(low).unwrap() < units::duration(high).unwrap(), "{}", key.path);
            }
        }
    }

    #[test]
    fn a_place_is_a_key_a_table_or_several() {
        let form = Form::Configuration;
        assert_eq!(form.shape("store.path"), Some(Shape::Value));
        assert_eq!(form.shape("numbers[].limits"), Some(Shape::Table));
        assert_eq!(form.shape("whatsapp.endpoints"), Some(Shape::Tables));
        assert_eq!(form.shape("whatsapp.endpoint"), None);
        assert_eq!(form.shape("web"), None);
        assert_eq!(form.children("crm.endpoints[]"), ["name", "url", "timeout", "ca"]);
        let tables = [
            "store", "webhook", "api", "numbers", "whatsapp", "crm", "standby", "costs", "clock", "log",
            "network",
        ];
        assert_eq!(form.children(""), tables);
        assert_eq!(Form::RateCard.shape("cards[].markets"), Some(Shape::Tables));
    }
}
