//! Requests that are meant to be understood in two ways, or not at all.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wagate_ingress::{ConnectionLimits, RequestLimits};

use crate::support::*;

/// A signed body, framed twice, with something behind it that would be a second request to
/// whoever believes the other framing.
#[tokio::test]
async fn two_framings_never_give_two_webhooks() {
    let door = Door::open().await;
    let signature = model::signature::hub::AppSecret::new(SECRET).sign(b"{}");
    let unsigned = "POST /webhook HTTP/1.1\r\nHost: box\r\nContent-Length: 2\r\n\r\n{}";
    for framing in [
        "Content-Length: 2\r\nContent-Length: 70\r\n",
        "Content-Length: 2, 70\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2\r\n Transfer-Encoding: chunked\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        for body in ["{}", "2\r\n{}\r\n0\r\n\r\n", "0\r\n\r\n"] {
            let before = door.shelf.bodies().len();
            let request = format!(
                "POST /webhook HTTP/1.1\r\nHost: box\r\nX-Hub-Signature-256: {signature}\r\n{framing}\r\n{body}{unsigned}"
            );
            let answers = door.exchange(request.as_bytes()).await;
            let taken = door.shelf.bodies().split_off(before);
            assert!(taken.len() <= 1, "{framing:?} {body:?}: {answers}");
            assert!(taken.iter().all(|body| body == "{}"), "only what was signed");
        }
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let door = Door::open().await;
    let bombs = [
        "X-Bomb: x\r\n".repeat(5_000),
        format!("X-Bomb: {}\r\n", "x".repeat(1 << 20)),
        "X: y\r\n".repeat(65),
    ];
    for bomb in bombs {
        let mut stream = door.connect().await;
        let _ = stream.write_all(&post(&bomb, b"")).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        // The answer may be lost in the reset; what counts is that nothing went on.
        let answer = String::from_utf8(bytes).unwrap();
        assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    }
    assert_eq!(door.metrics.webhooks("unsigned"), 0);
    assert_eq!(status(&door.exchange(&signed(b"{}")).await), 200);
}

#[tokio::test]
async fn a_long_target_is_refused() {
    let door = Door::open().await;
    let request = format!("GET /webhook?{} HTTP/1.1\r\nHost: box\r\n\r\n", "a".repeat(1 << 18));
    let mut stream = door.connect().await;
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert_eq!(door.metrics.webhooks("forbidden"), 0);
}

#[tokio::test]
async fn chunks_that_are_none_store_nothing() {
    let door = Door::open().await;
    let signature = model::signature::hub::AppSecret::new(SECRET).sign(b"{}");
    for body in [
        "2\r\n{}\r\n",
        "zz\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}XX0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}",
    ] {
        let headers = format!("Transfer-Encoding: chunked\r\nX-Hub-Signature-256: {signature}\r\n");
        let mut request = head(&headers);
        request.extend_from_slice(body.as_bytes());
        let answer = door.exchange(&request).await;
        assert!(matches!(status(&answer), 0 | 400 | 413), "{body:?}: {answer}");
    }
    assert!(door.shelf.bodies().is_empty());
}

#[tokio::test]
async fn a_sender_that_hangs_up_does_not_stop_what_was_handed_over() {
    let door = Door::open().await;
    door.shelf.shut();
    let mut stream = door.connect().await;
    stream.write_all(&signed(b"{}")).await.unwrap();
    door.shelf.begun(1).await;
    drop(stream);
    // Long enough for the listener to have noticed.
    let mut other = door.connect().await;
    other.write_all(&post("", b"")).await.unwrap();
    answer(&mut other).await;
    assert!(door.shelf.bodies().is_empty());
    door.shelf.open();
    door.shelf.holds(1).await;
}

#[tokio::test]
async fn half_a_body_stores_nothing() {
    let door = Door::open().await;
    let request = signed(b"{\"a\":1}");
    for end in 1..request.len() {
        let answer = door.exchange(&request[..end]).await;
        assert!(matches!(status(&answer), 0 | 400), "{end}: {answer}");
    }
    assert!(door.shelf.bodies().is_empty());
    assert_eq!(status(&door.exchange(&request).await), 200);
}

#[tokio::test]
async fn slow_readers_do_not_stay_for_ever() {
    let connections =
        ConnectionLimits { header_time: Duration::from_millis(60), ..ConnectionLimits::default() };
    let door = Door::with(connections, RequestLimits::default()).await;
    let mut stream = door.connect().await;
    // Thousands of questions in one go, and not one answer read.
    let flood = b"GET / HTTP/1.1\r\nHost: box\r\n\r\n".repeat(20_000);
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&flood)).await;
    until(|| door.listener().open() == 0).await;
}

/// Sends bytes and waits for the end, whether that is an answer or a reset.
async fn provoke(door: &Door, request: &[u8]) {
    let mut stream = door.connect().await;
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
    until(|| door.listener().open() == 0).await;
    assert_eq!(door.listener().ended("cut"), 0, "a task panicked");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However a signed request is mangled on its way: what is stored is what was signed, or
    /// nothing.
    #[test]
    fn a_mangled_request_stores_what_was_signed_or_nothing(
        cuts in proptest::collection::vec((0_usize..200, 0_usize..20, proptest::collection::vec(any::<u8>(), 0..20)), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let door = Door::open().await;
            let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
            let mut request = signed(body);
            for (from, length, bytes) in cuts {
                let from = from.min(request.len());
                let to = (from + length).min(request.len());
                request.splice(from..to, bytes);
            }
            provoke(&door, &request).await;
            assert!(door.shelf.bodies().iter().all(|stored| stored == &body[..]));
        });
    }

    #[test]
    fn any_bytes_store_nothing(
        request in "(GET|POST|PRI|\\*)? ?(/webhook|\\*)?\\?? HTTP/(1.1|2.0|9)\r\n(\\PC{0,20}: ?\\PC{0,20}\r\n){0,4}\r\n(SM\r\n\r\n)?",
        tail in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let door = Door::open().await;
            provoke(&door, &[request.as_bytes(), &tail].concat()).await;
            assert!(door.shelf.bodies().is_empty());
        });
    }
}
