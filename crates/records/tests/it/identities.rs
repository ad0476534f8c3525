//! Who a record is about.

use model::{AliasKind, Contact, Kind, Via};
use serde_json::json;

use crate::support::{composed, event, message, messages, status, webhook};

fn contact(body: &[u8]) -> Option<Contact> {
    let mut items = wagate_records::digest(body);
    assert_eq!(items.len(), 1);
    items.remove(0).contact
}

fn aliases(body: &[u8]) -> Vec<(AliasKind, String)> {
    let contact = contact(body).expect("somebody is known");
    contact.aliases.into_iter().map(|alias| (alias.kind, alias.value)).collect()
}

fn fixture(file: &str) -> Vec<u8> {
    composed().into_iter().find(|fixture| fixture.file == file).unwrap().body
}

fn named(kind: AliasKind, value: &str) -> (AliasKind, String) {
    (kind, value.to_owned())
}

use AliasKind::{ParentUserId, Phone, UserId, Username};

#[test]
fn all_that_names_a_person_is_gathered_the_strongest_first() {
    let body = messages(
        r#""contacts":[{"wa_id":"551187654321","user_id":"BR.1","parent_user_id":"BR.ENT.1","profile":{"name":"Ana","username":"@Ana.B"}}],
           "messages":[{"id":"A","from":"5511987654321","from_user_id":"BR.1"}]"#,
    );
    let contact = contact(&body).unwrap();
    assert_eq!(contact.phone.as_deref(), Some("+5511987654321"), "as WhatsApp sent it");
    assert_eq!(contact.wa_id.as_deref(), Some("551187654321"));
    assert_eq!(contact.username.as_deref(), Some("Ana.B"));
    let expected = [
        named(UserId, "BR.1"),
        named(Phone, "551187654321"),
        named(ParentUserId, "BR.ENT.1"),
        named(Username, "ana.b"),
    ];
    assert_eq!(aliases(&body), expected);
}

#[test]
fn contacts_are_matched_by_id_and_never_by_place() {
    let body = messages(
        r#""contacts":[{"wa_id":"1555","user_id":"US.1","profile":{"name":"One"}},{"wa_id":"1666","profile":{"name":"Two"}}],
           "messages":[{"id":"A","from":"1666"},{"id":"B","from_user_id":"US.1"},{"id":"C","from":"1777"},
                       {"id":"D","from":"1555","from_user_id":"US.9"},{"id":"E"}]"#,
    );
    let names: Vec<_> = wagate_records::digest(&body)
        .into_iter()
        .map(|item| item.contact.map(|contact| contact.name))
        .collect();
    // D has the phone of One but another user id: the number has passed on.
    let name = |name: &str| Some(Some(name.to_owned()));
    assert_eq!(names, [name("Two"), name("One"), Some(None), Some(None), None]);
}

