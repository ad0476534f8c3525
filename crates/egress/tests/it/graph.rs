//! Calls of a Graph that answers, and of one that can't be reached.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use model::{Outcome, Refusal};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::time::Instant;
use wagate_egress::graph::ANSWER_TIMEOUT;
use wagate_egress::{Called, Graph, GraphEndpoint, GraphSettings, Throttle};

use crate::raw::{Act, Raw, Then};
use crate::tls::acceptor;

pub(crate) const TOKEN: &str = "EAAG-s3cret";
pub(crate) const NUMBER: &str = "106540352242922";
/// For whoever waits for a time that runs out.
pub(crate) const SOON: Duration = Duration::from_millis(300);

pub(crate) fn settings() -> GraphSettings {
    GraphSettings::new("wagate/1.2.3".to_owned(), 8)
}

/// A client as in life.
pub(crate) fn to(endpoint: GraphEndpoint) -> Graph {
    Graph::new(endpoint, settings())
}

pub(crate) fn at(raw: &Raw) -> Graph {
    to(of(raw))
}

/// What a provider's endpoint looks like.
pub(crate) fn provider(base: &str) -> GraphEndpoint {
    GraphEndpoint::new("backup", base, Some("D360-API-KEY"), Some(TOKEN), "/messages").unwrap()
}

pub(crate) fn meta(base: &str) -> GraphEndpoint {
    GraphEndpoint::new("meta", base, None, Some(TOKEN), "/{phone_number_id}/messages").unwrap()
}

pub(crate) fn of(raw: &Raw) -> GraphEndpoint {
    meta(&format!("http://{}/v24.0", raw.address))
}

pub(crate) fn answer(status: &str, body: &str) -> Act {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    Act::new(format!("{head}date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n{body}"), Then::Keep)
}

