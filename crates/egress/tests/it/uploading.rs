//! Files on their way to Graph.

use std::io;

use futures_util::stream::{self, Stream};
use model::{Outcome, Refusal};
use wagate_egress::{GraphEndpoint, Upload};

use crate::graph::{NUMBER, answer, at, to, took_it};
use crate::raw::{Act, Raw, Then};

const PORTION: usize = 64 * 1024;

fn file(portions: usize) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    stream::iter((0..portions).map(|_| Ok(vec![b'x'; PORTION])))
}

fn upload(portions: usize) -> Upload<'static> {
    Upload { mime: "application/pdf", filename: Some("invoice.pdf"), length: (portions * PORTION) as u64 }
}

#[tokio::test]
async fn a_file_arrives_whole_beside_its_fields() {
    let raw = Raw::start(|_| answer("200 OK", r#"{"id":"1037543291543636"}"#)).await;
    let called = at(&raw).upload(NUMBER, &upload(50), file(50)).await;
    assert_eq!(called.outcome.as_deref(), Ok("1037543291543636"), "{called:?}");
    let saw = raw.saw();
    assert!(saw.heads[0].starts_with(&format!("POST /v24.0/{NUMBER}/media HTTP/1.1")), "{}", saw.heads[0]);
    assert!(!saw.heads[0].contains("chunked"), "{}", saw.heads[0]);
    let body = String::from_utf8(saw.bodies[0].clone()).unwrap();
    let boundary = saw.heads[0].split("boundary=").nth(1).unwrap().lines().next().unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[4]), (5, "", "--\r\n"));
    assert!(parts[1].contains("name=\"messaging_product\"") && parts[1].ends_with("\r\n\r\nwhatsapp\r\n"));
    assert!(parts[2].contains("name=\"type\"") && parts[2].ends_with("\r\n\r\napplication/pdf\r\n"));
    assert!(
        parts[3].contains("name=\"file\"; filename=\"invoice.pdf\"\r\ncontent-type: application/pdf\r\n")
    );
    assert_eq!(parts[3].split("\r\n\r\n").nth(1).unwrap(), format!("{}\r\n", "x".repeat(50 * PORTION)));
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_is_not_uploaded() {
    let raw = Raw::start(|_| answer("200 OK", r#"{"id":"1"}"#)).await;
    for portions in [4, 6] {
        let called = at(&raw).upload(NUMBER, &upload(5), file(portions)).await;
        let Err(Outcome::Unknown { reason }) = &called.outcome else { panic!("{called:?}") };
        assert!(reason.contains("the file is "), "{reason}");
    }
    assert!(raw.saw().bodies.is_empty());
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_not_begun_and_a_refusal_is_told() {
    let raw = Raw::start(|_| answer("400 Bad", r#"{"error":{"code":"100","message":"no"}}"#)).await;
    let graph = at(&raw);
    let elsewhere =
        GraphEndpoint::new("odd", &format!("http://{}", raw.address), None, None, "/send").unwrap();
    let no_type = Upload { mime: "pdf", ..upload(1) };
    for (graph, upload) in [(&graph, upload(0)), (&graph, no_type), (&to(elsewhere), upload(1))] {
        let called = graph.upload(NUMBER, &upload, file(1)).await;
        assert!(matches!(called.outcome, Err(Outcome::NotSent { .. })) && !called.dialled, "{called:?}");
    }
    assert_eq!(raw.saw().connections, 0);
    let refused = graph.upload(NUMBER, &upload(1), file(1)).await.outcome;
    assert!(matches!(refused, Err(Outcome::Refused(Refusal { code: Some(100), .. }))), "{refused:?}");
    let other = Raw::start(|_| took_it()).await;
    let unknown = at(&other).upload(NUMBER, &upload(1), file(1)).await.outcome;
    assert!(matches!(unknown, Err(Outcome::Unknown { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_file_that_is_refused_before_it_was_read_is_refused() {
    for then in [Then::HalfClose, Then::Hold] {
        let act = answer("413 Too Large", r#"{"error":{"code":100,"message":"huge"}}"#);
        let raw = Raw::start(move |_| Act { early: true, then, ..act.clone() }).await;
        let refused = at(&raw).upload(NUMBER, &upload(256), file(256)).await.outcome;
        let Err(Outcome::Refused(refusal)) = refused else { panic!("{then:?}: {refused:?}") };
        assert_eq!((refusal.code, refusal.http), (Some(100), Some(413)), "{then:?}");
    }
}
