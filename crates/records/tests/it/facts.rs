//! What records mean for sending.

use model::{AliasKind, Fact, OutboxId, Pricing, Record, Refusal, Says, StatusWord, WallTime};
use proptest::prelude::*;
use wagate_records::facts;

use crate::public::all_fixtures;
use crate::support::{Fixture, composed, message, messages, numbers, placed, status, webhook};

fn records(body: &[u8]) -> Vec<Record> {
    placed(wagate_records::digest(body))
}

/// The facts of a body, in their order.
fn all(body: &[u8]) -> Vec<Fact> {
    records(body).iter().flat_map(|record| facts(record, &numbers())).collect()
}

fn says(body: &[u8]) -> Vec<Says> {
    all(body).into_iter().map(|fact| fact.says).collect()
}

fn opens(members: &str) -> bool {
    let says = says(&message(members));
    assert_eq!(says.len(), 1);
    matches!(&says[0], Says::Inbound { wamid } if wamid == "wamid.A")
}

#[test]
fn a_customers_message_opens_the_window_and_nothing_else_does() {
    for opening in [
        r#""type":"text","text":{"body":"x"}"#,
        r#""type":"image","image":{}"#,
        r#""type":"unsupported","errors":[]"#,
        r#""type":"unsupported","unsupported":{"type":"gif"}"#,
        r#""type":"hologram""#,
        r#""text":{"body":"x"}"#,
        r#""type":null"#,
        r#""type":5"#,
        r#""type":"button","button":{"text":"x"},"context":{"id":"w"}"#,
    ] {
        assert!(opens(opening), "{opening}");
    }
    for silent in [
        r#""type":"reaction","reaction":{"message_id":"w","emoji":"x"}"#,
        r#""reaction":{"message_id":"w","emoji":"x"}"#,
        r#""type":"system","system":{"type":"user_changed_number"}"#,
        r#""type":"edit","edit":{"original_message_id":"w"}"#,
        r#""type":"revoke","revoke":{"original_message_id":"w"}"#,
        r#""type":"request_welcome""#,
        r#""type":"unsupported","unsupported":{"type":"edit"}"#,
        r#""type":"text","text":{"body":"x"},"group_id":"G""#,
    ] {
        assert!(!opens(silent), "{silent}");
    }
    let echo = r#"{"message_echoes":[{"id":"A","type":"text","to":"1555"}]}"#;
    let standby = r#"{"standby":{"messages":[{"id":"A","type":"text","from":"1555"}],"statuses":[{"id":"A","status":"sent"}]}}"#;
    let history =
        r#"{"history":[{"threads":[{"id":"1555","messages":[{"id":"A","type":"text","from":"1555"}]}]}]}"#;
    for (field, value) in [("smb_message_echoes", echo), ("standby", standby), ("history", history)] {
        assert!(says(&webhook(field, value)).iter().all(|says| *says == Says::Nothing), "{field}");
    }
}

