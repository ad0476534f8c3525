//! `send`, `queue` and `quota` against a gateway that answers by a script.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::shop::Shop;

const ID: &str = "m-00000000000000000000000007";

/// A request as the gateway got it.
struct Asked {
    /// Method and path with query.
    line: String,
    key: Option<String>,
    body: Value,
}

/// Runs the command against a gateway that gives these answers, one after the other.
fn with_answers(answers: Vec<(u16, Value)>, arguments: &[&str]) -> (Output, Vec<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::sync_channel(answers.len());
    let expected = answers.len();
    // Left alone when fewer questions come: the test then fails below instead of hanging here.
    std::thread::spawn(move || {
        for (status, answer) in answers {
            serve(&listener, status, &answer.to_string(), &sender);
        }
    });
    let shop = Shop::new();
    let token = shop.secret("token", "t\n", 0o600).display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_wagate"))
        .args(arguments)
        .args(["--url", &url, "--token-file", &token])
        .output()
        .unwrap();
    let asked: Vec<Asked> = asked.try_iter().collect();
    assert_eq!(asked.len(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    (output, asked)
}

fn serve(listener: &TcpListener, status: u16, answer: &str, asked: &mpsc::SyncSender<Asked>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    };
    assert_eq!(header("authorization").as_deref(), Some("Bearer t"));
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    // Before the answer: once the command has ended, all that it asked is there.
    asked.send(Asked { line, key: header("idempotency-key"), body }).unwrap();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    (&stream).write_all(format!("{head}{answer}").as_bytes()).unwrap();
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_message_is_sent_with_a_key_that_is_told_beforehand() {
    let answers = vec![(202, json!({ "id": ID, "status": "queued" }))];
    let (output, asked) = with_answers(answers, &["send", "--to", "+85261234567", "--text", "Hello"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{ID}  queued\n"));
    assert_eq!(asked[0].line, "POST /v1/messages");
    assert_eq!(asked[0].body, json!({ "to": "+85261234567", "type": "text", "text": { "body": "Hello" } }));
    let key = asked[0].key.as_deref().unwrap();
    assert!(text(&output.stderr).contains(&format!("--key {key}")), "{}", text(&output.stderr));
}

#[test]
fn waiting_follows_a_message_to_its_end() {
    let shown = |status: &str| {
        json!({ "id": ID, "status": status, "reason": null,
            "error": if status == "failed" { json!({ "advice": "Send a template." }) } else { Value::Null } })
    };
    for (end, code) in [("delivered", 0), ("failed", 1)] {
        let answers =
            vec![(202, json!({ "id": ID, "status": "queued" })), (200, shown("sending")), (200, shown(end))];
        let arguments = [
            "send",
            "--to",
            "c-1",
            "--template",
            "x",
            "--language",
            "en",
            "--key",
            "my-key",
            "--wait",
            "60s",
        ];
        let (output, asked) = with_answers(answers, &arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), format!("{ID}  {end}\n"));
        assert_eq!(asked[0].key.as_deref(), Some("my-key"));
        assert_eq!(asked[2].line, format!("GET /v1/messages/{ID}"));
        assert!(text(&output.stderr).contains("sending"), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).contains("Send a template."), end == "failed");
    }
}

#[test]
fn what_the_gateway_refuses_is_told_member_by_member() {
    let problem = json!({ "detail": "the message can't be sent", "errors": [{ "pointer": "/to", "detail": "is no phone number" }] });
    let (output, _) =
        with_answers(vec![(422, problem)], &["send", "--to", "nobody", "--text", "x", "--key", "k"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = "wagate: the gateway says 422: the message can't be sent\n  /to is no phone number\n";
    assert_eq!(text(&output.stderr), said);
}

#[test]
fn the_queue_is_read_page_by_page() {
    let page =
        |id: &str, next: Value| json!({ "messages": [{ "id": id, "status": "uncertain" }], "next": next });
    let pages = || vec![(200, page("m-1", json!("m-1"))), (200, page("m-2", Value::Null))];
    let (output, asked) = with_answers(pages(), &["queue", "--uncertain"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines: Vec<&str> = text(&output.stdout).lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["id", "m-1", "m-2"]);
    assert_eq!(asked[0].line, "GET /v1/messages?status=uncertain&limit=100");
    assert_eq!(asked[1].line, "GET /v1/messages?status=uncertain&limit=100&after=m-1");
    let (output, _) = with_answers(pages(), &["queue", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_person_takes_back_and_resolves() {
    let other = ID.replace('7', "8");
    let answers = vec![(409, json!({ "detail": "it is being sent" })), (200, json!({ "id": other }))];
    let (output, asked) = with_answers(answers, &["queue", "cancel", ID, &other, "--json"]);
    assert_eq!(output.status.code(), Some(1), "one of them couldn't be taken back");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({ "done": [other] }));
    assert!(text(&output.stderr).contains(&format!("{ID}: the gateway says 409: it is being sent")));
    assert_eq!(asked[1].line, format!("DELETE /v1/messages/{other}"));

    let answers = vec![(200, json!({ "id": ID, "status": "sent" }))];
    let (output, asked) = with_answers(answers, &["queue", "resolve", ID, "--as", "sent"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(asked[0].line, format!("POST /v1/messages/{ID}/resolve"));
    assert_eq!(asked[0].body, json!({ "as": "sent" }));
    assert!(text(&output.stdout).contains("status        sent\n"));
}
