//! What isn't queued, and what its caller is told.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use model::Says;
use serde_json::json;

use super::{CAFE, CUSTOMER, SHOP, World, text};

#[tokio::test]
async fn the_key_is_needed_and_the_body_is_json() {
    let world = World::new(&[SHOP]);
    let queue = |headers: Vec<(&'static str, String)>, body: String| {
        let world = &world;
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.ask(Method::POST, "/v1/messages", &headers, body).await.status
        }
    };
    let right = text("Hello").to_string();
    let key = |key: &str| vec![("idempotency-key", key.to_owned())];
    assert_eq!(queue(vec![], right.clone()).await, StatusCode::BAD_REQUEST);
    for bad in ["", "two words", &"x".repeat(257), "naïve"] {
        assert_eq!(queue(key(bad), right.clone()).await, StatusCode::BAD_REQUEST, "{bad:?}");
    }
    let twice = vec![("idempotency-key", "1".to_owned()), ("idempotency-key", "2".to_owned())];
    assert_eq!(queue(twice, right.clone()).await, StatusCode::BAD_REQUEST);
    for body in ["", "{", "Hello"] {
        assert_eq!(queue(key("1"), body.to_owned()).await, StatusCode::BAD_REQUEST, "{body:?}");
    }
    assert_eq!(queue(key("1"), "[]".to_owned()).await, StatusCode::UNPROCESSABLE_ENTITY);
    let long = text(&"x".repeat(256 * 1024)).to_string();
    assert_eq!(queue(key("1"), long).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(queue(key(&"x".repeat(256)), right).await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_place() {
    let world = World::new(&[SHOP, CAFE]);
    let contact = world.wrote_to(CAFE).await;
    world
        .learn(SHOP, Some(contact), super::NOW, Says::Marketing { aliases: Vec::new(), stopped: true })
        .await;
    let with = |members: serde_json::Value| {
        let mut message = text("Hello");
        message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        message
    };
    let nobody = model::ContactId::from_bits(7);
    for (message, pointer) in [
        (with(json!({ "to": "+852" })), "/to"),
        (with(json!({ "to": nobody.as_str() })), "/to"),
        (with(json!({ "from": "1" })), "/from"),
        (with(json!({ "to": "+85261234568" })), "/from"),
        (with(json!({ "priority": "campaign" })), "/to"),
        (with(json!({ "priority": "soon" })), "/priority"),
        (with(json!({ "expires_at": "2026-11-20T11:59:59Z" })), "/expires_at"),
        (with(json!({ "text": {} })), "/text/body"),
        (with(json!({ "biz_opaque_callback_data": "mine" })), "/biz_opaque_callback_data"),
        (json!({ "to": CUSTOMER, "quick_reply": "none" }), "/quick_reply"),
    ] {
        let answer = world.queue("1", &message).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{message} {}", answer.json);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.pointers(), [pointer], "{message}");
    }
    // Nothing of it was queued, and the key is free.
    assert_eq!(world.get("/v1/messages").await.json["messages"], json!([]));
    let queued = world.queue("1", &text("Hello")).await;
    assert_eq!(queued.status, StatusCode::ACCEPTED);
    assert_eq!(world.outbox.call().number, CAFE, "the number that the customer wrote to");
}

#[tokio::test]
async fn a_key_keeps_its_answer_when_the_world_has_changed() {
    let world = World::new(&[SHOP]);
    let reply = json!({ "type": "text", "text": { "body": "It is ready, ${name}." } });
    assert_eq!(world.put("/v1/quick-replies/ready", reply).await.status, StatusCode::OK);
    let message = json!({ "to": CUSTOMER, "quick_reply": "ready", "fields": { "name": "Ana" } });
    let queued = world.queue("1", &message).await;
    assert_eq!(queued.status, StatusCode::ACCEPTED);
    let gone = world.ask(Method::DELETE, "/v1/quick-replies/ready", &[], "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = world.queue("1", &message).await;
    assert_eq!((again.status, again.json), (queued.status, queued.json.clone()));
    let other = json!({ "to": CUSTOMER, "quick_reply": "ready", "fields": { "name": "Ben" } });
    assert_eq!(world.queue("1", &other).await.status, StatusCode::CONFLICT);
    assert_eq!(world.queue("2", &other).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let shown = world.get(&format!("/v1/messages/{}", queued.id())).await.json;
    assert_eq!(shown["message"]["text"]["body"], "It is ready, Ana.");
}

#[tokio::test]
async fn a_full_disk_is_a_503_and_nothing_is_queued() {
    let world = World::new(&[SHOP]);
    world.outbox.is_full.store(true, Ordering::Relaxed);
    let answer = world.queue("1", &text("Hello")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));
    world.outbox.is_full.store(false, Ordering::Relaxed);
    assert_eq!(world.get("/v1/messages").await.json["messages"], json!([]));
    assert_eq!(world.queue("1", &text("Hello")).await.status, StatusCode::ACCEPTED);
}
