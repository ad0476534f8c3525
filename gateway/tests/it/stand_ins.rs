//! `wagate simulate`: each stand-in with a small peer of the test's own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use model::signature::hub::{AppSecret, Signature};
use model::signature::standard_webhooks::SigningSecret;

use crate::patience::{LONG, interrupt, line, lines, output};

fn simulate(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wagate"))
        .arg("simulate")
        .args(arguments)
        .env("SECRET", "s3cret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A request or an answer: its head in lower case, and its body.
fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end);
    let read = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[read..]).unwrap();
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A gateway that answers POSTs by `status` of their number from 0, and gives challenges back.
fn gateway(status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let (tell, told) = sync_channel(1_000);
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let status = std::sync::Arc::new(status);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell, count, status) =
                (stream.unwrap(), tell.clone(), count.clone(), status.clone());
            std::thread::spawn(move || {
                while let Some((head, body)) = read(&mut stream) {
                    let (status, echo) = if head.starts_with("get") {
                        let challenge = head.split("hub.challenge=").nth(1).unwrap();
                        (200, challenge.split(['&', ' ']).next().unwrap().to_owned())
                    } else {
                        (status(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)), String::new())
                    };
                    let answer =
                        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
                    // The program may have ended meanwhile.
                    let _ = (stream.write_all(answer.as_bytes()), tell.send((head, body)));
                }
            });
        }
    });
    (url, told)
}

#[test]
fn whatsapp_sends_what_it_was_asked_for_rightly_signed() {
    let (url, requests) = gateway(|_| 200);
    let arguments =
        ["whatsapp", "--webhook", &url, "--app-secret", "env:SECRET", "--verify-token", "open sesame"];
    let output =
        output(simulate(&[&arguments[..], &["--count", "7", "--rate", "20", "--seed", "5"]].concat()));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["handshake done in ", "200 in ", "seed 5", "7 webhooks sent, 7 acknowledged; ", "p99 "] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    let requests: Vec<_> = requests.try_iter().collect();
    assert!(requests[0].0.starts_with("get /webhook?") && requests[0].0.contains("=open%20sesame"));
    assert_eq!(requests.len(), 8);
    for (head, body) in &requests[1..] {
        let signature = Signature::parse(header(head, "x-hub-signature-256").unwrap().as_bytes()).unwrap();
        assert!(AppSecret::new(b"s3cret").verify(body, &signature));
    }
}

#[test]
fn whatsapp_repeats_what_got_no_200() {
    let (url, requests) = gateway(|number| if number == 0 { 503 } else { 200 });
    let arguments = ["whatsapp", "--webhook", &url, "--app-secret", "x", "--count", "1", "--rate", "max"];
    let output = output(simulate(&arguments));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("1 webhook sent, 1 acknowledged") && said.contains("1 answered with 503"),
        "{said}"
    );
    let bodies: Vec<_> = requests.try_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn whatsapp_fails_when_something_stays_unacknowledged() {
    let (url, requests) = gateway(|_| 401);
    let child = simulate(&["whatsapp", "--webhook", &url, "--app-secret", "x"]);
    requests.recv_timeout(LONG).unwrap();
    interrupt(&child);
    let output = output(child);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("never got a 200") && said.contains("is the app secret another one?"), "{said}");
}

