//! Endpoints have nothing in common: neither connections, nor time, nor whom they trust.

use std::time::Duration;

use model::Outcome;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wagate_egress::{GraphSettings, UserIdField};

use crate::graph::{NUMBER, TOKEN, answer, at, is_accepted, meta, of, provider, settings, to, took_it};
use crate::raw::{Act, Raw, Then};
use crate::tls::acceptor;

/// Less than an idle connection is kept for.
const IDLE: Duration = Duration::from_secs(3);

async fn secured() -> (Raw, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = Some(acceptor(cert.der(), &signing_key));
    (Raw::start_at("127.0.0.1:0", tls, |_| took_it()).await.unwrap(), cert.pem())
}

#[tokio::test]
async fn the_root_of_one_endpoint_is_not_trusted_by_another() {
    let ((first, first_root), (other, other_root)) = (secured().await, secured().await);
    let reach = |raw: &Raw, root: &str| {
        to(meta(&format!("https://{}", raw.address)).with_roots(root.as_bytes()).unwrap())
    };
    assert!(is_accepted(&reach(&first, &first_root).send(NUMBER, b"{}".to_vec()).await));
    assert!(is_accepted(&reach(&other, &other_root).send(NUMBER, b"{}".to_vec()).await));
    for (raw, root) in [(&first, &other_root[..]), (&other, &first_root), (&first, "")] {
        let called = reach(raw, root).send(NUMBER, b"{}".to_vec()).await;
        let Outcome::NotSent { reason } = &called.outcome else { panic!("{called:?}") };
        assert!(reason.starts_with("no connection: invalid peer certificate"), "{reason}");
    }
    assert_eq!((first.saw().heads.len(), other.saw().heads.len()), (1, 1));
}

#[test]
fn a_root_that_is_none_is_named_by_its_place() {
    let good = generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
    let broken = format!("{good}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (pem, place) in [("nonsense", 1), (&broken, 2)] {
        let error = meta("https://a.example").with_roots(pem.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("root certificate {place} in the file")), "{error}");
    }
    meta("https://a.example").with_roots(good.as_bytes()).unwrap().with_roots(b"").unwrap();
}

#[test]
fn an_endpoint_says_how_it_wants_user_ids() {
    assert_eq!(meta("https://a.example").user_id_field(), UserIdField::Recipient);
    let other = meta("https://a.example").with_user_id_field(UserIdField::To);
    assert_eq!(other.user_id_field(), UserIdField::To);
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_has_its_own_time() {
    for seconds in [1_u64, 7, 45] {
        let silent = Raw::start(|_| Act::new("", Then::Hold)).await;
        let graph = to(of(&silent).with_timeout(Duration::from_secs(seconds)));
        let called = graph.send(NUMBER, b"{}".to_vec()).await;
        assert!(matches!(&called.outcome, Outcome::Unknown { reason } if reason == "no answer came in time"));
        let took = called.latency.as_millis();
        assert!((u128::from(seconds) * 1_000..u128::from(seconds) * 1_000 + 100).contains(&took), "{took}");
    }
}

/// What can't be connected to within half the time of a call was surely not sent, however short that is.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_ends_before_the_time_of_the_call() {
    for (timeout, expected) in [(2, 1_000), (30, 5_000)] {
        let plain = Raw::start(|_| Act::new("", Then::Hold)).await;
        let endpoint = meta(&format!("https://{}", plain.address));
        let called = to(endpoint.with_timeout(Duration::from_secs(timeout))).send(NUMBER, Vec::new()).await;
        let Outcome::NotSent { reason } = &called.outcome else { panic!("{called:?}") };
        assert_eq!(reason, "no connection in time");
        assert!((expected..expected + 100).contains(&called.latency.as_millis()), "{:?}", called.latency);
    }
}

#[tokio::test]
async fn after_a_reset_the_next_call_dials_anew() {
    let mut raw = Raw::start(|_| took_it()).await;
    let graph = at(&raw);
    let begun = Instant::now();
    for connections in 1..4 {
        for _ in 0..3 {
            assert!(is_accepted(&graph.clone().send(NUMBER, b"{}".to_vec()).await));
        }
        assert_eq!(raw.saw().connections, connections);
        graph.reset();
        graph.reset();
        raw.until(|saw| saw.closed == connections).await;
    }
    assert!(begun.elapsed() < IDLE, "they were closed, and didn't grow old");
}

#[tokio::test]
async fn a_call_in_flight_survives_a_reset_and_its_connection_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let graph = to(meta(&format!("http://{}", listener.local_addr().unwrap())));
    let caller = graph.clone();
    let in_flight = tokio::spawn(async move { caller.send(NUMBER, b"{}".to_vec()).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"{}") {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0);
    }
    graph.reset();
    stream.write_all(&took_it().bytes).await.unwrap();
    assert!(is_accepted(&in_flight.await.unwrap()));
    let end = tokio::time::timeout(IDLE, async { stream.read(&mut [0]).await.unwrap() });
    assert_eq!(end.await, Ok(0), "nobody keeps it for the next call");
}

#[tokio::test]
async fn a_token_that_an_answer_repeats_is_told_to_nobody() {
    let body = format!(r#"{{"error":{{"code":190,"message":"Malformed access token {TOKEN}"}}}}"#);
    let raw = Raw::start(move |_| answer("401 Unauthorized", &body)).await;
    let backup = provider(&format!("http://{}", raw.address));
    for graph in [at(&raw), to(backup)] {
        let called = graph.send(NUMBER, b"{}".to_vec()).await;
        let printed = format!("{called:?} {graph:?} {:?}", graph.endpoint());
        assert!(printed.contains("Malformed access token (the token)"), "{printed}");
        assert!(!printed.contains(TOKEN), "{printed}");
    }
}

#[test]
fn who_never_calls_costs_nothing() {
    // Neither needs a runtime, and the settings are taken as they are.
    let GraphSettings { connect_timeout, .. } = settings();
    assert_eq!(connect_timeout, Duration::from_secs(5));
    let graph = to(meta("https://a.example"));
    graph.reset();
    assert_eq!(graph.endpoint().name(), "meta");
}
