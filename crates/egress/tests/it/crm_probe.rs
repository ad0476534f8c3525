//! Whether a CRM answers at all, asked over real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::HeaderName;
use policy::failover::Answer;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::server::ServerSessionMemoryCache;
use wagate_egress::crm::Probe;
use wagate_egress::{Clients, Endpoint};

use crate::crm::{Crm, Reply, Seen};
use crate::raw::{Act, Raw, Then};
use crate::running::{REQUEST_TIMEOUT, client, patient};
use crate::tls::acceptor_with;

fn probe(url: &str, path: Option<&str>) -> Probe {
    let endpoint = Endpoint::new("primary", url).unwrap();
    Probe::new(&endpoint, path, &Clients::new(patient()).unwrap()).unwrap()
}

#[tokio::test]
async fn it_is_a_plain_get_of_the_url_or_of_a_path_on_its_host() {
    let crm = Crm::start(|_: &Seen| Reply::status(404)).await;
    let url = crm.url();
    for path in [None, Some("/health"), Some("/health/deep?full=1"), Some("//elsewhere.example/")] {
        assert_eq!(probe(&url, path).ask().await, Answer::Good, "{path:?}");
    }
    let seen = crm.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/wagate", "/health", "/health/deep", "//elsewhere.example/"]);
    for seen in seen {
        assert_eq!((seen.method.clone(), seen.body.len()), (Method::GET, 0));
        let mut names: Vec<_> = seen.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "connection", "host", "user-agent"], "no secret goes with it");
        assert_eq!(seen.header("user-agent"), "wagate/1.2.3");
    }
}

#[tokio::test]
async fn anything_under_500_is_good_and_no_redirect_is_followed() {
    for (status, answer) in [
        (200, Answer::Good),
        (302, Answer::Good),
        (401, Answer::Good),
        (500, Answer::Failed),
        (503, Answer::Failed),
    ] {
        let crm = Crm::start(move |_: &Seen| {
            let headers = vec![("location", "/elsewhere".to_owned())];
            Reply { headers, ..Reply::status(status) }
        })
        .await;
        assert_eq!(probe(&crm.url(), None).ask().await, answer, "{status}");
        assert_eq!(crm.seen().len(), 1);
    }
}

#[tokio::test]
async fn each_asks_anew_and_waits_for_no_more_than_the_head() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1024));
    let crm = Raw::start(move |_| Act::new(endless.clone(), Then::Hold)).await;
    let (probe, before) = (probe(&crm.url(), None), Instant::now());
    for _ in 0..3 {
        assert_eq!(probe.ask().await, Answer::Good);
    }
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(crm.saw().connections, 3);
}

#[tokio::test]
async fn no_answer_is_a_failure() {
    let closed = Raw::start(|_| Act::ok()).await.url();
    assert_eq!(probe(&closed, None).ask().await, Answer::Failed);
    for (bytes, then) in [("", Then::Close), ("", Then::Reset), ("SSH-2.0\r\n\r\n", Then::Keep)] {
        let crm = Raw::start(move |_| Act::new(bytes, then)).await;
        assert_eq!(probe(&crm.url(), None).ask().await, Answer::Failed, "{then:?}");
    }
    let crm = Raw::start(|_| Act::new("HTTP/1.1 200 OK\r\n", Then::Hold)).await;
    let endpoint = Endpoint::new("primary", &crm.url()).unwrap();
    let before = Instant::now();
    assert_eq!(
        Probe::new(&endpoint, None, &Clients::new(client()).unwrap()).unwrap().ask().await,
        Answer::Failed
    );
    assert!(before.elapsed() >= REQUEST_TIMEOUT);
    assert_eq!(probe("http://crm.store.invalid/", None).ask().await, Answer::Failed);
}

#[tokio::test]
async fn the_certificate_is_checked_each_time() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let answer = || Act::new("HTTP/1.1 204 No Content\r\n\r\n", Then::Keep);
    let sessions = ServerSessionMemoryCache::new(256);
    let tls = acceptor_with(cert.der(), &signing_key, Arc::<ServerSessionMemoryCache>::clone(&sessions));
    let crm = Raw::start_at("127.0.0.1:0", Some(tls), move |_| answer()).await.unwrap();
    let url = format!("https://{}/", crm.address);
    let clients = Clients::new(patient()).unwrap();
    let endpoint = Endpoint::new("primary", &url).unwrap();
    let stranger = Probe::new(&endpoint, None, &clients).unwrap();
    let endpoint = endpoint.with_roots(cert.pem().into_bytes());
    let friend = Probe::new(&endpoint, None, &clients).unwrap();
    assert_eq!((stranger.ask().await, friend.ask().await), (Answer::Failed, Answer::Good));
    // Another certificate at the same place: no session from before hides it.
    let address = crm.address.to_string();
    drop(crm);
    let other = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = acceptor_with(other.cert.der(), &other.signing_key, sessions);
    let crm = loop {
        // The listener before is closed when its task is gone.
        match Raw::start_at(&address, Some(tls.clone()), move |_| answer()).await {
            Ok(crm) => break crm,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(friend.ask().await, Answer::Failed);
    assert!(crm.saw().heads.is_empty());
}