#[test]
fn whatsapp_takes_what_the_gateway_sends_and_tells_its_statuses() {
    let (url, requests) = gateway(|_| 200);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let arguments = [
        &["whatsapp", "--webhook", &url, "--app-secret", "env:SECRET", "--count", "1", "--rate", "max"][..],
        &["--graph", &address, "--graph-token", "env:SECRET", "--timezone", "Asia/Hong_Kong"],
        &[
            "--behave",
            "window,tells=never",
            "--behave",
            "statuses,sent_ms=0,early=100,duplicate=0,disorder=0",
        ],
    ];
    let child = simulate(&arguments.concat());
    // The customer's message: the doors are open by then.
    assert!(String::from_utf8(requests.recv_timeout(LONG).unwrap().1).unwrap().contains("\"messages\":["));
    let post = |token: &str| {
        let body = r#"{"messaging_product":"whatsapp","to":"+12125550100","text":{"body":"Hi"},"biz_opaque_callback_data":"m-1"}"#;
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /v24.0/106540352242922/messages HTTP/1.1\r\nhost: graph\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        read(&mut stream).unwrap().0
    };
    assert!(post("wrong").starts_with("http/1.1 401"));
    assert!(post("s3cret").starts_with("http/1.1 200"));
    // It was told before the answer came.
    let (_, told) = requests.recv_timeout(LONG).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("\"biz_opaque_callback_data\":\"m-1\"") && told.contains("\"sent\""), "{told}");
    interrupt(&child);
    let output = output(child);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "Graph took 1 message of 1 posted, 0 read marks and 0 uploads, in 2 calls",
        "1 call refused with 190",
        "url = \"http://127.0.0.1:",
        "from the store to +12125550100: [text] Hi  taken",
        ": 1 message, 2 calls",
        "1 webhook sent, 1 acknowledged",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
}

