//! HTTP/2, over TLS as Meta would speak it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::signature::hub::AppSecret;
use rustls::version::TLS13;
use tempfile::TempDir;
use wagate_ingress::limits::BODY_BYTES;
use wagate_ingress::{ConnectionLimits, RequestLimits};

use crate::support::*;
use crate::tls::{client, self_signed};

async fn connect(door: &Door, folder: &TempDir) -> SendRequest<Full<Bytes>> {
    let stream = client(door, &folder.path().join("self_signed.pem"), b"h2", &[&TLS13]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn webhook(body: &[u8], secret: &[u8]) -> Request<Full<Bytes>> {
    Request::post("https://localhost/webhook")
        .header("X-Hub-Signature-256", AppSecret::new(secret).sign(body))
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap()
}

#[tokio::test]
async fn webhooks_are_taken_side_by_side() {
    let (folder, transport) = self_signed();
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let sender = connect(&door, &folder).await;
    door.shelf.shut();
    let mut answers = Vec::new();
    for number in 0..8_u8 {
        let mut sender = sender.clone();
        answers.push(tokio::spawn(async move { sender.send_request(webhook(&[number], SECRET)).await }));
    }
    door.shelf.begun(8).await;
    door.shelf.open();
    for answer in answers {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        assert!(!answer.headers().contains_key("date") && !answer.headers().contains_key("server"));
    }
    let mut bodies = door.shelf.bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..8_u8).map(|number| vec![number]).collect::<Vec<_>>());
}

#[tokio::test]
async fn refusals_come_through_and_the_connection_stays() {
    let (folder, transport) = self_signed();
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let mut sender = connect(&door, &folder).await;
    let large = vec![b'x'; 2 * BODY_BYTES];
    for (request, expected) in [
        (webhook(b"{}", b"another secret"), 401),
        (webhook(&large, SECRET), 413),
        (webhook(b"{}", SECRET), 200),
    ] {
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected);
        let _ = answer.into_body().collect().await;
    }
    assert_eq!(door.shelf.bodies(), ["{}"]);
}

/// Over HTTP/2 a hang-up is noticed at once, and the request's future is dropped.
#[tokio::test]
async fn a_sender_that_hangs_up_does_not_stop_what_was_handed_over() {
    let (folder, transport) = self_signed();
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    door.shelf.shut();
    let mut sender = connect(&door, &folder).await;
    let answer = tokio::spawn(async move { sender.send_request(webhook(b"{}", SECRET)).await });
    door.shelf.begun(1).await;
    answer.abort();
    until(|| door.listener().open() == 0).await;
    assert!(door.shelf.bodies().is_empty());
    door.shelf.open();
    door.shelf.holds(1).await;
}

#[tokio::test]
async fn draining_lets_streams_finish_and_idle_ones_go() {
    let (folder, transport) = self_signed();
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let mut busy = connect(&door, &folder).await;
    let _idle = connect(&door, &folder).await;
    let shelf = Arc::clone(&door.shelf);
    shelf.shut();
    let answer = tokio::spawn(async move { busy.send_request(webhook(b"{}", SECRET)).await });
    shelf.begun(1).await;
    let listener = door.listener();
    let served = door.stop();
    until(|| listener.open() == 1).await;
    shelf.open();
    assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200);
    assert_eq!(served.await.unwrap().cut, 0);
}
