//! What a store's side of the conversation with Graph needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use model::signature::hub::AppSecret;
use serde_json::{Value, json};
use wagate_simulate::graph::{Behaviour, Graph, GraphSettings, HandClock, Statuses, Webhooks};
use wagate_simulate::whatsapp::{Backoff, Retry, SenderOptions, Target};

use crate::crm::{ANY_PORT, ask};
use crate::gateway::Gateway;

pub(crate) const NUMBER: &str = "106540352242922";
pub(crate) const TOKEN: &str = "a-token";
pub(crate) const APP_SECRET: &[u8] = b"app secret";
/// 2026-11-20T22:43:15Z.
pub(crate) const START_MS: i64 = 1_795_214_595_000;

pub(crate) const ANN: &str = "+12125550100";
pub(crate) const BOB: &str = "+12125550101";
pub(crate) const LONG: Duration = Duration::from_secs(10);
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

pub(crate) fn alone() -> (Graph, HandClock) {
    let clock = HandClock::new(START_MS);
    (Graph::start(settings(&clock)).unwrap(), clock)
}

/// Without chance, by a clock that stands still, with a control port.
pub(crate) fn settings(clock: &HandClock) -> GraphSettings {
    GraphSettings {
        token: Some(TOKEN.to_owned()),
        control: Some(ANY_PORT),
        statuses: Statuses::PLAIN,
        clock: Arc::new(clock.clone()),
        ..GraphSettings::new(ANY_PORT)
    }
}

/// A Graph that sends its statuses to that gateway.
pub(crate) fn graph_to(gateway: &Gateway, clock: &HandClock) -> Graph {
    let retry = Retry::Later(Backoff {
        first: std::time::Duration::from_millis(5),
        longest: std::time::Duration::from_millis(20),
    });
    let sender = SenderOptions { retry, ..SenderOptions::new(Target::parse(&gateway.url()).unwrap()) };
    let webhooks = Some(Webhooks::new(sender, AppSecret::new(APP_SECRET)));
    Graph::start(GraphSettings { webhooks, ..settings(clock) }).unwrap()
}

pub(crate) fn behave(graph: &Graph, texts: &[&str]) {
    let behaviours: Vec<Behaviour> = texts.iter().map(|text| text.parse().unwrap()).collect();
    graph.behave(&behaviours);
}

pub(crate) fn text(to: &str, id: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "text",
        "text": { "body": "Hi" }, "biz_opaque_callback_data": id })
}

pub(crate) fn template(to: &str, id: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "template",
        "template": { "name": "order_sent", "language": { "code": "en" } }, "biz_opaque_callback_data": id })
}

pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).header("host", "graph");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Posts a message as to Meta.
pub(crate) async fn send(to: SocketAddr, message: &Value) -> Result<(u16, Value), String> {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = ask(to, post(&format!("/v24.0/{NUMBER}/messages"), &headers, message.to_string())).await?;
    Ok(read(&answer))
}

/// The same, to be answered.
pub(crate) async fn said(graph: &Graph, message: &Value) -> (u16, Value) {
    send(graph.address(), message).await.unwrap()
}

pub(crate) fn read(answer: &Response<Bytes>) -> (u16, Value) {
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

/// The statuses of all webhooks that the gateway got, signatures checked.
pub(crate) fn statuses(gateway: &Gateway) -> Vec<Value> {
    webhooks(gateway).into_iter().flatten().collect()
}

/// The same by webhook.
pub(crate) fn webhooks(gateway: &Gateway) -> Vec<Vec<Value>> {
    let secret = AppSecret::new(APP_SECRET);
    let received = gateway.received.lock().unwrap();
    let of_one = |body: &Bytes| -> Vec<Value> {
        let body: Value = serde_json::from_slice(body).unwrap();
        let changes = body["entry"][0]["changes"].as_array().unwrap().clone();
        changes.iter().flat_map(|change| change["value"]["statuses"].as_array().unwrap().clone()).collect()
    };
    received
        .iter()
        .map(|(head, body)| {
            assert_eq!(head.headers["x-hub-signature-256"].to_str().unwrap(), secret.sign(body));
            of_one(body)
        })
        .collect()
}

pub(crate) fn bearer(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    head.headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    Request::from_parts(head, body)
}
