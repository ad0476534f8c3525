//! The records that the box itself makes, as a CRM reads them.

use model::{Account, Address, AliasKind, Item, OutboxId, Priority, Says, WallTime};
use serde_json::{Value, json};
use wagate_records::made::{
    EndpointChanged, Sent, Unread, endpoint_changed_item, recipient, sent_item, unread_item,
};
use wagate_records::{aliases_of, facts, outgoing};

use crate::support::{numbers, placed, read};

const ID: OutboxId = OutboxId { place: 7, chance: 8 };

fn account() -> Account {
    let id = Some("330044005500661".to_owned());
    Account { waba_id: None, phone_number_id: id, phone: Some("+15550142277".to_owned()) }
}

fn shown(item: Item) -> Value {
    let record = placed(vec![item]).remove(0);
    assert!(facts(&record, &numbers()).iter().all(|fact| fact.says == Says::Nothing && fact.at.is_none()));
    // Checked against the schema.
    read(&wagate_records::render(&record, &numbers()))
}

fn sent(payload: &str, wamid: Option<&str>) -> Value {
    let to = Address::Phone("+5511987654321".to_owned());
    shown(sent_item(&Sent {
        account: &account(),
        contact: &recipient(&to, Some("551187654321"), Some("BR.1")),
        outbox_id: ID,
        wamid,
        to: &to,
        payload,
        priority: Priority::Reply,
        endpoint: "meta",
        fallback_used: payload.contains("template"),
        attempts: 2,
        queued_at: WallTime(1_795_214_595_000),
        accepted_at: WallTime(1_795_214_596_042),
    }))
}

