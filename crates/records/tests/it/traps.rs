//! What Meta, its resellers and strangers have been seen to send, or may.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{event, events, message, messages, numbers, placed, read, status, webhook};

fn reasons(body: &[u8]) -> Vec<Value> {
    events(body).into_iter().map(|event| event["data"]["reason"].clone()).collect()
}

#[test]
fn a_body_that_is_no_envelope_is_one_unknown_that_holds_it() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (body, reason, raw) in [
        ("", "empty", Value::Null),
        (" \n", "empty", Value::Null),
        ("not json", "not_json", Value::Null),
        ("{\"entry\":[", "not_json", Value::Null),
        ("{}", "no_envelope", json!({})),
        ("null", "no_envelope", Value::Null),
        ("[]", "no_envelope", json!([])),
        (r#"{"entry":{}}"#, "no_envelope", json!({"entry": {}})),
        (r#"{"entry":[]}"#, "no_items", json!({"entry": []})),
        (&deep, "too_deep", Value::Null),
    ] {
        let event = event(body.as_bytes());
        assert_eq!(event["type"], "wagate.unknown.v1");
        assert_eq!(event["source"], "/wagate");
        assert_eq!(event["data"]["reason"], reason, "{}", &body[..body.len().min(40)]);
        assert_eq!(event["data"]["bytes"], body);
        assert_eq!(event["data"]["raw"], raw);
        assert!(event.get("subject").is_none() && event["data"]["contact"].is_null());
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_in_base64() {
    let body = b"{\"entry\":[\xff\xfe]}\0";
    let event = event(body);
    assert_eq!(event["data"]["reason"], "not_utf8");
    let kept = event["data"]["bytes_base64"].as_str().unwrap();
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(kept).unwrap(), body);
    assert!(event["data"].get("bytes").is_none() && event["data"]["raw"].is_null());
}

#[test]
fn one_bad_piece_never_takes_its_neighbours() {
    let good = |id: &str| {
        format!(
            r#"{{"field":"messages","value":{{"messages":[{{"id":"{id}","type":"text","text":{{"body":"x"}}}}]}}}}"#
        )
    };
    let body = format!(
        r#"{{"entry":[5, {{"id":"1"}}, {{"id":"1","changes":7}}, {{"id":"1","changes":[]}},
            {{"id":"2","changes":["x", {{"field":"messages"}}, {{"value":{{"a":1}}}}, {{"field":"messages","value":3}},
            {{"field":7,"value":{{}}}}, {}, {}]}}, null]}}"#,
        good("wamid.1"),
        good("wamid.2"),
    );
    let events = events(body.as_bytes());
    let seen: Vec<_> = events
        .iter()
        .map(|event| [&event["data"]["reason"], &event["data"]["field"], &event["data"]["message"]["id"]])
        .map(|words| words.into_iter().find_map(Value::as_str).unwrap())
        .collect();
    let expected = [
        "not_an_object",
        "no_changes",
        "no_changes",
        "no_changes",
        "not_an_object",
        "no_value",
        "no_field",
        "not_an_object",
        "7",
        "wamid.1",
        "wamid.2",
        "not_an_object",
    ];
    assert_eq!(seen, expected);
    assert_eq!(events[4]["source"], "/wagate/2");
}

#[test]
fn one_bad_item_never_takes_its_neighbours() {
    let body = messages(
        r#""messages":[{"id":"wamid.1"}, 5, null, {"type":"text"}, {"id":""}, {"id":"two words"}, {"id":["x"]}, {"id":"wamid.2"}],
           "statuses":[{"status":"sent"}, "x", {"id":"wamid.3","status":"sent"}],
           "message_echoes":"none""#,
    );
    let ids: Vec<_> = events(&body)
        .into_iter()
        .map(|event| match event["data"]["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => event["id"].as_str().unwrap().to_owned(),
        })
        .collect();
    let expected = [
        "wamid.1",
        "not_an_object",
        "not_an_object",
        "no_id",
        "no_id",
        "no_id",
        "no_id",
        "wamid.2",
        "no_id",
        "not_an_object",
        "wamid.3:sent",
        "not_an_array",
    ];
    assert_eq!(ids, expected);
}

