//! The files that a configuration names, and which names a box may take from a medium.

use std::collections::BTreeSet;

use crate::config::keys::{Fallback, KEYS, Key, Kind};
use crate::config::{Problem, Severity, Text};

/// The folder of the store, which is no file to bring along.
const STORE: &str = "store.path";
/// FAT and ext4 take 255; nobody types that.
const NAME_MAX: usize = 100;
/// What the box starts from stands on the same partition, and what is taken is erased there.
const OF_THE_BOX: &[&str] = &["cmdline.txt", "config.txt", "taken.json", "wagate.toml"];
/// The same by their endings: boot loaders, device trees, firmware of a Raspberry Pi.
const ENDINGS_OF_THE_BOX: &[&str] = &[".efi", ".cfg", ".bin", ".dtb", ".dtbo", ".elf", ".dat"];

/// Where a value of a configuration leads.
enum Leads<'t> {
    /// To a file of this name.
    File(&'t str),
    /// To somewhere that a box doesn't have.
    Nowhere,
    /// It is the value itself.
    Stays,
}

fn leads<'t>(key: &Key, text: &'t str) -> Leads<'t> {
    if key.kind == Kind::Path && key.path != STORE {
        return Leads::File(text);
    }
    match text.split_once(':') {
        Some(("file", name)) if secret(key) => Leads::File(name),
        Some(("env" | "credential", _)) if secret(key) => Leads::Nowhere,
        _ => Leads::Stays,
    }
}

const fn secret(key: &Key) -> bool {
    matches!(key.kind, Kind::Secret | Kind::Secrets)
}

/// The names of the files that a configuration needs, each once; names that a box doesn't take are left out.
pub(super) fn needed(texts: &[Text]) -> BTreeSet<String> {
    let named = texts.iter().filter_map(|text| match leads(text.key, &text.text) {
        Leads::File(name) => Some(name),
        Leads::Nowhere | Leads::Stays => None,
    });
    // Files that are meant when none is named are taken if they are there.
    let defaults = KEYS.iter().filter_map(|key| match (key.kind, key.default) {
        (Kind::Path, Fallback::Is(name)) if key.path != STORE => Some(name.trim_matches('"')),
        _ => None,
    });
    named.chain(defaults).filter(|name| refusal(name).is_none()).map(str::to_owned).collect()
}

/// What is wrong with the names that a configuration gives.
pub(super) fn problems(texts: &[Text]) -> Vec<Problem> {
    let problem = |text: &Text, message: String, help: &str| Problem {
        severity: Severity::Mistake,
        span: Some(text.span.clone()),
        key: text.path.clone(),
        message,
        help: Some(help.to_owned()),
    };
    let one = |text: &Text| match leads(text.key, &text.text) {
        Leads::File(name) => refusal(name).map(|(message, help)| problem(text, message, help)),
        Leads::Nowhere => Some(problem(
            text,
            "the box has no environment and no credentials to find this secret in".to_owned(),
            "put it into a file beside wagate.toml and write \"file:\" and its name",
        )),
        Leads::Stays => None,
    };
    texts.iter().filter_map(one).collect()
}

/// Why a name isn't taken, and what would be right.
fn refusal(name: &str) -> Option<(String, &'static str)> {
    let beside =
        "the name of a file beside wagate.toml, without a folder: letters, digits, \"-\", \"_\" and \".\"";
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.bytes().all(plain) {
        return Some(("the box takes only files that lie beside wagate.toml".to_owned(), beside));
    }
    let lower = name.to_ascii_lowercase();
    let of_the_box = OF_THE_BOX.contains(&lower.as_str())
        || ENDINGS_OF_THE_BOX.iter().any(|ending| lower.ends_with(ending))
        || (lower.starts_with("wagate-") && lower.ends_with(".txt"));
    of_the_box.then(|| {
        ("files of this name are the box's own, and what it takes it erases".to_owned(), "another name")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Source, strings};

    fn texts(toml: &str) -> Vec<Text> {
        strings(&Source::new(Path::new("wagate.toml"), toml.to_owned()))
    }

    #[test]
    fn secrets_certificates_and_cards_are_needed_and_the_store_is_not() {
        let texts = texts(
            "store.path = \"/data/store\"\ncosts.rate_card = \"rates.toml\"\n[webhook]\nverify_token = \"inline\"\n\
             app_secret = [\"file:one\", \"file:two\"]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n",
        );
        let needed: Vec<String> = needed(&texts).into_iter().collect();
        assert_eq!(
            needed,
            ["cert.pem", "key.pem", "meta-outbound-ca.pem", "one", "rates.toml", "two"],
            "with the one that has a default name"
        );
        assert_eq!(problems(&texts), []);
    }

    #[test]
    fn what_leads_away_from_the_medium_or_at_the_box_itself_is_refused() {
        for value in [
            "file:/etc/passwd",
            "file:../x",
            "file:a/b",
            "file:a\\\\b",
            "file:",
            "file:.x",
            "file:a b",
            "env:TOKEN",
            "credential:x",
            "file:cmdline.txt",
            "file:CONFIG.TXT",
            "file:bootaa64.EFI",
            "file:start4.elf",
            "file:wagate.toml",
            "file:wagate-setup.txt",
            "file:\u{e9}",
        ] {
            let texts = texts(&format!("api.token = \"{value}\"\n"));
            assert!(needed(&texts).iter().all(|name| name == "meta-outbound-ca.pem"), "{value}");
            let problems = problems(&texts);
            assert_eq!(problems.len(), 1, "{value}");
            assert_eq!(problems[0].key, "api.token");
        }
    }
}
