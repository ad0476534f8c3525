//! Every status of the contract's section 3.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use wagate_ingress::{ConnectionLimits, Reason, Refusal, RequestLimits};

use crate::support::*;

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: box\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_right_handshake_gets_its_challenge_byte_for_byte() {
    let door = Door::open().await;
    let answer = door
        .exchange(&get("/webhook?hub.mode=subscribe&hub.challenge=11%2F58&hub.verify_token=s3cret"))
        .await;
    assert_eq!(status(&answer), 200);
    assert_eq!(header(&answer, "content-type"), Some("text/plain"));
    assert!(answer.ends_with("\r\n\r\n11/58"), "{answer}");
}

#[tokio::test]
async fn every_other_handshake_is_refused() {
    let door = Door::open().await;
    for (query, expected) in [
        ("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", 403),
        ("?hub.mode=subscribe&hub.challenge=1", 403),
        ("?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=s3cret", 403),
        ("", 403),
        ("?hub.mode=subscribe&hub.verify_token=s3cret", 400),
        ("?hub.mode=subscribe&hub.challenge=a+b&hub.verify_token=s3cret", 400),
        ("?hub.mode=subscribe&hub.challenge=1&hub.challenge=2&hub.verify_token=s3cret", 400),
    ] {
        let answer = door.exchange(&get(&format!("/webhook{query}"))).await;
        assert_eq!(status(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn whatever_is_signed_is_handed_over_as_it_came() {
    let door = Door::open().await;
    let bodies: [&[u8]; 5] = [
        b"",
        b"{\"object\":\"whatsapp_business_account\",\"entry\":[]}",
        b"{ no json",
        b"\xff\x00\n",
        &[b'['; 100_000],
    ];
    for (count, body) in bodies.into_iter().enumerate() {
        let answer = door.exchange(&signed(body)).await;
        assert_eq!(status(&answer), 200);
        assert_eq!(door.shelf.bodies().len(), count + 1, "stored before the answer");
        assert_eq!(door.shelf.bodies()[count], body);
    }
    assert_eq!(door.metrics.webhooks("accepted"), 5);
}

#[tokio::test]
async fn a_compressed_body_is_taken_as_the_bytes_that_were_signed() {
    let door = Door::open().await;
    let body = b"\x1f\x8b not really gzip";
    let signature = model::signature::hub::AppSecret::new(SECRET).sign(body);
    let headers = format!("Content-Encoding: gzip\r\nX-Hub-Signature-256: {signature}\r\n");
    assert_eq!(status(&door.exchange(&post(&headers, body)).await), 200);
    assert_eq!(door.shelf.bodies(), [&body[..]]);
}

#[tokio::test]
async fn what_is_not_rightly_signed_is_401_and_goes_nowhere() {
    let door = Door::open().await;
    let body = b"{}";
    let right = model::signature::hub::AppSecret::new(SECRET).sign(body);
    let sha1 = "X-Hub-Signature: sha1=0000000000000000000000000000000000000000\r\n";
    for headers in [
        String::new(),
        sha1.to_owned(),
        forged(),
        format!("X-Hub-Signature-256: {}\r\n", &right[..70]),
        format!("X-Hub-Signature-256: {right}0\r\n"),
        format!("X-Hub-Signature-256: {}\r\n", right.replace("sha256=", "sha512=")),
        format!("X-Hub-Signature-256: {right}\r\nX-Hub-Signature-256: {right}\r\n"),
        format!("X-Hub-Signature-256: {right}, {right}\r\n"),
        "X-Hub-Signature-256:\r\n".to_owned(),
    ] {
        assert_eq!(status(&door.exchange(&post(&headers, body)).await), 401, "{headers}");
    }
    assert_eq!(status(&door.exchange(&signed_with(b"another secret", body)).await), 401);
    assert!(door.shelf.bodies().is_empty());
}

#[tokio::test]
async fn credentials_change_while_the_listener_runs() {
    let door = Door::open().await;
    door.webhook.replace(credentials(&[b"new secret", SECRET]));
    assert_eq!(status(&door.exchange(&signed(b"1")).await), 200);
    assert_eq!(status(&door.exchange(&signed_with(b"new secret", b"2")).await), 200);
    door.webhook.replace(credentials(&[b"new secret"]));
    assert_eq!(status(&door.exchange(&signed(b"3")).await), 401);
    assert_eq!(door.shelf.bodies(), ["1", "2"]);
}

#[tokio::test]
async fn a_refusal_is_503_and_says_when_to_come_back() {
    let door = Door::open().await;
    for (reason, label) in [(Reason::Full, "full"), (Reason::Busy, "busy"), (Reason::Broken, "broken")] {
        door.shelf.refuse(Some(Refusal { reason, retry_after: Duration::from_millis(29_500) }));
        let answer = door.exchange(&signed(b"{}")).await;
        assert_eq!(status(&answer), 503);
        assert_eq!(header(&answer, "retry-after"), Some("30"));
        assert_eq!(door.metrics.webhooks(label), 1);
    }
    door.shelf.refuse(None);
    assert_eq!(status(&door.exchange(&signed(b"{}")).await), 200);
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405() {
    let door = Door::open().await;
    for target in ["/", "/webhook/", "/webhookx", "/Webhook", "//webhook", "/healthz", "/metrics"] {
        assert_eq!(status(&door.exchange(&get(target)).await), 404, "{target}");
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let request = format!("{method} /webhook HTTP/1.1\r\nHost: box\r\n\r\n");
        let answer = door.exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), 405, "{method}");
        assert_eq!(header(&answer, "allow"), Some("GET, POST"));
    }
}

#[tokio::test]
async fn no_answer_names_software_version_or_a_wrong_clock() {
    let door = Door::open().await;
    let garbage = b"\x00\x01\x02 nonsense\r\n\r\n".to_vec();
    let old = b"GET /webhook HTTP/1.0\r\n\r\n".to_vec();
    for request in [get("/"), get("/webhook"), signed(b"{}"), post("", b"x"), old, garbage] {
        let answer = door.exchange(&request).await.to_lowercase();
        assert!(answer.starts_with("http/1."), "{answer}");
        for word in ["server:", "date:", "via:", "x-powered", "hyper", "wagate", "rust", "tokio"] {
            assert!(!answer.contains(word), "{word} in {answer}");
        }
        assert!(answer.len() < 200, "{answer}");
    }
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_go_on() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    let request = signed(b"{}");
    let (with_head, body) = request.split_at(request.len() - 2);
    let with_head =
        String::from_utf8(with_head.to_vec()).unwrap().replace("Host:", "Expect: 100-continue\r\nHost:");
    stream.write_all(with_head.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(body).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 200);
}

/// Nobody knows whether such a sender goes on with the body or with another request, so the
/// connection is closed at once and nothing of what follows is taken for either.
#[tokio::test]
async fn one_that_asks_first_and_is_refused_gets_the_refusal_only() {
    let requests = RequestLimits { dropped_time: Duration::from_secs(3600), ..RequestLimits::default() };
    let door = Door::with(ConnectionLimits::default(), requests).await;
    for (headers, expected) in [
        ("Content-Length: 10\r\n".to_owned(), 401),
        (format!("{}Content-Length: 99999999\r\n", forged()), 413),
    ] {
        let mut stream = door.connect().await;
        stream.write_all(&head(&format!("Expect: 100-continue\r\n{headers}"))).await.unwrap();
        let answers = rest(&mut stream).await;
        assert_eq!(status(&answers), expected, "{answers}");
        assert!(!answers.contains("100 Continue"), "{answers}");
    }
}

#[tokio::test]
async fn a_sender_that_closes_its_half_still_gets_its_answer() {
    let door = Door::open().await;
    door.shelf.shut();
    let mut stream = door.connect().await;
    stream.write_all(&signed(b"{}")).await.unwrap();
    stream.shutdown().await.unwrap();
    door.shelf.begun(1).await;
    // By the next answer the listener has seen the end of the first connection.
    assert_eq!(status(&door.exchange(&post("", b"")).await), 401);
    door.shelf.open();
    assert_eq!(status(&rest(&mut stream).await), 200);
}

#[tokio::test]
async fn several_webhooks_share_a_connection() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    for body in ["1", "2", "3"] {
        stream.write_all(&signed(body.as_bytes())).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), 200);
    }
    stream.write_all(&post("", b"unsigned")).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 401);
    stream.write_all(&signed(b"4")).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 200);
    assert_eq!(door.shelf.bodies(), ["1", "2", "3", "4"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes in the header that aren't the one right value never get anything stored.
    #[test]
    fn no_header_but_the_right_one_opens_the_door(
        value in "(sha256=)?[0-9a-fA-Fx ]{0,70}",
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let door = Door::open().await;
            let answer = door.exchange(&post(&format!("X-Hub-Signature-256: {value}\r\n"), &body)).await;
            assert_eq!(status(&answer), 401);
            assert!(door.shelf.bodies().is_empty());
        });
    }
}
