//! The demo as a newcomer starts it: the real gateway, and what is said about it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::patience::{interrupt, line, lines, output};

fn demo(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wagate"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", folder)
        .env_remove("WAGATE_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn assert_good(output: &Output) {
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(!said.contains('\x1b'), "a pipe gets no colours: {said}");
    assert!(said.contains("✓ Everything sent was acknowledged and received in order"), "{said}");
    assert!(said.contains("; every reply went out once; nothing was lost."), "{said}");
    // Each reply was queued, taken by WhatsApp, and has its three statuses in the CRM.
    let sum = |title: &str| -> u64 {
        let line = said.lines().find_map(|line| line.strip_prefix(title)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let replies = sum("  replies");
    assert!(replies > 0, "{said}");
    assert_eq!((sum("  accepted"), sum("  statuses")), (replies, 3 * replies), "{said}");
    let lines = said.lines().filter(|line| line.contains("[reply] "));
    let read = lines.filter(|line| {
        line.contains(" on disk ") && line.contains(", accepted ") && line.contains(", read ")
    });
    assert_eq!(read.count() as u64, replies, "{said}");
}

#[test]
fn a_short_demo_ends_by_itself_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let output = output(demo(folder.path(), &["--for", "3s"]));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    assert_good(&output);
    let said = text(&output.stdout);
    for part in [
        "simulated, signed webhooks to https://127.0.0.1:",
        "in CRM ",
        "\n  sent ",
        " records of ",
        ", once each",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    // Each message has a line, and each line says when it was on disk and in the CRM.
    let rows = said.lines().filter(|line| line.starts_with("0:0"));
    assert!(
        rows.filter(|line| line.contains(" on disk ") && line.contains(" in CRM ")).count() >= 3,
        "{said}"
    );
    assert!(is_empty(folder.path()));
}

#[test]
fn an_outage_of_the_crm_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(demo(folder.path(), &["--for", "10s"]));
    assert_good(&output);
    let said = text(&output.stdout);
    for part in [
        "CRM unplugged for 2.0 s: messages get their 200 and wait on disk.",
        "CRM plugged in again: ",
        " in order, none lost.",
        "\n  unplugged  once; ",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    assert!(is_empty(folder.path()));
}

#[test]
fn the_other_commands_find_the_gateway_and_a_signal_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &[]);
    let said = lines(&mut child);
    let hint = line(&said, "wagate records --follow --config ");
    let config = hint.rsplit(' ').next().unwrap();
    line(&said, " in CRM ");
    line(&said, ", read ");
    let status =
        Command::new(env!("CARGO_BIN_EXE_wagate")).args(["status", "--config", config]).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", text(&status.stderr));
    let check =
        Command::new(env!("CARGO_BIN_EXE_wagate")).args(["check", "--config", config]).output().unwrap();
    assert_eq!(text(&check.stdout), format!("{config}: no mistakes\n"));

    interrupt(&child);
    line(&said, "✓ Everything sent");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(is_empty(folder.path()));
}

#[test]
fn nobody_listening_ends_it_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &[]);
    drop(child.stdout.take());
    let output = output(child);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(is_empty(folder.path()));
}

#[test]
fn where_no_folder_can_be_made_it_says_so() {
    let output = output(demo(Path::new("/nowhere"), &["--for", "3s"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("TMPDIR names another place"), "{}", text(&output.stderr));
}
