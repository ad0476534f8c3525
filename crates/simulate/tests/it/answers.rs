//! The CRM answers customers through the gateway's API, whatever befalls its calls.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wagate_simulate::crm::{Answering, Crm, CrmOptions};
use wagate_simulate::whatsapp::Target;

use crate::crm::{ANY_PORT, record, status};
use crate::run;

/// What the stand-in for the gateway does with the next call.
enum Does {
    Answers(u16, &'static str),
    Closes,
}

/// One call as it was made.
struct Call {
    head: String,
    message: Value,
}

/// Reads one request and lets the connection end after its answer.
async fn call(stream: &mut TcpStream, does: Does) -> Call {
    let mut bytes = Vec::new();
    let (head, message) = loop {
        let mut more = [0; 4_096];
        let read = stream.read(&mut more).await.unwrap();
        assert!(read > 0, "the request broke off");
        bytes.extend_from_slice(&more[..read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(message) = serde_json::from_str(body)
        {
            break (head.to_ascii_lowercase(), message);
        }
    };
    if let Does::Answers(status, body) = does {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    Call { head, message }
}

async fn calls(gateway: &TcpListener, does: Vec<Does>) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut does = VecDeque::from(does);
    while let Some(does) = does.pop_front() {
        let (mut stream, _) = gateway.accept().await.unwrap();
        calls.push(call(&mut stream, does).await);
    }
    calls
}

fn answering_crm(gateway: &TcpListener, twice_every: usize) -> Crm {
    let url = format!("http://{}/v1/messages", gateway.local_addr().unwrap());
    let answering = Answering {
        messages: Target::parse(&url).unwrap(),
        token: "the-token".into(),
        thinks: Duration::ZERO,
        twice_every,
    };
    let options = CrmOptions { answering: Some(answering), tolerance: None, ..CrmOptions::new(ANY_PORT) };
    Crm::start(options).unwrap()
}

/// A customer asks, with this sequence.
async fn ask(crm: &Crm, sequence: u64, text: &str) {
    let mut asks = record(sequence, "c-1");
    asks["data"]["contact"]["phone"] = json!("+12125550100");
    asks["data"]["message"]["text"] = json!(text);
    assert_eq!(status(crm, &asks).await, 200);
}

async fn idle(crm: &Crm) {
    while !crm.replies().1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_reply_is_posted_until_it_is_queued_always_with_the_same_key() {
    run(async {
        let gateway = TcpListener::bind(ANY_PORT).await.unwrap();
        let crm = answering_crm(&gateway, 0);
        ask(&crm, 1, "¿Tienen envío a domicilio? #1").await;
        // Delivered again, and answered once all the same.
        ask(&crm, 1, "¿Tienen envío a domicilio? #1").await;
        let queued = Does::Answers(202, r#"{"id":"o-1","status":"queued"}"#);
        let calls = calls(&gateway, vec![Does::Closes, Does::Answers(503, "{}"), queued]).await;
        idle(&crm).await;
        for call in &calls {
            assert!(call.head.starts_with("post /v1/messages "), "{}", call.head);
            assert!(call.head.contains("\r\nauthorization: bearer the-token"), "{}", call.head);
            assert!(call.head.contains("\r\nidempotency-key: reply-wamid.1"), "{}", call.head);
            let message = json!({
                "to": "+12125550100", "type": "text", "text": { "body": "Sí, llega en dos días." },
                "priority": "reply",
            });
            assert_eq!(call.message, message);
        }
        let [written] = crm.written().try_into().unwrap();
        assert_eq!((written.outbox_id.as_deref(), written.queued, written.refused), (Some("o-1"), 1, None));
    });
}

#[test]
fn one_that_is_asked_for_twice_has_one_name_or_is_found_out() {
    run(async {
        let gateway = TcpListener::bind(ANY_PORT).await.unwrap();
        let crm = answering_crm(&gateway, 1);
        let id = |id: &'static str| Does::Answers(202, id);
        ask(&crm, 1, "Do you deliver on Sundays?").await;
        calls(&gateway, vec![id(r#"{"id":"o-1"}"#), id(r#"{"id":"o-1"}"#)]).await;
        ask(&crm, 2, "Do you deliver on Sundays?").await;
        calls(&gateway, vec![id(r#"{"id":"o-2"}"#), id(r#"{"id":"o-3"}"#)]).await;
        idle(&crm).await;
        let book: Vec<_> = crm.written().iter().map(|written| (written.queued, written.renamed)).collect();
        assert_eq!((book, crm.replies()), (vec![(2, false), (2, true)], (2, true)));
    });
}

#[test]
fn what_is_refused_for_good_is_given_up() {
    run(async {
        let gateway = TcpListener::bind(ANY_PORT).await.unwrap();
        let crm = answering_crm(&gateway, 0);
        ask(&crm, 1, "Do you deliver on Sundays?").await;
        calls(&gateway, vec![Does::Answers(422, "{}")]).await;
        idle(&crm).await;
        assert_eq!((crm.written()[0].refused, crm.replies()), (Some(422), (0, true)));
    });
}
