//! Requests that are meant to be understood in two ways, or not at all.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
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
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
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
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
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
