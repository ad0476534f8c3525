//! Probes, over connections of their own.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use wagate_egress::Probe;

use crate::graph::{NUMBER, TOKEN, answer, at, closed, is_accepted, meta, provider, to, took_it};
use crate::raw::{Act, Raw, Then};
use crate::tls::acceptor;

const TIMEOUT: Duration = Duration::from_secs(5);

fn healthy() -> Act {
    answer("200 OK", r#"{"health_status":{"can_send_message":"AVAILABLE"},"id":"1"}"#)
}

#[tokio::test]
async fn graph_is_asked_for_its_health_and_a_provider_for_anything() {
    let mut raw = Raw::start(|_| healthy()).await;
    let called = at(&raw).probe(NUMBER, TIMEOUT).await;
    assert_eq!((called.outcome, called.status), (Probe::Good, Some(200)));
    for base in [format!("http://{}", raw.address), format!("http://{}/v1/", raw.address)] {
        assert_eq!(to(provider(&base)).probe(NUMBER, TIMEOUT).await.outcome, Probe::Good);
    }
    raw.until(|saw| saw.closed == 3).await;
    let saw = raw.saw();
    assert!(saw.heads[0].starts_with(&format!("GET /v24.0/{NUMBER}?fields=health_status HTTP/1.1")));
    assert!(saw.heads[0].contains(&format!("authorization: Bearer {TOKEN}")), "{}", saw.heads[0]);
    for (place, line) in [(1, "GET / HTTP/1.1"), (2, "GET /v1/ HTTP/1.1")] {
        assert!(saw.heads[place].starts_with(line), "{}", saw.heads[place]);
        assert!(saw.heads[place].contains(&format!("d360-api-key: {TOKEN}")), "{}", saw.heads[place]);
    }
    let odd = at(&raw).probe("1/2", TIMEOUT).await;
    assert!(matches!(odd.outcome, Probe::Neutral { .. }), "{odd:?}");
    assert_eq!(raw.saw().connections, 3);
}

#[tokio::test]
async fn a_probe_dials_anew_and_leaves_what_is_kept_alone() {
    let mut raw = Raw::start(|place| if place % 2 == 0 { took_it() } else { healthy() }).await;
    let graph = at(&raw);
    for round in 1..4 {
        assert!(is_accepted(&graph.send(NUMBER, b"{}".to_vec()).await));
        assert_eq!(graph.probe(NUMBER, TIMEOUT).await.outcome, Probe::Good);
        let saw = raw.until(|saw| saw.closed == round).await;
        assert_eq!(saw.connections, 1 + round, "one is kept for messages, each probe has its own");
    }
}

/// A certificate that has become wrong since the last probe is seen.
#[tokio::test]
async fn a_probe_sees_the_certificate_as_it_is_now() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let start = |address: String, tls| async move { Raw::start_at(&address, Some(tls), |_| healthy()).await };
    let raw = start("127.0.0.1:0".to_owned(), acceptor(cert.der(), &signing_key)).await.unwrap();
    let address = raw.address;
    let graph = to(meta(&format!("https://{address}")).with_roots(cert.pem().as_bytes()).unwrap());
    assert_eq!(graph.probe(NUMBER, TIMEOUT).await.outcome, Probe::Good);
    drop(raw);
    let tls = acceptor(other.cert.der(), &other.signing_key);
    // The port is free when the server has noticed that nobody wants it any more.
    let raw = loop {
        match start(address.to_string(), tls.clone()).await {
            Ok(raw) => break raw,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let probe = graph.probe(NUMBER, TIMEOUT).await.outcome;
    let Probe::Failed { reason, .. } = probe else { panic!("{probe:?}") };
    assert!(reason.starts_with("no connection: invalid peer certificate"), "{reason}");
    assert!(raw.saw().heads.is_empty());
}

#[tokio::test]
async fn without_a_whole_answer_it_has_failed() {
    for (act, words) in [
        (Act::new("", Then::Close), "no whole answer came: "),
        (Act::new("", Then::Reset), "no whole answer came: "),
        (Act::new("HTTP/1.1 200 OK\r\ncontent-length: 62\r\n\r\n{\"id\"", Then::Reset), "no whole answer"),
        (answer("302 Found", "{}"), "302: the answer points elsewhere"),
        (answer("200 OK", "<html>Welcome to Shop WiFi</html>"), "200: isn't Graph's answer"),
        (answer("502 Bad Gateway", "<html>502</html>"), "502: <html>502</html>"),
    ] {
        let raw = Raw::start(move |_| act.clone()).await;
        let probe = at(&raw).probe(NUMBER, TIMEOUT).await.outcome;
        let Probe::Failed { reason, .. } = probe else { panic!("{probe:?}") };
        assert!(reason.starts_with(words), "{reason}");
        assert_eq!(raw.saw().connections, 1, "it is asked once");
    }
    let graph = to(meta(&format!("http://{}", closed())));
    let called = graph.probe(NUMBER, TIMEOUT).await;
    assert_eq!(
        called.outcome,
        Probe::Failed { reason: "no connection: Connection refused (os error 111)".into(), unsent: true }
    );
    assert!(!format!("{called:?}").contains("127.0.0.1"));
}

#[tokio::test]
async fn of_an_endless_answer_the_beginning_counts() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{{\"id\":\"{}", "x".repeat(1024 * 1024));
    let raw = Raw::start(move |_| Act::new(endless.clone(), Then::Hold)).await;
    let called = at(&raw).probe(NUMBER, TIMEOUT).await;
    assert_eq!(called.outcome, Probe::Failed { reason: "200: isn't Graph's answer".into(), unsent: false });
    assert!(called.latency < TIMEOUT, "nobody waits for its end");
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_while_it_lasts_and_ends_in_time() {
    let slow = Duration::from_millis(1_500);
    let raw = Raw::start(|_| Act::new("", Then::Hold)).await;
    let graph = at(&raw);
    let begun = tokio::time::Instant::now();
    let mut probe = pin!(graph.probe(NUMBER, TIMEOUT));
    let timer = pin!(tokio::time::sleep(slow));
    let Either::Right(_) = select(probe.as_mut(), timer).await else { panic!("it was answered") };
    assert_eq!(begun.elapsed(), slow);
    let called = probe.await;
    assert_eq!(called.outcome, Probe::Failed { reason: "no answer came in time".into(), unsent: false });
    let took = called.latency.as_millis();
    assert!((5_000..5_100).contains(&took), "from its beginning: {took}");

    // A socket that nobody accepts from is connected to, and never says a word of TLS.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let called = to(meta(&format!("https://{}", deaf.local_addr().unwrap()))).probe(NUMBER, TIMEOUT).await;
    assert_eq!(called.outcome, Probe::Failed { reason: "no connection in time".into(), unsent: true });
    assert!(called.latency <= TIMEOUT, "{:?}", called.latency);
}
