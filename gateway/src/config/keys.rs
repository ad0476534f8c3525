//! Every key of the configuration: the one list that reading, suggesting and the reference in
//! `docs/operating/configuration.md` go by.
//!
//! A path names tables by dots and the entries of an array of tables by `[]`.

/// One key.
#[derive(Debug)]
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
    /// A file or folder; relative to the folder of the configuration file.
    Path,
    /// An IP address and a port.
    Listen,
    /// An `http` or `https` address with a host.
    Url,
    /// A list of texts.
    Texts,
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

use Fallback::{Is, Otherwise, Required};
use Kind::{
    Choice, Flag, Integer, Listen, Path, Secret, Secrets, Shaped, Share, Size, Text, Texts, Time, Url,
};

const fn key(path: &'static str, kind: Kind, default: Fallback, meaning: &'static str) -> Key {
    Key { path, kind, default, meaning }
}

/// The most that a limit can be set to: a thousand million is more than any number can send.
const MANY: u64 = 1_000_000_000;

/// All keys, in the order in which the reference shows them.
pub static KEYS: &[Key] = &[
    key("store.path", Path, Is(r#""/var/lib/wagate""#), "the folder of the store"),
    key(
        "store.max_size",
        Size("1MiB", "64TiB"),
        Is(r#""4GiB""#),
        "budget of live data; past it delivered history goes first, then webhooks get 503 and Meta retries",
    ),
    key(
        "store.history",
        Time("1s", "36500d"),
        Is(r#""180d""#),
        "how long delivered records are kept; counted in time that the box saw pass",
    ),
    key(
        "store.log_segment",
        Size("64KiB", "1GiB"),
        Is(r#""16MiB""#),
        "size of a segment of the intake log, a multiple of 4 KiB; smaller only for very small file systems",
    ),
    key(
        "store.log_segments",
        Integer(2, 64),
        Is("4"),
        "how many segments the intake log has; they are allocated at the first start",
    ),
    key("webhook.listen", Listen, Is(r#""0.0.0.0:443""#), "the public listener"),
    key(
        "webhook.path",
        Shaped("path of a URL"),
        Is(r#""/webhook""#),
        "the path that Meta calls; every other path is 404",
    ),
    key("webhook.verify_token", Secret, Required, "what Meta has to say in the handshake"),
    key("webhook.app_secret", Secrets, Required, "what Meta signs webhooks with; two while it is rotated"),
    key(
        "webhook.tls.self_signed",
        Flag,
        Otherwise("one kind of `tls` is required"),
        "a certificate of the box's own, kept in the store (trials and relays: Meta refuses it)",
    ),
    key(
        "webhook.tls.certificate",
        Path,
        Otherwise("one kind of `tls` is required"),
        "PEM file of the certificate chain; reloaded when it changes",
    ),
    key("webhook.tls.key", Path, Otherwise("required beside `certificate`"), "PEM file of the private key"),
    key(
        "webhook.tls.acme.domains",
        Texts,
        Otherwise("required within `acme`, one kind of `tls`"),
        "the names to get a certificate for",
    ),
    key(
        "webhook.tls.acme.contact",
        Shaped("`mailto:` and an address"),
        Otherwise("none"),
        "whom the certificate authority may write to",
    ),
    key(
        "webhook.tls.acme.directory",
        Url,
        Is(r#""https://acme-v02.api.letsencrypt.org/directory""#),
        "directory of the certificate authority",
    ),
    key(
        "webhook.tls.acme.ca",
        Path,
        Otherwise("none"),
        "PEM file of a root to trust when the directory is asked",
    ),
    key(
        "webhook.tls.off",
        Flag,
        Otherwise("one kind of `tls` is required"),
        "plain HTTP; refused unless `webhook.listen` is a loopback address",
    ),
    key(
        "webhook.client_auth.mode",
        Choice(&["off", "optional", "required"]),
        Is(r#""off""#),
        "whether Meta's client certificate is asked for",
    ),
    key(
        "webhook.client_auth.ca",
        Path,
        Is(r#""meta-outbound-ca.pem""#),
        "PEM file of the root that it comes from; read unless `mode` is off",
    ),
    key(
        "webhook.client_auth.name",
        Shaped("host name"),
        Is(r#""client.webhooks.fbclientcerts.com""#),
        "the name that it bears",
    ),
    key(
        "api.listen",
        Listen,
        Is(r#""127.0.0.1:8080""#),
        "the listener for the CRM, the console and the operator's commands",
    ),
    key("api.token", Secret, Required, "the bearer token that they show"),
    key("numbers[].phone_number_id", Shaped("digits"), Required, "Meta's id of the number"),
    key(
        "numbers[].phone",
        Shaped("E.164, `\"+85291234567\"`"),
        Otherwise("as WhatsApp says"),
        "the number itself; also the region in which national forms are read",
    ),
    key(
        "numbers[].timezone",
        Shaped("IANA time zone"),
        Is(r#""Asia/Hong_Kong""#),
        "whose midnight begins the number's day",
    ),
    key(
        "numbers[].portfolio",
        Text,
        Is(r#""default""#),
        "Meta counts unique recipients per business portfolio: numbers of one name share that ledger",
    ),
    key(
        "numbers[].limits.messages_per_day",
        Integer(0, MANY),
        Is("1000"),
        "the store's own limit, by the number's local day",
    ),
    key(
        "numbers[].limits.api_calls_per_day",
        Integer(0, MANY),
        Is("10000"),
        "calls of the API, by the number's local day",
    ),
    key(
        "numbers[].limits.unique_recipients_per_24h",
        Integer(0, MANY),
        Is("250"),
        "Meta's limit outside the service window, a moving 24 h",
    ),
    key("numbers[].limits.messages_per_second", Integer(1, 1000), Is("80"), "Meta's limit of throughput"),
    key(
        "numbers[].limits.batch_above",
        Share,
        Is("0.8"),
        "past this share of any limit campaign messages go out in batches",
    ),
    key("numbers[].limits.batch_every", Time("1s", "1d"), Is(r#""15m""#), "how often such a batch goes out"),
    key(
        "whatsapp.endpoints[].name",
        Text,
        Otherwise("`meta`, then `backup`, `backup-2`, ..."),
        "what it is called in logs and metrics",
    ),
    key("whatsapp.endpoints[].url", Url, Required, "the base that `path` is put behind"),
    key(
        "whatsapp.endpoints[].header",
        Shaped("header name"),
        Otherwise("`Authorization: Bearer`"),
        "the header that the token goes into as it is",
    ),
    key("whatsapp.endpoints[].token", Secret, Otherwise("none is sent"), "the access token"),
    key(
        "whatsapp.endpoints[].path",
        Shaped("path of a URL"),
        Is(r#""/{phone_number_id}/messages""#),
        "where messages are posted",
    ),
    key(
        "whatsapp.endpoints[].numbers",
        Texts,
        Otherwise("all"),
        "the `phone_number_id`s that it serves; endpoint groups are kept per number",
    ),
    key(
        "whatsapp.health.every",
        Time("10ms", "7d"),
        Is(r#""1h""#),
        "between probes of a quiet, healthy endpoint",
    ),
    key(
        "whatsapp.health.recheck",
        Time("10ms", "1h"),
        Is(r#""10s""#),
        "after a bad probe, so that three strikes take seconds and not hours",
    ),
    key(
        "whatsapp.health.normal",
        Time("1ms", "1m"),
        Is(r#""800ms""#),
        "an answer within this time is as it should be",
    ),
    key(
        "whatsapp.health.slow",
        Time("1ms", "1m"),
        Is(r#""1500ms""#),
        "slower than this, or failed, is a strike; at least `normal`",
    ),
    key("whatsapp.health.strikes", Integer(1, 100), Is("3"), "how many strikes put an endpoint out of use"),
    key(
        "whatsapp.health.recover",
        Integer(1, 100),
        Is("3"),
        "good probes in a row before going back to a preferred endpoint",
    ),
    key(
        "whatsapp.health.timeout",
        Time("10ms", "5m"),
        Is(r#""5s""#),
        "of a probe; a live send that is unanswered after `slow` is a strike, and is waited for 30 s",
    ),
    key("crm.kind", Choice(&["http", "tryton"]), Is(r#""http""#), "which program the CRM is"),
    key(
        "crm.mode",
        Choice(&["realtime", "batch"]),
        Is(r#""realtime""#),
        "each record at once, or several together",
    ),
    key("crm.batch_every", Time("100ms", "1d"), Is(r#""15m""#), "between two batches, in batch mode"),
    key("crm.batch_size", Integer(1, 1000), Is("100"), "records in a batch at most, in batch mode"),
    key("crm.timeout", Time("10ms", "5m"), Is(r#""10s""#), "how long the CRM has for its answer"),
    key(
        "crm.signing_secret",
        Secrets,
        Otherwise("deliveries are unsigned, with a warning"),
        "what deliveries are signed with: `whsec_` and base 64, or plain text; two while it is rotated",
    ),
    key(
        "crm.endpoints[].name",
        Text,
        Otherwise("`primary`, then `backup`, `backup-2`, ..."),
        "what it is called in logs and metrics",
    ),
    key("crm.endpoints[].url", Url, Required, "where records are posted to"),
    key("crm.health.every", Time("10ms", "7d"), Is(r#""1h""#), "between probes of a quiet, healthy endpoint"),
    key("crm.health.recheck", Time("10ms", "1h"), Is(r#""10s""#), "after a bad probe"),
    key(
        "crm.health.normal",
        Time("1ms", "1m"),
        Is(r#""800ms""#),
        "an answer within this time is as it should be",
    ),
    key(
        "crm.health.slow",
        Time("1ms", "1m"),
        Is(r#""1500ms""#),
        "slower than this, or failed, is a strike; at least `normal`",
    ),
    key("crm.health.strikes", Integer(1, 100), Is("3"), "how many strikes put an endpoint out of use"),
    key(
        "crm.health.recover",
        Integer(1, 100),
        Is("3"),
        "good probes in a row before going back to a preferred endpoint",
    ),
    key("crm.health.timeout", Time("10ms", "5m"), Is(r#""5s""#), "of a probe"),
    key(
        "crm.health.path",
        Shaped("path of a URL"),
        Otherwise("the endpoint's own address"),
        "what is asked for with GET in a probe, on the endpoint's host",
    ),
    key(
        "log.format",
        Choice(&["auto", "human", "json"]),
        Is(r#""auto""#),
        "for whom log lines are written; auto: human on a terminal, JSON elsewhere",
    ),
    key(
        "log.level",
        Choice(&["error", "warn", "info", "debug", "trace"]),
        Is(r#""info""#),
        "the least serious lines that are written; the environment's `WAGATE_LOG` wins over it",
    ),
];

/// The key at `pattern`, if there is one.
pub(super) fn find(pattern: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == pattern)
}

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

/// What may stand at `pattern`: the parents of keys are tables.
pub(super) fn shape(pattern: &str) -> Option<Shape> {
    KEYS.iter().find_map(|key| match key.path.strip_prefix(pattern)? {
        "" => Some(Shape::Value),
        rest if rest.starts_with('.') => Some(Shape::Table),
        rest if rest.starts_with("[]") => Some(Shape::Tables),
        _ => None,
    })
}

/// The names that may stand in the table at `pattern` (the root is empty), each once.
pub(super) fn children(pattern: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
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
            Required => "**required**".to_owned(),
            Is(value) => format!("`{value}`"),
            Otherwise(words) => words.to_owned(),
        };
        format!("| `{}` | {} | {default} | {} |", self.path, self.kind.words(), self.meaning)
    }
}

impl Kind {
    fn words(self) -> String {
        match self {
            Text => "text".to_owned(),
            Shaped(words) => words.to_owned(),
            Choice(words) => words.join(", "),
            Flag => "true, false".to_owned(),
            Integer(low, MANY) => format!("{low} or more"),
            Integer(low, high) => format!("{low} to {high}"),
            Share => "0 to 1".to_owned(),
            Size(low, high) => format!("size, {low} to {high}"),
            Time(low, high) => format!("time, {low} to {high}"),
            Path => "path".to_owned(),
            Listen => "IP address and port".to_owned(),
            Url => "URL".to_owned(),
            Texts => "list of texts".to_owned(),
            Secret => "secret".to_owned(),
            Secrets => "secret, or a list of two".to_owned(),
        }
    }

    /// Whether the value must never be shown.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Secret | Secrets)
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
        let tables = "[[numbers]]\n[[whatsapp.endpoints]]\n[[crm.endpoints]]\n[webhook.tls]\n";
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
    fn every_bound_can_be_read() {
        for key in KEYS {
            if let Size(low, high) = key.kind {
                assert!(units::size(low).unwrap() < units::size(high).unwrap(), "{}", key.path);
            } else if let Time(low, high) = key.kind {
                assert!(units::duration(low).unwrap() < units::duration(high).unwrap(), "{}", key.path);
            }
        }
    }

    #[test]
    fn a_place_is_a_key_a_table_or_several() {
        assert_eq!(shape("store.path"), Some(Shape::Value));
        assert_eq!(shape("numbers[].limits"), Some(Shape::Table));
        assert_eq!(shape("whatsapp.endpoints"), Some(Shape::Tables));
        assert_eq!(shape("whatsapp.endpoint"), None);
        assert_eq!(shape("web"), None);
        assert_eq!(children("crm.endpoints[]"), ["name", "url"]);
        assert_eq!(children(""), ["store", "webhook", "api", "numbers", "whatsapp", "crm", "log"]);
    }
}
