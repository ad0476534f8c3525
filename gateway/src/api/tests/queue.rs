//! A conversation: queued, held, sent, uncertain, taken back.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use model::{OutboxId, Outcome, Pricing, Refusal, Says, StatusWord};
use serde_json::{Value, json};

use super::{Answer, NOW, SHOP, World, accepted, text};

#[tokio::test]
async fn a_reply_is_queued_once_and_told_of_to_the_end() {
    let world = World::new(&[SHOP]);
    world.wrote_to(SHOP).await;
    let queued = world.queue("key-1", &text("Yes.")).await;
    assert_eq!(queued.status, StatusCode::ACCEPTED);
    assert_eq!(queued.json["status"], "queued");
    assert_eq!(queued.json["window_closes_at"], "2026-11-21T11:00:00.000Z");
    assert_eq!(queued.json.get("parts"), None);
    let id = queued.id();
    assert_eq!(queued.headers["location"], format!("/v1/messages/{id}"));
    let path = format!("/v1/messages/{id}");

    let call = world.outbox.calls.lock().unwrap()[0].clone();
    assert_eq!((call.id.to_string(), call.number.as_str()), (id.clone(), SHOP));
    assert_eq!(call.to, Some(model::Address::Phone("+85261234567".to_owned())));
    assert_eq!(serde_json::from_str::<Value>(&call.payload).unwrap()["text"]["body"], "Yes.");
    assert_eq!(world.get(&path).await.json["status"], "sending");

    world.answered(accepted()).await;
    let again = world.queue("key-1", &text("Yes.")).await;
    assert_eq!((again.status, &again.json), (queued.status, &queued.json));
    assert!(world.outbox.calls.lock().unwrap().is_empty(), "it was sent once more");
    let other = world.queue("key-1", &text("No.")).await;
    assert_eq!(other.status, StatusCode::CONFLICT);

    let says = Says::Status {
        wamid: Some("wamid.out".to_owned()),
        outbox_id: OutboxId::parse(&id),
        word: StatusWord::Delivered,
        refusal: None,
        pricing: None,
        of_participant: false,
    };
    world.learn(SHOP, None, NOW, says).await;
    let shown = world.get(&path).await.json;
    let members = ["status", "wamid", "endpoint", "from", "to", "type", "priority"];
    let expected = json!(["delivered", "wamid.out", "meta", SHOP, "+85261234567", "text", "service"]);
    assert_eq!(json!(members.map(|member| &shown[member])), expected);
    assert_eq!((&shown["attempts"], &shown["message"]["text"]["body"]), (&json!(1), &json!("Yes.")));
    let steps: Vec<&Value> =
        shown["history"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
    assert_eq!(json!(steps), json!(["queued", "sending", "accepted", "delivered"]));
    let late = world.ask(Method::DELETE, &path, &[], "").await;
    assert_eq!((late.status, &late.json["message_status"]), (StatusCode::CONFLICT, &json!("delivered")));
}

#[tokio::test]
async fn of_many_that_come_at_once_with_one_key_one_is_queued() {
    let world = World::new(&[SHOP]);
    let message = text("Hello");
    let all = futures_util::future::join_all((0..20).map(|_| world.queue("key-1", &message))).await;
    let ids: BTreeSet<String> = all.iter().map(Answer::id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(world.get("/v1/messages").await.json["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_window_a_message_is_held_and_can_be_taken_back() {
    let world = World::new(&[SHOP]);
    let queued = world.queue("1", &text("Hello")).await;
    assert_eq!((queued.status, &queued.json["status"]), (StatusCode::ACCEPTED, &json!("held")));
    assert_eq!(queued.json["window_closes_at"], Value::Null);
    let second = world.queue("2", &text("Hello again")).await.id();
    let path = format!("/v1/messages/{}", queued.id());
    let shown = world.get(&path).await.json;
    assert_eq!(shown["reason"]["code"], "window_closed");
    assert_eq!(shown["expires_at"], "2026-11-21T12:00:00.000Z");

    let page = world.get("/v1/messages?limit=1").await.json;
    assert_eq!((&page["messages"][0]["id"], &page["next"]), (&json!(queued.id()), &json!(queued.id())));
    let page = world.get(&format!("/v1/messages?status=open&after={}", queued.id())).await.json;
    assert_eq!(page["messages"][0]["id"], second);
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));

    for _ in 0..2 {
        let gone = world.ask(Method::DELETE, &path, &[], "").await;
        assert_eq!((gone.status, &gone.json["status"]), (StatusCode::OK, &json!("cancelled")));
    }
    let open = world.get("/v1/messages").await.json;
    assert_eq!(open["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_uncertain_message_waits_for_a_persons_word() {
    let world = World::new(&[SHOP]);
    world.wrote_to(SHOP).await;
    let id = world.queue("1", &text("Hello")).await.id();
    let path = format!("/v1/messages/{id}/resolve");
    assert_eq!(world.post(&path, json!({ "as": "sent" })).await.status, StatusCode::CONFLICT);
    world.answered(Outcome::Unknown { reason: "no answer".to_owned() }).await;
    let listed = world.get("/v1/messages?status=uncertain").await.json;
    assert_eq!(listed["messages"][0]["id"], id);
    assert_eq!(listed["messages"][0]["reason"]["code"], "no_answer");

    for (word, pointer) in [(json!({ "as": "perhaps" }), "/as"), (json!({}), "/as"), (json!([]), "")] {
        let answer = world.post(&path, word).await;
        assert_eq!((answer.status, answer.pointers()), (StatusCode::UNPROCESSABLE_ENTITY, vec![pointer]));
    }
    assert_eq!(world.ask(Method::POST, &path, &[], "{").await.status, StatusCode::BAD_REQUEST);
    let resent = world.post(&path, json!({ "as": "resend" })).await;
    assert_eq!(resent.status, StatusCode::OK);
    // It waits with the whole number, which had no answer a moment ago; that a person said so is in its history.
    assert_eq!(resent.json["reason"]["code"], "endpoint_down");
    let steps = resent.json["history"].as_array().unwrap();
    assert!(steps.last().unwrap().to_string().contains("person"), "{steps:?}");
    let other = OutboxId { place: 7, chance: 7 };
    let missing = world.post(&format!("/v1/messages/{other}/resolve"), json!({ "as": "sent" })).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/v1/messages/m-1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_is_shown_with_what_to_do() {
    let world = World::new(&[SHOP]);
    world.wrote_to(SHOP).await;
    let id = world.queue("1", &text("Hello")).await.id();
    let refusal = Refusal { code: Some(131_026), details: "undeliverable".to_owned(), ..Refusal::default() };
    world.answered(Outcome::Refused(refusal)).await;
    let shown = world.get(&format!("/v1/messages/{id}")).await.json;
    assert_eq!((&shown["status"], &shown["reason"]["code"]), (&json!("failed"), &json!("refused")));
    let error = &shown["error"];
    assert_eq!((&error["code"], &error["class"]), (&json!(131_026), &json!("permanent")));
    assert_eq!(error["detail"], "undeliverable");
    assert!(error["advice"].as_str().is_some_and(|advice| advice.ends_with('.')), "{error}");
}

#[tokio::test]
async fn attachments_are_messages_of_their_own() {
    let world = World::new(&[SHOP]);
    let mut message = text("Two photos");
    message["attachments"] = json!([
        { "type": "image", "image": { "id": "1" } },
        { "type": "image", "image": { "id": "2" } },
    ]);
    message["priority"] = json!("reply");
    message["fallback"] = json!({ "name": "photos", "language": { "code": "en" } });
    let queued = world.queue("1", &message).await;
    let parts = queued.json["parts"].as_array().unwrap().clone();
    assert_eq!((queued.status, parts.len()), (StatusCode::ACCEPTED, 2), "{}", queued.json);
    // The fallback went in place of the first, and only of the first.
    let first = world.get(&format!("/v1/messages/{}", queued.id())).await.json;
    assert_eq!((&first["fallback_used"], &first["priority"]), (&json!(true), &json!("reply")));
    let second = world.get(&format!("/v1/messages/{}", parts[1].as_str().unwrap())).await.json;
    assert_eq!((&second["parts"], &second["status"]), (&json!(parts), &json!("held")));
    assert_eq!(second["message"]["image"]["id"], "2");
}

#[tokio::test]
async fn a_mark_as_read_needs_nobody() {
    let world = World::new(&[SHOP]);
    let queued = world.queue("1", &json!({ "status": "read", "message_id": "wamid.in" })).await;
    assert_eq!(queued.status, StatusCode::ACCEPTED, "{}", queued.json);
    let call = world.outbox.call();
    assert_eq!((call.to, call.kind), (None, outbox::Kind::ReadMark));
    let shown = world.get(&format!("/v1/messages/{}", queued.id())).await.json;
    assert_eq!(
        (&shown["type"], &shown["to"], &shown["contact"]),
        (&json!("read"), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn quotas_count_what_went_and_say_what_stops() {
    let world = World::new(&[SHOP]);
    world.wrote_to(SHOP).await;
    let id = world.queue("1", &text("Hello")).await.id();
    world.answered(accepted()).await;
    let pricing = Pricing { category: "marketing".to_owned(), kind: "regular".to_owned() };
    let says = Says::Status {
        wamid: None,
        outbox_id: OutboxId::parse(&id),
        word: StatusWord::Sent,
        refusal: None,
        pricing: Some(pricing),
        of_participant: false,
    };
    let balance = world.put("/v1/balance", json!({ "amount": "1.00", "low_water": "0.95" })).await;
    assert_eq!((&balance.json["amount"], &balance.json["is_low"]), (&json!("1.000000"), &json!(false)));
    world.learn(SHOP, None, NOW, says).await;
    let quota = world.get("/v1/quota").await.json;
    let used: Vec<_> =
        quota["quotas"].as_array().unwrap().iter().map(|it| (&it["name"], &it["used"])).collect();
    let expected =
        json!([["messages_per_day", 1], ["api_calls_per_day", 1], ["unique_recipients_per_24h", 0]]);
    assert_eq!(json!(used), expected);
    assert_eq!(quota["quotas"][0]["resets_at"], "2026-11-20T16:00:00.000Z");
    assert_eq!((&quota["numbers"][0]["stopped"], &quota["numbers"][0]["queued"]), (&Value::Null, &json!(0)));

    let balance = world.get("/v1/balance").await.json;
    assert_eq!((&balance["amount"], &balance["is_low"]), (&json!("0.930000"), &json!(true)));
    let costs = world.get("/v1/costs?from=2026-11-01&to=2026-11-30").await.json;
    assert_eq!((&costs["amount"], &costs["currency"]), (&json!("0.070000"), &json!("USD")));
    assert_eq!((&costs["costs"][0]["date"], &costs["costs"][0]["billed"]), (&json!("2026-11-20"), &json!(1)));
    assert_eq!(world.get("/v1/costs").await.json["costs"], costs["costs"]);

    world.queue("2", &text("And again")).await;
    let refusal = Refusal { code: Some(190), details: "token".to_owned(), ..Refusal::default() };
    world.answered(Outcome::Refused(refusal)).await;
    let numbers = &world.get("/v1/quota").await.json["numbers"][0];
    assert_eq!((&numbers["stopped"]["code"], &numbers["queued"]), (&json!(190), &json!(1)), "{numbers}");
    assert_eq!(numbers["blocked"]["reason"], "stopped");
}

#[tokio::test]
async fn what_waits_for_the_next_day_is_told_by_the_quota_too() {
    let mut few = super::number();
    few.messages_per_day = 1;
    let world = World::of([(SHOP, few)], crate::app::sending::Ways::none());
    world.wrote_to(SHOP).await;
    world.queue("1", &text("Hello")).await;
    world.answered(accepted()).await;
    assert_eq!(world.queue("2", &text("And again")).await.json["status"], "held");
    let waiting = &world.get("/v1/messages").await.json["messages"][0]["reason"];
    let number = &world.get("/v1/quota").await.json["numbers"][0];
    assert_eq!(number["blocked"]["reason"], waiting["code"]);
    assert_eq!(number["blocked"]["reason"], "messages_per_day");
    assert_eq!(number["blocked"]["until"], "2026-11-20T16:00:00.000Z");
    assert_eq!((&number["queued"], &number["held"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_paused_number_goes_on_when_a_person_says_so() {
    let world = World::new(&[SHOP]);
    world.wrote_to(SHOP).await;
    let id = world.queue("1", &text("Hello")).await.id();
    let refusal = Refusal { code: Some(131_048), details: "spam".to_owned(), ..Refusal::default() };
    world.answered(Outcome::Refused(refusal)).await;
    let number = &world.get("/v1/quota").await.json["numbers"][0];
    assert_eq!((&number["stopped"]["code"], &number["blocked"]["until"]), (&json!(131_048), &Value::Null));
    assert!(world.outbox.calls.lock().unwrap().is_empty());
    let other = world.ask(Method::POST, "/v1/numbers/7/resume", &[], "").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let resumed = world.ask(Method::POST, &format!("/v1/numbers/{SHOP}/resume"), &[], "").await;
    assert_eq!((resumed.status, resumed.json), (StatusCode::OK, json!({ "resumed": true })));
    assert_eq!(world.outbox.call().id.to_string(), id);
}