pub(crate) fn took_it() -> Act {
    answer("200 OK", r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.A"}]}"#)
}

/// An address where nobody listens.
pub(crate) fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn is_accepted(called: &Called) -> bool {
    matches!(&called.outcome, Outcome::Accepted { wamid: Some(wamid), .. } if wamid == "wamid.A")
}

#[tokio::test]
async fn a_message_is_posted_as_the_endpoint_wants_it() {
    let raw = Raw::start(|_| took_it()).await;
    let called = at(&raw).send(NUMBER, b"{\"to\":1}".to_vec()).await;
    assert!(is_accepted(&called), "{called:?}");
    assert_eq!((called.status, called.date_ms, called.throttle), (Some(200), None, None));
    let base = format!("http://localhost:{}", raw.address.port());
    let backup = provider(&base);
    assert!(is_accepted(&to(backup).send(NUMBER, b"{}".to_vec()).await), "by its name in the hosts file");
    let open = GraphEndpoint::new("open", &base, None, None, "/messages").unwrap();
    assert!(is_accepted(&to(open).send(NUMBER, b"{}".to_vec()).await));

    let saw = raw.saw();
    assert_eq!(saw.bodies, [&b"{\"to\":1}"[..], b"{}", b"{}"]);
    let lines = |place: usize| saw.heads[place].to_lowercase().lines().map(str::to_owned).collect::<Vec<_>>();
    let (first, second, third) = (lines(0), lines(1), lines(2));
    assert_eq!(first[0], format!("post /v24.0/{NUMBER}/messages http/1.1"));
    for line in
        ["authorization: bearer eaag-s3cret", "content-type: application/json", "user-agent: wagate/1.2.3"]
    {
        assert_eq!(first.iter().filter(|have| *have == line).count(), 1, "{line} in {first:?}");
    }
    assert_eq!(second[0], "post /messages http/1.1");
    assert!(second.contains(&"d360-api-key: eaag-s3cret".to_owned()), "{second:?}");
    assert!(!saw.heads[1].contains("authorization") && !saw.heads[2].contains("s3cret"));
    assert_eq!(third.iter().filter(|line| line.starts_with("content-length: ")).count(), 1);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection_and_calls_at_once_have_one_each() {
    let raw = Raw::start(|_| took_it()).await;
    let graph = at(&raw);
    for _ in 0..50 {
        assert!(is_accepted(&graph.clone().send(NUMBER, b"{}".to_vec()).await));
    }
    assert_eq!((raw.saw().connections, raw.saw().bodies.len()), (1, 50));
    let eight = (0..8).map(|_| graph.send(NUMBER, b"{}".to_vec()));
    assert!(futures_util::future::join_all(eight).await.iter().all(is_accepted));
    assert!(raw.saw().connections <= 9, "{}", raw.saw().connections);
}

#[tokio::test]
async fn a_refusal_says_what_graph_says() {
    let body =
        r#"{"error":{"message":"(#130429) Rate limit hit","code":130429,"error_data":{"details":"slow"}}}"#;
    let head = "HTTP/1.1 429 Too Many\r\nx-app-usage: {\"call_count\":101}\r\nretry-after: 3\r\n\
                x-business-use-case-usage: {\"1\":[{\"call_count\":7,\"estimated_time_to_regain_access\":2}]}\r\n";
    let act = Act::new(format!("{head}content-length: {}\r\n\r\n{body}", body.len()), Then::Keep);
    let raw = Raw::start(move |_| act.clone()).await;
    let called = at(&raw).send(NUMBER, b"{}".to_vec()).await;
    let refusal = Refusal {
        code: Some(130_429),
        details: "slow".to_owned(),
        http: Some(429),
        retry_after_ms: Some(120_000),
        transient: false,
    };
    assert_eq!(called.outcome, Outcome::Refused(refusal));
    assert_eq!(called.throttle, Some(Throttle { percent: 101, regain_minutes: 2 }));
    assert_eq!(called.status, Some(429));
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_is_not_followed() {
    let elsewhere = Raw::start(|_| took_it()).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("HTTP/1.1 {status}\r\nlocation: http://{}/\r\n", elsewhere.address);
        let raw =
            Raw::start(move |_| Act::new(format!("{location}content-length: 4\r\n\r\ngone"), Then::Keep))
                .await;
        let called = at(&raw).send(NUMBER, b"{}".to_vec()).await;
        assert!(matches!(called.outcome, Outcome::Refused(Refusal { code: None, http: Some(300..400), .. })));
        assert_eq!(raw.saw().bodies.len(), 1);
    }
    assert_eq!(elsewhere.saw().connections, 0);
}

#[tokio::test]
async fn of_an_endless_answer_the_beginning_counts() {
    for (status, refused) in [("400 Bad Request", true), ("200 OK", false)] {
        let endless = format!("HTTP/1.1 {status}\r\n\r\n<html>{}", "x".repeat(4 * 1024 * 1024));
        let raw = Raw::start(move |_| Act::new(endless.clone(), Then::Hold)).await;
        let before = Instant::now();
        let called = at(&raw).send(NUMBER, b"{}".to_vec()).await;
        assert!(before.elapsed() < ANSWER_TIMEOUT, "nobody waits for its end");
        if refused {
            let Outcome::Refused(refusal) = called.outcome else { panic!("{called:?}") };
            assert_eq!((refusal.code, refusal.http, refusal.details.len()), (None, Some(400), 500));
            assert!(refusal.details.starts_with("<html>xx"), "{}", refusal.details);
        } else {
            assert!(matches!(called.outcome, Outcome::Unknown { .. }), "{called:?}");
        }
    }
}

#[tokio::test]
async fn a_mark_succeeds_by_its_own_word() {
    let raw = Raw::start(|place| match place {
        0 => answer("200 OK", r#"{"success":true}"#),
        _ => answer("200 OK", r#"{"success":false}"#),
    })
    .await;
    let graph = at(&raw);
    let called = graph.mark(NUMBER, b"{}".to_vec()).await;
    assert!(matches!(called.outcome, Outcome::Accepted { wamid: None, .. }), "{called:?}");
    let called = graph.mark(NUMBER, b"{}".to_vec()).await;
    assert!(matches!(called.outcome, Outcome::Unknown { .. }), "{called:?}");
    assert!(raw.saw().heads[1].starts_with(&format!("POST /v24.0/{NUMBER}/messages ")));
}

#[tokio::test]
async fn over_tls_the_date_counts() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = Some(acceptor(cert.der(), &signing_key));
    let raw = Raw::start_at("127.0.0.1:0", tls, |_| took_it()).await.unwrap();
    let endpoint = meta(&format!("https://{}", raw.address)).with_roots(cert.pem().as_bytes()).unwrap();
    let called = to(endpoint).send(NUMBER, b"{}".to_vec()).await;
    assert!(is_accepted(&called), "{called:?}");
    assert_eq!(called.date_ms, Some(784_111_777_000));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = Some(acceptor(cert.der(), &signing_key));
    let stranger = Raw::start_at("127.0.0.1:0", tls, |_| took_it()).await.unwrap();
    // What it answers to is the beginning of a handshake.
    let plain = Raw::start(|_| took_it()).await;
    let gone = closed();
    // As long as in life, but for what is to run out of time.
    let (patient, hasty) = (settings(), GraphSettings { connect_timeout: SOON, ..settings() });
    for (base, settings, words) in [
        (format!("http://{gone}"), &patient, &["no connection: Connection refused"][..]),
        (format!("https://{}", stranger.address), &patient, &["no connection: invalid peer certificate"]),
        (format!("https://{}", plain.address), &hasty, &["no connection in time"]),
        // Where no DNS server answers the time is over first.
        (
            "https://graph.store.invalid".to_owned(),
            &hasty,
            &["no connection: the name can't be resolved: ", "no connection in time"],
        ),
    ] {
        let called = Graph::new(meta(&base), settings.clone()).send(NUMBER, b"{}".to_vec()).await;
        let Outcome::NotSent { reason } = &called.outcome else { panic!("{base}: {called:?}") };
        assert!(words.iter().any(|words| reason.starts_with(words)), "{base}: {reason}");
        for secret in [TOKEN, NUMBER, "127.0.0.1", "graph.store"] {
            assert!(!reason.contains(secret), "{reason}");
        }
        assert_eq!((called.status, called.date_ms, called.dialled), (None, None, true));
    }
    let called = at(&plain).send("1/2", b"{}".to_vec()).await;
    assert!(matches!(called.outcome, Outcome::NotSent { .. }) && !called.dialled);
    assert!(stranger.saw().heads.is_empty() && plain.saw().heads.is_empty());
}

#[tokio::test]
async fn meta_is_asked_about_its_token_with_that_token() {
    let body = r#"{"data":{"is_valid":true,"issued_at":1764000000,"expires_at":0,"scopes":["a"]}}"#;
    let raw = Raw::start(move |place| match place {
        0 => answer("200 OK", body),
        _ => answer("401 Unauthorized", r#"{"error":{"code":190,"message":"expired"}}"#),
    })
    .await;
    let graph = at(&raw);
    let info = graph.token_info().await.outcome.unwrap();
    assert!(info.is_valid && info.expires_at.is_none() && info.scopes == ["a"], "{info:?}");
    let called = graph.token_info().await;
    let refused = called.outcome;
    assert!(matches!(refused, Err(Outcome::Refused(Refusal { code: Some(190), .. }))), "{refused:?}");
    assert!(called.dialled);
    let head = raw.saw().heads[0].clone();
    assert!(head.starts_with(&format!("GET /v24.0/debug_token?input_token={TOKEN} HTTP/1.1")), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {TOKEN}")), "{head}");

    let base = format!("http://{}", raw.address);
    let backup = provider(&base);
    let called = to(backup.clone()).token_info().await;
    assert!(matches!(called.outcome, Err(Outcome::NotSent { .. })));
    assert_eq!(raw.saw().heads.len(), 2, "a provider isn't Meta");

    let gone = closed();
    let called = to(meta(&format!("http://{gone}"))).token_info().await;
    for printed in [format!("{called:?}"), format!("{graph:?}"), format!("{backup:?}")] {
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
