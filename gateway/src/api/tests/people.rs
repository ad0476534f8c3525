//! People: found by each of their names, and what they agreed to.

use axum::http::{Method, StatusCode};
use model::WallTime;
use serde_json::{Value, json};

use super::{CUSTOMER, HOUR, NOW, SHOP, World, text};

/// A webhook of a customer who writes.
fn webhook(wamid: &str) -> Vec<u8> {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "85291234567", "phone_number_id": SHOP },
        "contacts": [{ "profile": { "name": "Chan Tai Man" }, "wa_id": "85261234567", "user_id": "HK.1349" }],
        "messages": [{ "from": "85261234567", "from_user_id": "HK.1349", "id": wamid,
                       "timestamp": "1795172400", "type": "text", "text": { "body": "Hello" } }],
    });
    let entry = json!({ "id": "1", "changes": [{ "field": "messages", "value": value }] });
    json!({ "object": "whatsapp_business_account", "entry": [entry] }).to_string().into_bytes()
}

#[tokio::test]
async fn a_customer_is_found_by_every_name() {
    let world = World::new(&[SHOP]);
    for path in ["+85261234567", "HK.1349", "c-00000000000000000000000000", "61234567", "nobody", "c-1"] {
        let answer = world.get(&format!("/v1/contacts/{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    world.store.append_and_wait(records::digest(&webhook("wamid.1")), WallTime(NOW)).unwrap();
    let shown = world.get("/v1/contacts/+852%206123%204567").await.json;
    assert_eq!((&shown["name"], &shown["user_id"]), (&json!("Chan Tai Man"), &json!("HK.1349")));
    let id = shown["id"].as_str().unwrap();
    for path in [id, "85261234567", "HK.1349"] {
        assert_eq!(world.get(&format!("/v1/contacts/{path}")).await.json, shown, "{path}");
    }
    let contact = model::ContactId::from_stored(id.to_owned()).to_bits();
    let says = model::Says::Inbound { wamid: "wamid.1".to_owned() };
    world.learn(SHOP, contact, NOW - HOUR, says).await;
    let windows = &world.get(&format!("/v1/contacts/{id}")).await.json["windows"];
    assert_eq!(windows[0]["closes_at"], "2026-11-21T11:00:00.000Z");

    // A contact's id is as good as the phone to write to.
    let mut message = text("Hello");
    message["to"] = json!(id);
    assert_eq!(world.queue("1", &message).await.status, StatusCode::ACCEPTED);
    let call = world.outbox.call();
    assert_eq!(call.to, Some(model::Address::Phone(CUSTOMER.to_owned())));
}

/// A webhook of others: more records than one look goes through at first.
fn others(first: usize) -> Vec<u8> {
    let message = |place: usize| {
        json!({ "from": "85268888888", "id": format!("wamid.other.{place}"), "timestamp": "1795172400", "type": "text",
                "text": { "body": "x" } })
    };
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "85291234567", "phone_number_id": SHOP },
        "messages": (first..first + 800).map(message).collect::<Vec<_>>(),
    });
    let entry = json!({ "id": "1", "changes": [{ "field": "messages", "value": value }] });
    json!({ "object": "whatsapp_business_account", "entry": [entry] }).to_string().into_bytes()
}

/// A webhook with a status of a message to the customer.
fn status() -> Vec<u8> {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "85291234567", "phone_number_id": SHOP },
        "statuses": [{ "id": "wamid.out", "status": "delivered", "timestamp": "1795172400",
                       "recipient_id": "85261234567" }],
    });
    let entry = json!({ "id": "1", "changes": [{ "field": "messages", "value": value }] });
    json!({ "object": "whatsapp_business_account", "entry": [entry] }).to_string().into_bytes()
}

#[tokio::test]
async fn a_customer_who_wrote_long_ago_is_still_known() {
    let world = World::new(&[SHOP]);
    let append = |body: &[u8]| world.store.append_and_wait(records::digest(body), WallTime(NOW)).unwrap();
    append(&webhook("wamid.1"));
    let known = world.get("/v1/contacts/HK.1349").await.json;
    for times in 1..=4 {
        append(&others(times * 800));
        assert_eq!(world.get("/v1/contacts/HK.1349").await.json, known, "behind {} others", times * 800);
    }
    assert_eq!(world.store.newest().0, 3_201);
    // A status has a phone and no name.
    append(&status());
    assert_eq!(world.get("/v1/contacts/HK.1349").await.json, known);
    assert_eq!((&known["name"], &known["phone"]), (&json!("Chan Tai Man"), &json!(CUSTOMER)));
}

#[tokio::test]
async fn consent_has_its_proof() {
    let world = World::new(&[SHOP]);
    let path = "/v1/contacts/+85261234567/opt-in";
    let proof = "signed the form in the shop";
    let given =
        world.put(path, json!({ "opted_in": true, "proof": proof, "at": "2026-11-19T10:00:00Z" })).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.json);
    assert_eq!(given.json["opt_in"], json!({ "at": "2026-11-19T10:00:00.000Z", "proof": proof }));
    let id = given.id();
    assert_eq!(world.get(&format!("/v1/contacts/{id}")).await.json["opt_in"]["proof"], proof);
    for (said, pointer) in [
        (json!({ "opted_in": true }), "/proof"),
        (json!({ "opted_in": true, "proof": "  " }), "/proof"),
        (json!({ "opted_in": true, "proof": "x".repeat(2_001) }), "/proof"),
        (json!({ "opted_in": true, "proof": proof, "at": "yesterday" }), "/at"),
        (json!({ "opted_in": true, "proof": proof, "at": "2026-11-20T13:00:00Z" }), "/at"),
        (json!({ "opted_in": false, "proof": proof }), "/opted_in"),
        (json!({ "proof": "x".repeat(2_001) }), "/proof"),
        (json!({ "proof": {} }), "/proof"),
        (json!({ "proof": ["form 12"] }), "/proof"),
        (json!({ "opted_in": "yes", "proof": proof }), "/opted_in"),
        (json!({ "proof": proof, "note": "by phone" }), "/note"),
    ] {
        let answer = world.put(path, said.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert_eq!(answer.pointers(), [pointer], "{said}");
    }
    // Who sends a proof has one, and it may have a form of its own.
    for (said, kept) in [
        (r#"{"proof":"form 12"}"#, "form 12"),
        (r#"{"proof":{"form":12.50,"by":"Ana"},"opted_in":null}"#, r#"{"form":12.50,"by":"Ana"}"#),
    ] {
        let given = world.ask(Method::PUT, path, &[], said).await;
        assert_eq!((given.status, &given.json["opt_in"]["proof"]), (StatusCode::OK, &json!(kept)), "{said}");
    }
    let taken_back = world.put(&format!("/v1/contacts/{id}/opt-in"), json!({ "opted_in": false })).await;
    assert_eq!((taken_back.status, &taken_back.json["opt_in"]), (StatusCode::OK, &Value::Null));
    let nobody = "/v1/contacts/c-00000000000000000000000007/opt-in";
    assert_eq!(world.put(nobody, json!({ "opted_in": false })).await.status, StatusCode::NOT_FOUND);
}
