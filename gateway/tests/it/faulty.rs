//! Faulty configurations and what is said about them, word by word.
//!
//! Each `faulty/*.toml` has its `.txt`. After a change of words, run once with
//! `WAGATE_REVIEW=1` to write them anew, and read the difference.

use std::path::Path;

use crate::shop::{CANARY, Shop};

#[test]
fn every_faulty_configuration_is_told_what_is_wrong_with_it() {
    let shop = Shop::new();
    shop.secret("empty", "\n", 0o600);
    shop.secret("two_lines", "one\ntwo\n", 0o600);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    shop.secret("broken.pem", broken, 0o600);
    shop.secret("open_to_all", "hunter3\n", 0o644);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faulty");
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        let shown = shop.report(&text).render(false).replace(&shop.path().display().to_string(), "FOLDER");
        assert!(!shown.contains(CANARY), "{} shows a secret:\n{shown}", file.display());
        let golden = file.with_extension("txt");
        if std::env::var_os("WAGATE_REVIEW").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(shown == expected, "{} is told:\n{shown}\ninstead of:\n{expected}", file.display());
    }
    assert!(cases >= 20, "only {cases} cases in {}", folder.display());
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let problems = Shop::new().report("[webhook]\nverify_tokn = \"hunter2\"\n");
    let mut plain = String::new();
    let mut rest = problems.render(true);
    assert!(rest.contains("\u{1b}[1;31merror\u{1b}[0m"));
    while let Some(escape) = rest.find('\u{1b}') {
        plain.push_str(&rest[..escape]);
        let end = escape + rest[escape..].find('m').unwrap() + 1;
        rest = rest.split_off(end);
    }
    plain.push_str(&rest);
    assert_eq!(plain, problems.render(false));
}

#[test]
fn an_endless_line_or_key_makes_no_endless_message() {
    let long = "x".repeat(100_000);
    for text in [
        format!("{long} = 1\n"),
        format!("[webhook]\npath = \"/{long}\"\nlisten = \"{long}\"\n"),
        format!("[store]\nmax_size = \"1{long}\"\n"),
        format!("[{long}]\na = 1\n"),
    ] {
        let shown = Shop::new().report(&text).render(false);
        assert!(shown.len() < 4_000, "{} bytes", shown.len());
    }
}
