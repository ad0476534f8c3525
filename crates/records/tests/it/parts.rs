//! The parts of a message and of a status, in every form that has been seen.

use serde_json::{Value, json};

use crate::support::{event, message, status, webhook};

/// What `data.message` holds besides its id, where it isn't null.
fn parts(members: &str) -> Value {
    let mut message = event(&message(members))["data"]["message"].take();
    message.as_object_mut().unwrap().retain(|key, value| key != "id" && !value.is_null());
    message
}

#[test]
fn texts() {
    assert_eq!(parts(r#""type":"text","text":{"body":"a"}"#), json!({"type": "text", "text": "a"}));
    assert_eq!(parts(r#""type":"text","text":"a""#), json!({"type": "text", "text": "a"}));
    assert_eq!(parts(r#""text":{"body":5}"#), json!({"type": "text", "text": "5"}));
    assert_eq!(parts(r#""type":"text","text":{"body":["a"]}"#), json!({"type": "text"}));
}

#[test]
fn media() {
    for kind in ["image", "audio", "video", "document", "sticker"] {
        let given = parts(&format!(
            r#""type":"{kind}","{kind}":{{"id":1,"mime_type":"a/b","sha256":"s","filename":"../f","caption":"c","voice":"true","animated":false,"url":"https://x"}}"#
        ));
        let media = json!({"kind": kind, "id": "1", "mime_type": "a/b", "sha256": "s", "filename": "../f",
            "caption": "c", "voice": true, "animated": false, "href": null});
        assert_eq!(given, json!({"type": kind, "media": media}));
        assert_eq!(
            parts(&format!(r#""type":"{kind}","{kind}":{{}},"errors":[{{"code":131052}}]"#)),
            json!({"type": kind})
        );
    }
}

#[test]
fn locations() {
    let location = |latitude: Value, longitude: Value| {
        json!({"type": "location",
            "location": {"latitude": latitude, "longitude": longitude, "name": null, "address": null, "url": null}})
    };
    let given = parts(r#""location":{"latitude":"37.4842","longitude":-122.14850000001}"#);
    assert_eq!(given, location(json!(37.4842), json!(-122.148_500_000_01)));
    assert_eq!(
        parts(r#""location":{"latitude":"north","longitude":"1e400"}"#),
        location(Value::Null, Value::Null)
    );
}

#[test]
fn replies() {
    let reply = |kind: &str, id: Value, title: &str, description: Value, data: Value| json!({"kind": kind, "id": id, "title": title, "description": description, "data": data});
    let flow = |data: Value| reply("flow", Value::Null, "Sent", Value::Null, data);
    for (members, expected) in [
        (
            r#""interactive":{"type":"button_reply","button_reply":{"id":"b","title":"B"}}"#,
            reply("button", json!("b"), "B", Value::Null, Value::Null),
        ),
        (
            r#""interactive":{"list_reply":{"id":"l","title":"L","description":"D"}}"#,
            reply("list", json!("l"), "L", json!("D"), Value::Null),
        ),
        (
            r#""button":{"payload":"p","text":"P"}"#,
            reply("template_button", json!("p"), "P", Value::Null, Value::Null),
        ),
        (
            r#""interactive":{"nfm_reply":{"body":"Sent","response_json":"{\"a\":[1,\"\\ud800\"]}"}}"#,
            flow(json!({"a": [1, "\u{fffd}"]})),
        ),
        (r#""interactive":{"nfm_reply":{"body":"Sent","response_json":"[1]"}}"#, flow(json!("[1]"))),
        (r#""interactive":{"nfm_reply":{"body":"Sent","response_json":"{oops"}}"#, flow(json!("{oops"))),
        (r#""interactive":{"nfm_reply":{"body":"Sent","response_json":{"a":1}}}"#, flow(json!({"a": 1}))),
        (r#""interactive":{"nfm_reply":{"body":"Sent"}}"#, flow(Value::Null)),
    ] {
        assert_eq!(parts(members)["reply"], expected, "{members}");
    }
    let deep = format!("{}{}", r#"{\"a\":"#.repeat(101) + "1", "}".repeat(101));
    let text = parts(&format!(r#""interactive":{{"nfm_reply":{{"response_json":"{deep}"}}}}"#));
    assert!(text["reply"]["data"].is_string(), "what nests too deep stays a text");
    assert_eq!(
        parts(r#""type":"interactive","interactive":{"type":"product","product":{}}"#),
        json!({"type": "interactive"})
    );
}

#[test]
fn reactions() {
    let reaction =
        |emoji: Value| json!({"type": "reaction", "reaction": {"message_id": "wamid.R", "emoji": emoji}});
    assert_eq!(parts(r#""reaction":{"message_id":"wamid.R","emoji":"\ud83d\udc4d"}"#), reaction(json!("👍")));
    assert_eq!(parts(r#""reaction":{"messsage_id":"wamid.R","emoji":""}"#), reaction(Value::Null));
    assert_eq!(parts(r#""reaction":{"message_id":"wamid.R"}"#), reaction(Value::Null));
}

#[test]
fn orders() {
    let order = parts(
        r#""order":{"catalog_id":7,"text":"","product_items":[{"product_retailer_id":"s","quantity":"2","item_price":29.90,"currency":"BRL"},{"quantity":{}},5]}"#,
    );
    let nothing =
        json!({"product_retailer_id": null, "quantity": null, "item_price": null, "currency": null});
    let first = json!({"product_retailer_id": "s", "quantity": 2, "item_price": 29.9, "currency": "BRL"});
    assert_eq!(order["order"], json!({"catalog_id": "7", "text": null, "items": [first, nothing, nothing]}));
    let many = parts(&format!(r#""order":{{"product_items":[{}]}}"#, vec!["0"; 1_001].join(",")));
    assert_eq!(many["order"]["items"].as_array().map(Vec::len), Some(1_000));
}

#[test]
fn contexts() {
    for (context, expected) in [
        (
            r#"{"from":"1","id":"wamid.C","referred_product":{"catalog_id":"c","product_retailer_id":"p"}}"#,
            json!({"message_id": "wamid.C", "from": "1", "forwarded": false, "frequently_forwarded": false,
                "product": {"catalog_id": "c", "product_retailer_id": "p"}}),
        ),
        (
            r#"{"frequently_forwarded":true,"forwarded":"true"}"#,
            json!({"message_id": null, "from": null, "forwarded": true, "frequently_forwarded": true, "product": null}),
        ),
        (r#"{"from":null,"forwarded":false,"referred_product":{}}"#, Value::Null),
    ] {
        assert_eq!(
            event(&message(&format!(r#""context":{context}"#)))["data"]["message"]["context"],
            expected
        );
    }
}

#[test]
fn edits_and_revokes() {
    let edit = parts(
        r#""type":"edit","edit":{"original_message_id":"wamid.O","message":{"type":"image","image":{"caption":"new"},"context":{"id":"wamid.C"}}}"#,
    );
    assert_eq!(edit["original_message_id"], "wamid.O");
    assert_eq!(edit["media"]["caption"], "new");
    assert_eq!(edit["context"]["message_id"], "wamid.C");
    let revoke = parts(r#""type":"revoke","revoke":{"original_message_id":"wamid.O"}"#);
    assert_eq!(revoke, json!({"type": "revoke", "original_message_id": "wamid.O"}));
}

#[test]
fn what_is_passed_on_stays_as_it_is() {
    let given =
        parts(r#""type":"contacts","contacts":[{"vcard":"BEGIN"}],"referral":{"ctwa_clid":"x","n":1.50}"#);
    assert_eq!(
        given,
        json!({"type": "contacts", "contacts": [{"vcard": "BEGIN"}], "referral": {"ctwa_clid": "x", "n": 1.5}})
    );
}

#[test]
fn statuses() {
    let given = &event(&status(
        r#""status":"failed","biz_opaque_callback_data":"out-1","errors":[{"code":131049}],"pricing":{"category":"service"}"#,
    ))["data"]["status"];
    let expected = json!({"message_id": "wamid.A", "status": "failed", "outbox_id": "out-1",
        "errors": [{"code": 131049}], "pricing": {"category": "service"}});
    assert_eq!(given, &expected);
    let given = &event(&status(
        r#""status":"sent","errors":"","biz_opaque_callback_data":"","pricing":null"#,
    ))["data"]["status"];
    let nothing = json!({"message_id": "wamid.A", "status": "sent", "outbox_id": null, "errors": null, "pricing": null});
    assert_eq!(given, &nothing);
}

#[test]
fn echoes_of_a_standby_thread_are_unwrapped() {
    let value = r#"{"standby":{"message_echoes":[{"id":"A","timestamp":"1","message":{"to":"1555","type":"text","text":{"body":"x"}}}]}}"#;
    let event = event(&webhook("standby", value));
    assert_eq!(event["type"], "wagate.message.echo.v1");
    assert_eq!(event["subject"], "+1555");
    assert_eq!(event["data"]["via"], "standby");
    assert_eq!(
        (&event["data"]["message"]["type"], &event["data"]["message"]["text"]),
        (&json!("text"), &json!("x"))
    );
}