#[test]
fn a_fact_has_the_records_place_number_and_contact_and_metas_time() {
    let record = records(&message(r#""type":"text","text":{"body":"x"}"#)).remove(0);
    let facts = facts(&record, &numbers());
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].sequence, record.sequence);
    assert_eq!(facts[0].at, Some(WallTime(1_771_000_000_000)));
    assert_eq!(facts[0].number.as_deref(), Some("330044005500661"));
    assert_eq!(facts[0].contact, record.contact_id.unwrap().to_bits());
    let undated = messages(r#""messages":[{"id":"A","from":"1555","type":"text"}]"#);
    assert_eq!(all(&undated)[0].at, None, "the time of receipt is the box's own");
}

#[test]
fn a_status_says_what_became_of_which_message() {
    let id = OutboxId { place: 3, chance: 4 };
    let body = status(&format!(
        r#""status":"failed","recipient_id":"1555","biz_opaque_callback_data":"{id}","errors":[
        {{"code":131049,"title":"t","message":"m","error_data":{{"details":"d"}}}},{{"code":1}}],
        "pricing":{{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}}"#
    ));
    let refusal = Refusal { code: Some(131_049), details: "d".to_owned(), ..Refusal::default() };
    let expected = Says::Status {
        wamid: Some("wamid.A".to_owned()),
        outbox_id: Some(id),
        word: StatusWord::Failed,
        refusal: Some(refusal),
        pricing: Some(Pricing { category: "marketing".to_owned(), kind: "regular".to_owned() }),
        of_participant: false,
    };
    assert_eq!(says(&body), [expected]);

    let word = |members: &str| {
        let said = says(&status(members)).remove(0);
        let Says::Status { word, outbox_id, refusal, pricing, of_participant, .. } = said else {
            assert_eq!(said, Says::Nothing);
            return None;
        };
        let (details, kind) = (refusal.map(|refusal| refusal.details), pricing.map(|pricing| pricing.kind));
        Some((word, outbox_id, details, kind, of_participant))
    };
    let plain = |word| Some((word, None, None, None, false));
    assert_eq!(word(r#""status":"sent","biz_opaque_callback_data":"order-7""#), plain(StatusWord::Sent));
    assert_eq!(word(r#""status":"played""#), plain(StatusWord::Read));
    for silent in [
        r#""status":"deleted""#,
        r#""status":"teleported""#,
        r#""status":5"#,
        r#""status":null"#,
        r#""status":"failed","type":"payment""#,
    ] {
        assert_eq!(word(silent), None, "{silent}");
    }
    // Inside the conversation, in a group.
    let group = r#""status":"delivered","recipient_type":"group","recipient_id":"G","recipient_participant_id":"1555",
        "conversation":{"id":"c","pricing":{"type":"free_group_customer_service","category":"group_service"}}"#;
    let kind = Some("free_group_customer_service".to_owned());
    assert_eq!(word(group), Some((StatusWord::Delivered, None, None, kind, true)));
    // Meta's words have a bound, on the edge of a character.
    let long = format!(r#""status":"failed","errors":[{{"code":"100","title":"{}"}}]"#, "é".repeat(400));
    assert_eq!(word(&long).unwrap().2.unwrap().len(), 500);
    let odd =
        format!(r#""status":"failed","errors":[{{"title":"x{}","is_transient":true}}]"#, "é".repeat(400));
    assert_eq!(word(&odd).unwrap().2.unwrap().len(), 499);
}

#[test]
fn every_preference_is_told_and_belongs_to_its_own_person() {
    let value = r#"{"metadata":{"phone_number_id":"330044005500661"},
        "contacts":[{"wa_id":"1555","user_id":"US.1"}],"user_preferences":[
        {"wa_id":"1555","category":"marketing_messages","value":"stop","timestamp":1771001316},
        {"user_id":"US.2","value":"resume"},{"wa_id":"1777","value":"signup"},
        {"wa_id":"1555","category":"other","value":"stop"},{"wa_id":"1555","value":"maybe"},{"value":"stop"},5]}"#;
    let facts = all(&webhook("user_preferences", value));
    let wishes: Vec<_> = facts
        .iter()
        .map(|fact| {
            let Says::Marketing { aliases, stopped } = &fact.says else { panic!("{fact:?}") };
            let names: Vec<_> = aliases.iter().map(|alias| (alias.kind, alias.value.as_str())).collect();
            (names, *stopped, fact.contact.is_some(), fact.at)
        })
        .collect();
    let expected = [
        (
            vec![(AliasKind::UserId, "US.1"), (AliasKind::Phone, "1555")],
            true,
            true,
            Some(WallTime(1_771_001_316_000)),
        ),
        (vec![(AliasKind::UserId, "US.2")], false, false, facts[1].at),
        (vec![(AliasKind::Phone, "1777")], false, false, facts[2].at),
    ];
    assert_eq!(wishes, expected);
}

#[test]
fn limits_are_read_in_every_form() {
    for (limit, read) in [
        ("2000", Some(Some(2_000))),
        (r#""TIER_250""#, Some(Some(250))),
        (r#""TIER_1K""#, Some(Some(1_000))),
        (r#""TIER_2K""#, Some(Some(2_000))),
        (r#""TIER_10K""#, Some(Some(10_000))),
        (r#""TIER_100K""#, Some(Some(100_000))),
        (r#""TIER_UNLIMITED""#, Some(None)),
        (r#""UNLIMITED""#, Some(None)),
        ("-1", Some(None)),
        (r#""TIER_NOT_SET""#, None),
        (r#""TIER_""#, None),
        (r#""K""#, None),
        ("-2", None),
        ("1.5", None),
        ("99999999999999999999", None),
        (r#""TIER_é""#, None),
        ("{}", None),
        ("null", None),
    ] {
        let body = webhook(
            "business_capability_update",
            &format!(r#"{{"max_daily_conversations_per_business":{limit}}}"#),
        );
        assert_eq!(says(&body), [read.map_or(Says::Nothing, Says::UniqueLimit)], "{limit}");
    }
    let value = r#"{"display_phone_number":"+1 555-0142277","event":"THROUGHPUT_UPGRADE","current_limit":"TIER_UNLIMITED"}"#;
    let facts = all(&webhook("phone_number_quality_update", value));
    let said: Vec<_> = facts.iter().map(|fact| (fact.number.as_deref(), fact.says.clone())).collect();
    let number = Some("330044005500661");
    assert_eq!(said, [(number, Says::UniqueLimit(None)), (number, Says::Throughput(1_000))]);
    let other = all(&webhook(
        "phone_number_quality_update",
        r#"{"display_phone_number":"1999","current_limit":"TIER_1K"}"#,
    ));
    assert_eq!(other[0].number.as_deref(), Some("+1999"));
}

#[test]
fn bans_and_restrictions_are_told() {
    let usable = |value: &str| {
        let said = says(&webhook("account_update", value)).remove(0);
        let Says::Account { usable, reason } = said else {
            assert_eq!(said, Says::Nothing);
            return None;
        };
        Some((usable, reason))
    };
    let ban = |state: &str| {
        usable(&format!(r#"{{"event":"DISABLED_UPDATE","ban_info":{{"waba_ban_state":"{state}"}}}}"#))
    };
    assert_eq!(ban("DISABLE"), Some((false, "DISABLED_UPDATE: DISABLE".to_owned())));
    assert_eq!(ban("REINSTATE").map(|said| said.0), Some(true));
    assert_eq!((ban("SCHEDULE_FOR_DISABLE"), ban("FLAGGED")), (None, None));
    for (event, expected) in [
        ("ACCOUNT_DELETED", Some(false)),
        ("ACCOUNT_OFFBOARDED", Some(false)),
        ("ACCOUNT_RECONNECTED", Some(true)),
        ("ACCOUNT_VIOLATION", None),
        ("SOMETHING_NEW_2027", None),
    ] {
        assert_eq!(usable(&format!(r#"{{"event":"{event}"}}"#)).map(|said| said.0), expected, "{event}");
    }
    let restricted = |kinds: &[&str]| {
        let list: Vec<_> = kinds
            .iter()
            .map(|kind| format!(r#"{{"restriction_type":"{kind}","expiration":1641848400}}"#))
            .collect();
        usable(&format!(r#"{{"event":"ACCOUNT_RESTRICTION","restriction_info":[{}]}}"#, list.join(",")))
    };
    let (begun, answers) = ("RESTRICTED_BIZ_INITIATED_MESSAGING", "RESTRICTED_CUSTOMER_INITIATED_MESSAGING");
    assert_eq!(restricted(&["RESTRICTED_ADD_PHONE_NUMBER_ACTION"]), None);
    let until = format!("ACCOUNT_RESTRICTION: {begun} until 2022-01-10T21:00:00Z");
    assert_eq!(restricted(&[begun]), Some((true, until)));
    assert_eq!(restricted(&[begun, answers]).map(|said| said.0), Some(false));
    let other = r#"{"event":"ACCOUNT_DELETED","phone_number":"15550142277"}"#;
    assert_eq!(all(&webhook("account_update", other))[0].number.as_deref(), Some("330044005500661"));
    assert_eq!(all(&webhook("account_update", r#"{"event":"ACCOUNT_DELETED"}"#))[0].number, None);
}

/// What the index of the fixtures says of a status.
fn word(kind: &str) -> Option<StatusWord> {
    let word = kind.strip_prefix("status.")?.split(['.', '+', ' ']).next()?;
    match word {
        "sent" => Some(StatusWord::Sent),
        "delivered" => Some(StatusWord::Delivered),
        "read" | "played" => Some(StatusWord::Read),
        "failed" => Some(StatusWord::Failed),
        _ => None,
    }
}

#[test]
fn the_statuses_of_all_webhooks_give_their_words() {
    let (mut statuses, mut inbound) = (0, 0);
    let fixtures = all_fixtures();
    for Fixture { file, kind, body } in &fixtures {
        let said = says(body);
        assert!(said.len() >= records(body).len(), "{file}");
        if kind.starts_with("status.") {
            let words: Vec<_> = said
                .iter()
                .filter_map(|says| if let Says::Status { word, .. } = says { Some(*word) } else { None })
                .collect();
            match word(kind) {
                Some(word) if !kind.contains(" x") => assert_eq!(words, [word], "{file}: {kind}"),
                Some(_) => assert_eq!(words.len(), said.len(), "{file}: {kind}"),
                None => assert_eq!(words, [], "{file}: {kind}"),
            }
            statuses += words.len();
        }
        if let Some(rest) = kind.strip_prefix("message.") {
            let silent = ["reaction", "system", "edit", "revoke", "unsupported", "request_welcome"];
            let opens = said.iter().any(|says| matches!(says, Says::Inbound { .. }));
            if !silent.iter().any(|silent| rest.starts_with(silent)) && !rest.contains("group") {
                assert!(opens, "{file}: {kind}");
                inbound += 1;
            }
            if ["reaction", "system"].iter().any(|silent| rest.starts_with(silent)) {
                assert!(!opens, "{file}: {kind}");
            }
        }
    }
    assert!(fixtures.len() >= 116 && statuses > 15 && inbound > 15, "{statuses} {inbound}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever stands in a record of whatever kind and field.
    #[test]
    fn any_record_says_something(
        fixture in any::<proptest::sample::Index>(), kind in proptest::sample::select(model::Kind::ALL.to_vec()),
        field in "(user_preferences|account_update|business_capability_update|phone_number_quality_update|messages)",
        cut in any::<proptest::sample::Index>(),
    ) {
        let fixtures = composed();
        let Fixture { body, .. } = fixture.get(&fixtures);
        for mut record in records(body) {
            record.item.kind = kind;
            record.item.field.clone_from(&field);
            prop_assert!(!facts(&record, &numbers()).is_empty());
            let end = cut.index(record.item.raw.len().max(1)).min(record.item.raw.len());
            record.item.raw.truncate(end);
            prop_assert!(!facts(&record, &numbers()).is_empty());
        }
    }
}