#[test]
fn a_sent_message_is_shown_like_any_other_and_how_it_was_sent() {
    let event =
        sent(r#"{"type":"text","text":{"body":"x"},"context":{"message_id":"wamid.B"}}"#, Some("wamid.A"));
    assert_eq!(event["type"], "wagate.message.sent.v1");
    assert_eq!(event["id"], ID.to_string());
    assert_eq!(event["source"], "/wagate/330044005500661");
    assert_eq!(event["subject"], "+5511987654321");
    assert_eq!(event["time"], "2026-11-20T22:43:16.042Z");
    let data = &event["data"];
    assert_eq!(data["contact"]["wa_id"], "551187654321");
    assert_eq!(data["contact"]["user_id"], "BR.1");
    let message = &data["message"];
    assert_eq!(
        (&message["id"], &message["type"], &message["text"]),
        (&json!("wamid.A"), &json!("text"), &json!("x"))
    );
    assert_eq!(message["context"]["message_id"], "wamid.B");
    let how = json!({
        "outbox_id": ID.to_string(), "priority": "reply", "endpoint": "meta", "template": null, "fallback_used": false,
        "attempts": 2, "queued_at": "2026-11-20T22:43:15.000Z", "accepted_at": "2026-11-20T22:43:16.042Z",
    });
    assert_eq!(data["sent"], how);
    assert_eq!(data["raw"]["to"], "+5511987654321");
    assert_eq!(data["raw"]["biz_opaque_callback_data"], ID.to_string());

    let event = sent(r#"{"type":"template","template":{"name":"reopen","language":{"code":"en"}}}"#, None);
    assert_eq!(event["data"]["sent"]["template"], "reopen");
    assert_eq!(event["data"]["sent"]["fallback_used"], true);
    assert_eq!(event["data"]["message"]["id"], ID.to_string(), "without a wamid");
}

#[test]
fn every_type_of_message_is_shown_once_it_was_sent() {
    let accepted = include_str!("../outgoing/accepted.jsonl");
    for line in accepted.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let request = outgoing::read(case["request"].to_string().as_bytes(), &numbers()).unwrap();
        for part in request.parts.iter().filter(|part| part.kind != outgoing::PartKind::ReadMark) {
            let event = sent(&part.payload, Some("wamid.A"));
            assert_eq!(event["data"]["message"]["type"], part.kind.as_str());
            if let Some(media) = event["data"]["message"]["media"].as_object() {
                assert_eq!(media["kind"], part.kind.as_str());
            }
        }
    }
}

#[test]
fn an_unread_message_lowers_the_priority_of_its_contact() {
    let to = Address::UserId("US.1".to_owned());
    let event = shown(unread_item(&Unread {
        account: &account(),
        contact: &recipient(&to, None, None),
        outbox_id: ID,
        wamid: "wamid.A",
        sent_at: WallTime(1_795_214_595_000),
        delivered_at: None,
        noticed_at: WallTime(1_795_214_599_000),
    }));
    assert_eq!(event["id"], "wamid.A:unread");
    assert_eq!(event["type"], "wagate.message.unread.v1");
    assert_eq!(event["subject"], "US.1");
    let unread = json!({
        "message_id": "wamid.A", "outbox_id": ID.to_string(), "sent_at": "2026-11-20T22:43:15.000Z",
        "delivered_at": null, "priority": "lower",
    });
    assert_eq!(event["data"]["unread"], unread);
}

#[test]
fn a_switch_is_told_in_the_lane_of_its_number_or_of_the_box() {
    let at = WallTime(1_795_214_596_042);
    let group = "whatsapp/330044005500661";
    let reason = "3 strikes: \"slow\"";
    let whatsapp =
        EndpointChanged { account: Some(&account()), group, from: Some("meta"), to: "backup", reason, at };
    let event = shown(endpoint_changed_item(&whatsapp));
    assert_eq!(event["type"], "wagate.endpoint.changed.v1");
    assert_eq!(event["id"], "endpoint:whatsapp/330044005500661:1795214596042");
    assert_eq!(event["source"], "/wagate/330044005500661");
    assert_eq!(event["time"], "2026-11-20T22:43:16.042Z");
    assert_eq!((event.get("subject"), &event["data"]["contact"]), (None, &json!(null)));
    assert_eq!(event["data"]["account"]["phone"], "+15550142277");
    let told = json!({
        "group": group, "from": "meta", "to": "backup", "reason": reason, "at": "2026-11-20T22:43:16.042Z",
    });
    assert_eq!((&event["data"]["endpoint"], &event["data"]["raw"]), (&told, &told));
    let record = placed(vec![endpoint_changed_item(&whatsapp)]).remove(0);
    assert_eq!(record.lane(), "/wagate/330044005500661");

    let crm = EndpointChanged { account: None, group: "crm", from: None, to: "primary", reason: "", at };
    let event = shown(endpoint_changed_item(&crm));
    assert_eq!((&event["source"], &event["id"]), (&json!("/wagate"), &json!("endpoint:crm:1795214596042")));
    assert_eq!(event["data"]["endpoint"]["from"], json!(null));
    assert_eq!(event["data"]["endpoint"]["reason"], json!(""), "nothing to say is no null");
    assert_eq!(event["data"]["account"]["configured"], false);
}

#[test]
fn the_recipient_has_every_name_that_is_known() {
    let names = |to: &Address, wa_id, user_id| {
        let contact = recipient(to, wa_id, user_id);
        for alias in aliases_of(to) {
            assert!(contact.aliases.contains(&alias), "{to:?}");
        }
        contact.aliases.into_iter().map(|alias| (alias.kind, alias.value)).collect::<Vec<_>>()
    };
    let named = |kind: AliasKind, value: &str| (kind, value.to_owned());
    let phone = Address::Phone("+85261234567".to_owned());
    assert_eq!(names(&phone, None, None), [named(AliasKind::Phone, "85261234567")]);
    // A number that has passed on to another form.
    let both = [
        named(AliasKind::UserId, "HK.1"),
        named(AliasKind::Phone, "85261234567"),
        named(AliasKind::Phone, "85271234567"),
    ];
    assert_eq!(names(&phone, Some("85271234567"), Some("HK.1")), both);
    let user = Address::UserId("HK.1".to_owned());
    assert_eq!(names(&user, Some("85261234567"), None), both[..2]);
    let parent = Address::UserId("HK.ENT.1".to_owned());
    let expected = [
        named(AliasKind::UserId, "HK.1"),
        named(AliasKind::Phone, "85261234567"),
        named(AliasKind::ParentUserId, "HK.ENT.1"),
    ];
    assert_eq!(names(&parent, Some("85261234567"), Some("HK.1")), expected);
    // What an answer may not say.
    assert_eq!(names(&phone, Some("x"), Some("a b")), [named(AliasKind::Phone, "85261234567")]);
    assert_eq!(names(&Address::Phone("?".to_owned()), None, None).len(), 1);
}