#[test]
fn a_user_id_is_taken_for_one_wherever_it_stands() {
    for body in [
        message(r#""from":"US.1""#),
        message(r#""from":"","from_user_id":"US.1""#),
        message(r#""from":null,"from_user_id":"US.1""#),
        status(r#""status":"sent","recipient_id":"US.1""#),
        status(r#""status":"sent","recipient_user_id":"US.1""#),
    ] {
        assert_eq!(aliases(&body), [named(UserId, "US.1")]);
        let event = event(&body);
        assert_eq!(event["subject"], "US.1");
        assert_eq!(event["data"]["contact"]["phone"], json!(null));
    }
}

#[test]
fn phones_are_read_as_digits_from_texts_and_numbers() {
    for from in [r#""+15555550101""#, r#""15555550101""#, "15555550101"] {
        let contact = contact(&messages(&format!(r#""messages":[{{"id":"A","from":{from}}}]"#))).unwrap();
        assert_eq!(contact.phone.as_deref(), Some("+15555550101"));
        assert_eq!(contact.wa_id.as_deref(), Some("15555550101"));
    }
    assert_eq!(contact(&messages(r#""messages":[{"id":"A","from":"a b"}]"#)), None);
    assert_eq!(contact(&messages(r#""messages":[{"id":"A","from":{}}]"#)), None);
}

#[test]
fn a_change_of_number_names_the_old_and_the_new_together() {
    assert_eq!(
        aliases(&fixture("comp_system_user_changed_number_bsuid.json")),
        [
            named(UserId, "GB.20000000000000000103"),
            named(UserId, "AU.20000000000000000104"),
            named(Phone, "447700900123"),
            named(Phone, "61491570156"),
        ]
    );
    assert_eq!(
        aliases(&fixture("comp_system_customer_changed_number_old.json")),
        [named(Phone, "447700900123"), named(Phone, "61491570156")]
    );
    assert_eq!(
        aliases(&fixture("comp_system_user_changed_user_id.json")),
        [
            named(UserId, "AU.20000000000000000104"),
            named(UserId, "GB.20000000000000000103"),
            named(Phone, "447700900123"),
        ]
    );
    // Other news of the system join nobody.
    let body = message(r#""type":"system","system":{"type":"customer_identity_checked","wa_id":"1999"}"#);
    assert_eq!(aliases(&body), [named(Phone, "15555550101")]);
}

#[test]
fn the_phone_handed_over_on_request_is_joined_and_that_of_a_friend_is_not() {
    assert_eq!(
        aliases(&fixture("comp_contacts_contact_request.json")),
        [
            named(UserId, "BR.20000000000000000102"),
            named(Phone, "5511900000123"),
            named(Username, "clienteteste")
        ]
    );
    for card in [
        r#"{"origin":"other","phones":[{"wa_id":"1999"}]}"#,
        r#"{"phones":[{"wa_id":"1999"}]}"#,
        r#"{"origin":"contact_request","phones":[{"wa_id":"1999"},{"wa_id":"1888"}]}"#,
        r#"{"origin":"contact_request","phones":[{"wa_id":"1999"}]},{"origin":"contact_request"}"#,
    ] {
        let body = message(&format!(r#""type":"contacts","contacts":[{card}]"#));
        assert_eq!(aliases(&body), [named(Phone, "15555550101")], "{card}");
    }
}

#[test]
fn a_status_belongs_to_its_recipient() {
    let parent = r#""status":"sent","recipient_id":"1555","parent_recipient_user_id":"US.ENT.1""#;
    assert_eq!(aliases(&status(parent)), [named(Phone, "1555"), named(ParentUserId, "US.ENT.1")]);
    let payment = r#""status":"captured","type":"payment","from":"1555""#;
    assert_eq!(aliases(&status(payment)), [named(Phone, "1555")]);
    let group = r#""status":"read","recipient_type":"group","recipient_id":"G""#;
    assert_eq!(contact(&status(group)), None);
    let participant =
        format!(r#"{group},"recipient_participant_id":"1555","recipient_participant_user_id":"US.1""#);
    let event = event(&status(&participant));
    assert_eq!(event["subject"], "+1555");
    assert_eq!(event["data"]["group"], json!({"id": "G"}));
}

#[test]
fn an_echo_belongs_to_the_customer_whichever_side_names_them() {
    let echo = |members: &str| {
        let metadata =
            r#""metadata":{"display_phone_number":"+1 555-0142277","phone_number_id":"330044005500661"}"#;
        let value = format!(r#"{{{metadata},"message_echoes":[{{"id":"A","type":"text",{members}}}]}}"#);
        wagate_records::digest(&webhook("smb_message_echoes", &value)).remove(0)
    };
    for members in [
        r#""from":"15550142277","to":"1777","to_user_id":"US.1""#,
        r#""from":"1777","from_user_id":"US.1","to":"15550142277""#,
    ] {
        let item = echo(members);
        assert_eq!((item.kind, item.via), (Kind::MessageEcho, None));
        let contact = item.contact.unwrap();
        assert_eq!((contact.phone.as_deref(), contact.user_id.as_deref()), (Some("+1777"), Some("US.1")));
    }
    let item = echo(r#""from":"15550142277","to":"Y2FwaQ","recipient_type":"group""#);
    assert_eq!((item.contact, item.group.as_deref()), (None, Some("Y2FwaQ")));
}

#[test]
fn the_history_tells_who_wrote_what() {
    let value = r#"{"metadata":{"display_phone_number":"15550142277","phone_number_id":"1"},
        "history":[{"threads":[{"id":"1777","context":{"user_id":"US.1","username":"u"},"messages":[
            {"id":"A","from":"1777","type":"text"},{"id":"B","from":"15550142277","to":"1777","type":"text"},
            {"id":"C","from":"15550142277","type":"text"},{"id":"D","type":"text"}]},
            {"id":"1888","messages":[{"id":"E","from":"15550142277"}]}, 5, {"id":"1999"}]}]}"#;
    let items = wagate_records::digest(&webhook("history", value));
    let seen: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item.kind,
                item.contact.as_ref().and_then(|contact| contact.aliases.first()).map(|a| a.value.as_str()),
            )
        })
        .collect();
    let expected = [
        (Kind::MessageReceived, Some("1777")),
        (Kind::MessageEcho, Some("1777")),
        (Kind::MessageEcho, Some("US.1")),
        (Kind::MessageReceived, Some("US.1")),
        (Kind::MessageEcho, Some("1888")),
        (Kind::Unknown, None),
        (Kind::Unknown, None),
    ];
    assert_eq!(seen, expected);
    assert!(items.iter().all(|item| item.via == Some(Via::History)));
}