#[test]
fn a_usable_id_makes_a_message_whatever_else_it_says() {
    let longest = "x".repeat(256);
    for (id, usable) in
        [("!", true), ("~", true), (longest.as_str(), true), (&format!("{longest}x"), false), ("é", false)]
    {
        let body = messages(&format!(
            r#""messages":[{{"id":"{id}","type":{{}},"text":7,"image":"x","order":[1]}}]"#
        ));
        let event = event(&body);
        if usable {
            assert_eq!(event["type"], "wagate.message.received.v1");
            assert_eq!(event["id"], id);
            assert_eq!(event["time"], event["data"]["received_at"]);
        } else {
            assert_eq!(event["data"]["reason"], "no_id");
        }
    }
    let event = event(&messages(r#""messages":[{"id":12345,"type":"teleport"}]"#));
    assert_eq!(
        (event["id"].as_str(), event["data"]["message"]["type"].as_str()),
        (Some("12345"), Some("teleport"))
    );
}

#[test]
fn lone_surrogates_and_nul_cost_nothing_but_themselves() {
    let body =
        message(r#""type":"text","text":{"body":"a\ud800b\u0000c \ud83d\ude00"},"\udfffkey\u0000":"\ud800""#);
    let items = wagate_records::digest(&body);
    let raw = items[0].raw.clone();
    assert!(raw.windows(13).any(|bytes| bytes == br#""a\ud800b\u00"#), "raw stays as it came");
    let rendered = wagate_records::render(&placed(items)[0], &numbers());
    assert!(rendered.windows(raw.len()).any(|bytes| bytes == raw), "raw stays as it came");
    assert_eq!(read(&rendered)["data"]["message"]["text"], "a\u{fffd}b\0c 😀");

    let contacts = r#""contacts":[{"wa_id":"15555550101","profile":{"name":"Zo\udc00\u0000"}}]"#;
    let message = r#""messages":[{"id":"wamid.A","from":"15555550101","contacts":[{"name":"\ud800"}]}]"#;
    let event = event(&messages(&format!("{contacts},{message}")));
    assert_eq!(event["data"]["contact"]["name"], "Zo\u{fffd}\0");
    let body = messages(r#""errors":[{"title":"\ud800"}]"#);
    let rendered = wagate_records::render(&placed(wagate_records::digest(&body))[0], &numbers());
    let rendered = String::from_utf8(rendered).unwrap();
    let value = rendered.split(r#""value":"#).nth(1).unwrap().split(r#","group""#).next().unwrap();
    assert!(value.contains(r#""title":"\ufffd""#), "what others read as JSON has none: {value}");
}

#[test]
fn an_item_that_nests_too_deep_keeps_its_place_and_its_readable_parts() {
    for levels in [97, 98, 5_000, 500_000] {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let body = messages(&format!(
            r#""messages":[{{"id":"wamid.1","from":"15555550101","type":"text","text":{{"body":"hi"}},"referral":{{"x":{deep}}}}},{{"id":"wamid.2"}}],
               "statuses":[{{"id":"wamid.3","status":"failed","errors":[{deep}]}}]"#
        ));
        let events = events(&body);
        let shown = levels < 99;
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["data"]["message"]["text"], "hi");
        assert_eq!(events[0]["subject"], "+15555550101");
        assert_eq!(events[0]["data"]["raw"].is_object(), shown, "{levels}");
        assert_eq!(events[0]["data"].get("bytes").is_some(), !shown);
        assert_eq!(events[0]["data"]["message"]["referral"].is_object(), levels < 100);
        assert_eq!(events[1]["id"], "wamid.2");
        assert_eq!(events[2]["id"], "wamid.3:failed");
        assert_eq!(events[2]["data"]["raw"].is_object(), shown);
    }
}

#[test]
fn an_event_that_nests_too_deep_is_kept_as_bytes() {
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    let data = &event(&webhook("security", &deep))["data"];
    assert_eq!(
        (&data["value"], &data["raw"], data["bytes"].as_str()),
        (&Value::Null, &Value::Null, Some(&*deep))
    );
    let data = &event(&webhook("security", &deep[1..201]))["data"];
    assert!(data["value"].is_array() && data["raw"].is_array() && data.get("bytes").is_none());
}

#[test]
fn envelopes_within_envelopes_do_not_overflow_the_stack() {
    let deep = format!(r#"{}{{}}{}"#, r#"{"standby":"#.repeat(300_000), "}".repeat(300_000));
    assert_eq!(events(&webhook("standby", &deep)).len(), 1);
    let deep = format!(r#"{}{{}}{}"#, r#"{"message":"#.repeat(300_000), "}".repeat(300_000));
    assert_eq!(event(&messages(&format!(r#""message_echoes":[{{"id":"A","message":{deep}}}]"#)))["id"], "A");
}

#[test]
fn more_items_than_the_memory_should_hold_are_kept_whole() {
    let many = |count: usize| format!(r#""messages":[{}]"#, vec!["0"; count].join(","));
    assert_eq!(wagate_records::digest(&messages(&many(32_768))).len(), 32_768);
    assert_eq!(reasons(&messages(&many(32_769))), ["too_many_items"]);
}

#[test]
fn of_duplicate_keys_the_last_one_counts() {
    let event = event(&message(
        r#""id":"wamid.B","type":"image","type":"text","text":null,"text":{"body":"x","body":"y"}"#,
    ));
    assert_eq!(event["id"], "wamid.B");
    assert_eq!(event["data"]["message"]["type"], "text");
    assert_eq!(event["data"]["message"]["text"], "y");
}

#[test]
fn null_empty_and_absent_are_the_same() {
    let fields = [
        "text",
        "image",
        "location",
        "contacts",
        "interactive",
        "button",
        "reaction",
        "order",
        "context",
        "referral",
    ];
    let plain = event(&message(r#""type":"hologram""#));
    for nothing in ["null", "\"\"", "{}"] {
        let members: Vec<_> = fields.iter().map(|field| format!(r#""{field}":{nothing}"#)).collect();
        let mut other =
            event(&message(&format!(r#""type":"hologram","from_user_id":{nothing},{}"#, members.join(","))));
        other["data"]["raw"] = plain["data"]["raw"].clone();
        if nothing == "{}" {
            // As WhatsApp gives them, and so an empty object stays one.
            other["data"]["message"]["referral"] = Value::Null;
            other["data"]["message"]["contacts"] = Value::Null;
        }
        assert_eq!(other, plain);
    }
}

#[test]
fn whatever_else_a_change_holds_is_one_event_more() {
    let item = r#""messages":[{"id":"wamid.1"}]"#;
    for (rest, value) in [
        (r#""errors":[{"code":1}]"#, Some(json!({"errors": [{"code": 1}]}))),
        (
            r#""errors":{"code":1},"teleports":[1],"word":"x""#,
            Some(json!({"errors": {"code": 1}, "teleports": [1], "word": "x"})),
        ),
        (r#""holder":{"messages":[{"id":"x"}]}"#, Some(json!({"holder": {"messages": [{"id": "x"}]}}))),
        (r#""errors":[],"teleports":null,"word":"x","conversation_context":{"type":"summary"}"#, None),
        (r#""standby":{"errors":[1]}"#, Some(json!({"standby": {"errors": [1]}}))),
        (r#""standby":[1]"#, Some(json!({"standby": [1]}))),
        (r#""history":[{"errors":[1]}]"#, Some(json!({"history": [{"errors": [1]}]}))),
        (r#""history":"declined""#, Some(json!({"history": "declined"}))),
    ] {
        let events = events(&messages(&format!("{item},{rest}")));
        assert_eq!(events.len(), 1 + usize::from(value.is_some()), "{rest}");
        if let Some(value) = value {
            assert_eq!(events[1]["type"], "wagate.account.event.v1");
            assert_eq!(events[1]["data"]["field"], "messages");
            assert_eq!(events[1]["data"]["value"], value);
            assert_eq!(events[1]["data"]["raw"], value);
        }
    }
}

#[test]
fn a_change_with_nothing_in_it_is_not_lost() {
    for value in [r#"{"metadata":{}}"#, r#"{"messages":[]}"#, r#"{"contacts":[{"wa_id":"1"}]}"#, "{}"] {
        let event = event(&webhook("messages", value));
        assert_eq!(event["type"], "wagate.account.event.v1");
        assert_eq!(event["data"]["value"].to_string(), value);
    }
    assert_eq!(event(&webhook("account_update", "[1]"))["data"]["value"], json!([1]));
    assert_eq!(
        reasons(br#"{"entry":[{"id":"1","changes":[{"field":"security","value":null}]}]}"#),
        ["no_value"]
    );
}

#[test]
fn the_order_of_keys_makes_no_difference() {
    let body = br#"{"entry":[{"changes":[{"value":{"statuses":[{"status":"read","id":"wamid.S"}],"messages":[{"text":{"body":"x"},"id":"wamid.M"}],
        "metadata":{"phone_number_id":330044005500661}},"field":"messages"}],"id":1}],"object":"whatsapp_business_account"}"#;
    let events = events(body);
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["wamid.M", "wamid.S:read"]);
    assert_eq!(events[0]["source"], "/wagate/330044005500661");
    assert_eq!(events[0]["data"]["message"]["type"], "text", "inferred");
    assert_eq!(events[0]["data"]["account"]["phone"], "+15550142277", "as configured");
}

#[test]
fn an_id_that_would_not_fit_a_uri_does_not_enter_the_source() {
    for id in ["a/b", "a b", "é", "<x>", "?", "#"] {
        let value = format!(r#"{{"metadata":{{"phone_number_id":"{id}"}},"messages":[{{"id":"wamid.A"}}]}}"#);
        assert_eq!(event(&webhook("messages", &value))["source"], "/wagate/207711990011223", "{id}");
    }
}

#[test]
fn one_long_name_is_not_copied_into_a_thousand_items() {
    let contacts =
        format!(r#""contacts":[{{"wa_id":"15555550101","profile":{{"name":"{}"}}}}]"#, "é".repeat(100_000));
    let event = event(&messages(&format!(r#"{contacts},"messages":[{{"id":"A","from":"15555550101"}}]"#)));
    assert_eq!(event["data"]["contact"]["name"].as_str().unwrap().chars().count(), 256);
}

#[test]
fn ids_of_statuses_tell_apart_what_is_apart() {
    for (members, id) in [
        (r#""status":"sent""#, "wamid.A:sent"),
        (r#""status":7"#, "wamid.A:7"),
        (
            r#""status":"captured","type":"payment","payment":{"transaction":{"id":"t-1"}}"#,
            "wamid.A:captured:payment:t-1",
        ),
        (
            r#""status":"captured","type":"payment","payment":{"reference_id":"r"}"#,
            "wamid.A:captured:payment",
        ),
        (r#""status":"read","recipient_type":"group","recipient_id":"G""#, "wamid.A:read"),
        (
            r#""status":"read","recipient_type":"group","recipient_id":"G","recipient_participant_id":"+1555""#,
            "wamid.A:read:1555",
        ),
        (
            r#""status":"read","recipient_id":"G","participant_recipient_id":"1555","recipient_participant_user_id":"US.1""#,
            "wamid.A:read:US.1",
        ),
    ] {
        assert_eq!(event(&status(members))["id"], id);
    }
    let wordless: Vec<_> =
        events(&messages(r#""statuses":[{"id":"wamid.A","timestamp":1},{"id":"wamid.A","timestamp":2}]"#))
            .into_iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
    assert!(wordless[0] != wordless[1] && wordless.iter().all(|id| id.len() == "wamid.A:".len() + 64));
}

#[test]
fn a_dead_letter_sent_again_says_so() {
    let mut records = placed(wagate_records::digest(&message(r#""type":"text""#)));
    records[0].replayed = true;
    assert_eq!(read(&wagate_records::render(&records[0], &numbers()))["data"]["replayed"], true);
}

#[test]
fn a_stored_item_that_was_damaged_is_still_shown() {
    for raw in [&b"{\"id\":"[..], b"\xff", b""] {
        for body in [message(r#""type":"text""#), status(r#""status":"sent""#), webhook("security", "{}")] {
            let mut records = placed(wagate_records::digest(&body));
            records[0].item.raw = raw.to_vec();
            assert!(read(&wagate_records::render(&records[0], &numbers()))["data"]["raw"].is_null());
        }
    }
}

#[test]
fn the_schema_refuses_what_the_contract_does_not_have() {
    let refuses = |change: fn(&mut Value)| {
        let mut event = event(&message(r#""type":"text","text":{"body":"x"}"#));
        change(&mut event);
        std::panic::catch_unwind(|| crate::support::check(&event)).is_err()
    };
    assert!(!refuses(|_| ()));
    assert!(refuses(|event| event["extra"] = json!(1)));
    assert!(refuses(|event| event["data"]["extra"] = json!(1)));
    assert!(refuses(|event| event["data"]["message"]["extra"] = json!(1)));
    assert!(refuses(|event| event["data"]["message"]["text"] = json!(1)));
    assert!(refuses(|event| event["time"] = json!("yesterday")));
    assert!(refuses(|event| event["type"] = json!("wagate.message.status.v1")));
    assert!(refuses(|event| event["data"]["contact"]["wa_id"] = json!("+1")));
    assert!(refuses(|event| drop(event["data"].as_object_mut().unwrap().remove("raw"))));
}