#[test]
fn a_second_way_to_the_same_number_has_the_same_book() {
    let (url, requests) = gateway(|_| 200);
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (meta, three_sixty) = (free(), free());
    let arguments = [
        &["whatsapp", "--webhook", &url, "--app-secret", "env:SECRET", "--count", "1", "--rate", "max"][..],
        &["--graph", &meta, "--graph-360", &three_sixty, "--graph-360-key", "env:SECRET"],
        &["--behave", "window,tells=never", "--behave-360", "refuse,code=503,next=1"],
    ];
    let child = simulate(&arguments.concat());
    // The customer's message: the doors are open by then.
    requests.recv_timeout(LONG).unwrap();
    let post = |address: &str, path: &str, credential: &str| {
        let body = r#"{"messaging_product":"whatsapp","to":"+12125550100","text":{"body":"Hi"},"biz_opaque_callback_data":"m-1"}"#;
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: graph\r\n{credential}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        read(&mut stream).unwrap().0
    };
    let bearer = "authorization: Bearer any";
    assert!(post(&meta, "/v24.0/106540352242922/messages", bearer).starts_with("http/1.1 200"));
    for (credential, status) in [
        (bearer, 401),
        ("D360-API-KEY: wrong", 401),
        ("D360-API-KEY: s3cret", 503),
        ("D360-API-KEY: s3cret", 200),
    ] {
        let answer = post(&three_sixty, "/messages", credential);
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{credential}: {answer}");
    }
    interrupt(&child);
    let said = String::from_utf8(output(child).stdout).unwrap();
    for part in [
        "header = \"D360-API-KEY\"\n  path = \"/messages\"",
        "Any token will do",
        "by 360dialog: 1 message of 2 posted, in 4 calls",
        "by meta: 1 message of 1 posted, in 1 call",
        "1 message taken more than once: a customer got it twice",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    assert!(!said.contains("Any key will do"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (arguments, part) in [
        (["whatsapp", "--webhook", "gopher://x", "--app-secret", "x"].as_slice(), "must start with https://"),
        (&["whatsapp", "--webhook", "http://x", "--app-secret", "file:/nowhere"], "--app-secret: can't read"),
        (&["whatsapp", "--webhook", "http://x", "--app-secret", "x", "--rate", "0"], "a rate is a number"),
        (&["whatsapp", "--app-secret", "x"], "--webhook <URL>"),
        (&["whatsapp", "--webhook", "http://x", "--app-secret", "x", "--behave", "ok"], "--graph <ADDRESS>"),
        (
            &[
                "whatsapp",
                "--webhook",
                "http://x",
                "--app-secret",
                "x",
                "--graph",
                "127.0.0.1:0",
                "--behave",
                "sulk",
            ],
            "no behaviour is called",
        ),
        (
            &[
                "whatsapp",
                "--webhook",
                "http://x",
                "--app-secret",
                "x",
                "--graph",
                "127.0.0.1:0",
                "--control",
                "0.0.0.0:1",
            ],
            "a loopback address",
        ),
        (
            &[
                "whatsapp",
                "--webhook",
                "http://x",
                "--app-secret",
                "x",
                "--graph",
                "127.0.0.1:0",
                "--timezone",
                "Mars",
            ],
            "no time zone",
        ),
        (&["crm", "--signing-secret", "whsec_?"], "base 64"),
        (&["crm", "--signing-secret", "a", "--signing-secret", "b", "--signing-secret", "c"], "one, or two"),
        (&["crm", "--control", "0.0.0.0:1"], "a loopback address"),
        (&["crm", "--health", "up"], "--health: a path"),
    ] {
        let output = output(simulate(arguments));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
}

#[test]
fn an_unreachable_gateway_is_a_failure_said_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}/webhook");
    let output =
        output(simulate(&["whatsapp", "--webhook", &url, "--app-secret", "x", "--verify-token", "x"]));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("no connection").count(), 1, "{said}");
}

/// A CRM that runs, and where it is.
struct Crm {
    child: Child,
    said: Receiver<String>,
    address: String,
}

impl Crm {
    fn start() -> Self {
        let mut child = simulate(&["crm", "--listen", "127.0.0.1:0", "--signing-secret", "env:SECRET"]);
        let said = lines(&mut child);
        let url = line(&said, "url = \"http://");
        let address = url.split(['/', '"']).find(|part| part.starts_with("127.0.0.1:")).unwrap().to_owned();
        Self { child, said, address }
    }

    /// Delivers a record and gives the status.
    fn deliver(&self, sequence: u64, id: &str, text: &str, secret: &str) -> u16 {
        let body = serde_json::json!({
            "specversion": "1.0", "id": id, "source": "/wagate/1", "type": "wagate.message.received.v1",
            "time": "2026-11-20T22:43:15Z", "datacontenttype": "application/json",
            "sequence": format!("{sequence:020}"),
            "data": {
                "received_at": "2026-11-20T22:43:16.042Z",
                "contact": { "id": "c-1", "name": "Ada" }, "message": { "type": "text", "text": text },
            }
        })
        .to_string();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let timestamp = i64::try_from(now.as_secs()).unwrap();
        let signature = SigningSecret::parse(secret).unwrap().sign(id, timestamp, body.as_bytes());
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST /wagate HTTP/1.1\r\nhost: x\r\ncontent-type: application/cloudevents+json\r\nwebhook-id: {id}\r\n\
             idempotency-key: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let (head, _) = read(&mut stream).unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn stop(mut self) -> (Option<i32>, String) {
        interrupt(&self.child);
        let status = self.child.wait().unwrap();
        (status.code(), self.said.iter().collect::<Vec<_>>().join("\n"))
    }
}

#[test]
fn the_crm_tells_what_arrives_and_ends_well() {
    let crm = Crm::start();
    assert_eq!(crm.deliver(7, "wamid.A", "How \u{1b}[2J much?", "s3cret"), 200);
    let told = line(&crm.said, "00000000000000000007 message.received Ada: How [2J much?");
    assert!(!told.contains('\u{1b}'));
    assert_eq!(crm.deliver(7, "wamid.A", "How \u{1b}[2J much?", "s3cret"), 200);
    line(&crm.said, "(again)");
    let (code, said) = crm.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 record in 1 lane (") && said.contains("Nothing was ever wrong."), "{said}");
}

#[test]
fn the_crm_fails_after_a_wrong_signature_and_after_disorder() {
    let crm = Crm::start();
    assert_eq!(crm.deliver(1, "wamid.A", "Hi", "another"), 401);
    line(&crm.said, "WRONG: ");
    assert_eq!(crm.stop().0, Some(1));

    let crm = Crm::start();
    assert_eq!(crm.deliver(2, "wamid.B", "Hi", "s3cret"), 200);
    assert_eq!(crm.deliver(1, "wamid.A", "Hi", "s3cret"), 200);
    line(&crm.said, "WRONG: sequence 1 came first after 2 of its lane");
    let (code, said) = crm.stop();
    assert_eq!(code, Some(1));
    assert!(said.contains("Something was wrong"), "{said}");
}
