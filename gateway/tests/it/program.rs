//! The program itself: exit statuses and streams.

use std::process::{Command, Output, Stdio};

use crate::shop::Shop;

fn wagate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wagate")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const GOOD: &str = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n[webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n";

#[test]
fn check_answers_on_stdout_and_by_its_exit_status() {
    let shop = Shop::new();
    let file = shop.secret("wagate.toml", GOOD, 0o600);
    let path = file.display().to_string();
    let good = wagate(&["check", "--config", &path]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(text(&good.stdout), format!("{path}: no mistakes\n"));
    assert!(good.stderr.is_empty());

    shop.secret("wagate.toml", &GOOD.replace("file:verify_token", "inline"), 0o600);
    let warned = wagate(&["check", "--config", &path]);
    assert_eq!(warned.status.code(), Some(0), "warnings are no mistakes");
    assert!(text(&warned.stdout).ends_with(": no mistakes, 1 warning\n"));

    shop.secret("wagate.toml", &GOOD.replace("verify_token =", "verify_tokn ="), 0o600);
    let refused = wagate(&["check", "--config", &path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.is_empty());
    let said = text(&refused.stdout);
    for part in
        [&format!("{path}:2:1"), "webhook.verify_tokn", "did you mean `verify_token`?", ": 1 mistake\n"]
    {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }

    let json = wagate(&["check", "--json", "--config", &path]);
    assert_eq!(json.status.code(), Some(2));
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    let mistake = &answer["mistakes"][0];
    assert_eq!((&mistake["line"], &mistake["column"]), (&2.into(), &1.into()));
    assert_eq!(mistake["key"], "webhook.verify_tokn");
    assert_eq!(mistake["help"], "did you mean `verify_token`?");
}

#[test]
fn check_tells_what_this_version_cannot_do_yet() {
    let shop = Shop::new();
    let asked = format!("{GOOD}[crm]\nkind = \"tryton\"\n");
    let file = shop.secret("wagate.toml", &asked, 0o600);
    let output = wagate(&["check", "--config", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stdout)
            .contains("warning: crm.kind: this version of wagate can't do any kind of CRM but")
    );
}

#[test]
fn check_touches_nothing() {
    let shop = Shop::new();
    let store = shop.path().join("store");
    let content = format!("[store]\npath = \"{}\"\n{GOOD}", store.display());
    let file = shop.secret("wagate.toml", &content, 0o600);
    let listing = || {
        let mut names: Vec<_> =
            std::fs::read_dir(shop.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    assert_eq!(wagate(&["check", "--config", &file.display().to_string()]).status.code(), Some(0));
    assert_eq!(listing(), before);
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_of_configuration() {
    let shop = Shop::new();
    let missing = wagate(&["check", "--config", &shop.path().join("nowhere.toml").display().to_string()]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stdout).contains("can't be read: No such file or directory"));
    let file = shop.path().join("bytes.toml");
    std::fs::write(&file, b"[store]\npath = \"\xff\"\n").unwrap();
    let bytes = wagate(&["check", "--config", &file.display().to_string()]);
    assert_eq!(bytes.status.code(), Some(2));
    assert!(text(&bytes.stdout).contains("line 2 isn't UTF-8"));
}

#[test]
fn version_and_help_are_answers_and_a_wrong_command_is_not() {
    for arguments in
        [["--version"].as_slice(), &["check", "--version"], &["deadletters", "list", "--version"]]
    {
        let output = wagate(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains(env!("CARGO_PKG_VERSION")), "{arguments:?}");
    }
    for command in
        ["run", "check", "doctor", "demo", "status", "records", "deadletters", "send", "queue", "quota"]
    {
        let output = wagate(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text(&output.stdout).contains(&format!("Example:\n  wagate {command}")), "{command}");
    }
    for arguments in [
        [].as_slice(),
        &["chekc"],
        &["check", "--confg", "x"],
        &["demo", "--for", "20"],
        &["deadletters", "retry"],
        &["send", "--to", "+85261234567"],
        &["queue", "show", "../status"],
        &["queue", "resolve", "m-00000000000000000000000007"],
        &["simulate"],
    ] {
        let output = wagate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    assert!(text(&wagate(&["demo", "--for", "20"]).stderr).contains("the unit is missing"));
}

#[test]
fn operators_commands_take_json_and_the_gateways_address_anywhere() {
    let shop = Shop::new();
    let token = shop.secret("token", "t\n", 0o600).display().to_string();
    // Nobody listens on port 1.
    let gateway = ["--url", "http://127.0.0.1:1", "--token-file", &token];
    for arguments in [
        ["status", "--json"].as_slice(),
        &["records", "--json", "--after", "12"],
        &["deadletters", "--json"],
        &["deadletters", "list", "--json"],
        &["deadletters", "retry", "7", "8", "--json"],
        &["deadletters", "delete", "7"],
        &["send", "--json", "--to", "+85261234567", "--text", "Hello", "--key", "k"],
        &["queue", "--json"],
        &["queue", "show", "m-00000000000000000000000007", "--json"],
        &["queue", "cancel", "m-00000000000000000000000007"],
        &["queue", "resolve", "m-00000000000000000000000007", "--as", "failed", "--json"],
        &["quota", "--json"],
    ] {
        let output = wagate(&[arguments, &gateway].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("no gateway answers"), "{}", text(&output.stderr));
    }
    let missing = wagate(&["status", "--config", "/nowhere/wagate.toml"]);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
}

#[test]
fn nobody_reading_on_is_no_error() {
    let shop = Shop::new();
    let file = shop.secret("wagate.toml", &"x = 1\n[y]\n".repeat(3_000), 0o600);
    let mut child = Command::new(env!("CARGO_BIN_EXE_wagate"))
        .args(["check", "--config", &file.display().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}
