//! Secrets of every kind: where they are looked for, and what is refused.

use wagate::config::Severity;

use crate::shop::{CANARY, Shop};

fn with(verify_token: &str, app_secret: &str) -> String {
    format!(
        "[webhook]\nverify_token = {verify_token}\napp_secret = {app_secret}\n[webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n"
    )
}

#[test]
fn a_secret_comes_from_where_the_configuration_says() {
    let shop = Shop::new();
    let credentials = shop.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("app"), "from-systemd").unwrap();
    let absolute = shop.path().join("app_secret");
    let env = |name: &str| match name {
        "TOKEN" => Some("from-env".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some(credentials.display().to_string()),
        _ => None,
    };
    for (notation, expected) in [
        ("\"file:app_secret\"".to_owned(), "secret-of-app_secret"),
        (format!("\"file:{}\"", absolute.display()), "secret-of-app_secret"),
        ("\"env:TOKEN\"".to_owned(), "from-env"),
        ("\"credential:app\"".to_owned(), "from-systemd"),
        ("\"inline\"".to_owned(), "inline"),
    ] {
        let loaded = shop.parse_with(&with(&notation, &notation), &env).unwrap();
        assert_eq!(loaded.config.webhook.verify_token.expose(), expected);
        assert_eq!(loaded.config.webhook.app_secret[0].expose(), expected);
        assert_eq!(loaded.warnings.list.len(), if expected == "inline" { 2 } else { 0 }, "{notation}");
    }
}

#[test]
fn one_final_newline_is_not_part_of_a_secret_file() {
    let shop = Shop::new();
    for (content, expected) in [
        ("abc", "abc"),
        ("abc\n", "abc"),
        ("abc\r\n", "abc"),
        ("abc\n\n", "abc\n"),
        ("\nabc", "\nabc"),
        ("a b", "a b"),
        ("abc\r", "abc\r"),
    ] {
        shop.secret("app_secret", content, 0o600);
        let loaded = shop.parse(&with("\"file:verify_token\"", "\"file:app_secret\"")).unwrap();
        assert_eq!(loaded.config.webhook.app_secret[0].expose(), expected);
        let plain = expected.trim() == expected;
        assert_eq!(loaded.warnings.list.is_empty(), plain, "{content:?}");
    }
}

#[test]
fn what_cannot_be_a_secret_is_refused_with_its_line() {
    let shop = Shop::new();
    shop.secret("empty", "", 0o600);
    shop.secret("blank", " \n", 0o600);
    shop.secret("huge", &"x".repeat(64 * 1024 + 1), 0o600);
    std::fs::write(shop.path().join("bytes"), [0xFF, 0xFE]).unwrap();
    for (notation, part) in [
        ("file:nowhere", "No such file"),
        ("file:empty", "empty"),
        ("file:blank", "empty"),
        ("file:huge", "larger than 64 KiB"),
        ("file:bytes", "isn't UTF-8"),
        ("file:.", "is a folder"),
        ("env:NOT_THERE", "no variable \"NOT_THERE\""),
        ("credential:not-in-any-store", "$CREDENTIALS_DIRECTORY is not set"),
        ("credential:../x", "not the name of a credential"),
        ("", "empty"),
    ] {
        let problems = shop.parse(&with("\"file:verify_token\"", &format!("\"{notation}\""))).unwrap_err();
        let mistake = problems.of(Severity::Mistake).next().unwrap();
        assert_eq!(mistake.key, "webhook.app_secret", "{notation}");
        assert_eq!(problems.source.position(mistake.span.clone().unwrap().start).0, 3, "{notation}");
        assert!(mistake.message.contains(part), "{notation}: {}", mistake.message);
        assert_eq!(problems.of(Severity::Mistake).count(), 1, "{notation}");
    }
}

#[test]
fn a_secret_and_a_configuration_print_nothing_of_themselves() {
    let shop = Shop::new();
    let loaded = shop.parse(&with(&format!("\"{CANARY}\""), &format!("\"{CANARY}\""))).unwrap();
    assert!(!format!("{loaded:?}").contains(CANARY));
    assert_eq!(format!("{:?}", loaded.config.webhook.verify_token), "Secret(..)");
}

#[test]
fn secrets_are_read_again_on_request_and_nothing_else_is() {
    let shop = Shop::new();
    let loaded = shop.parse(&with("\"file:verify_token\"", "\"file:app_secret\"")).unwrap();
    shop.secret("app_secret", "a new one\n", 0o600);
    let again = loaded.reload_secrets(&|_| None).unwrap();
    assert_eq!(again.webhook.app_secret[0].expose(), "a new one");
    assert_eq!(loaded.config.webhook.app_secret[0].expose(), "secret-of-app_secret");
    std::fs::remove_file(shop.path().join("app_secret")).unwrap();
    assert!(loaded.reload_secrets(&|_| None).is_err());
}
