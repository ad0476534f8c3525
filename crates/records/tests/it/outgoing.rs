//! Requests to send: each type of message and what becomes of it, each sort of mistake and what is said.
//!
//! `WAGATE_BLESS=1 cargo test -p wagate-records` writes the answers anew; read the difference against
//! the contract and Meta's limits before committing it.

use std::fmt::Write as _;
use std::fs;

use model::{Address, AliasKind, OutboxId, UserIdField};
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use wagate_records::outgoing::{self, BODY_MAX, DEPTH_MAX, FAULTS_MAX, PartKind, Request, To};
use wagate_records::{Numbers, aliases_of};

use crate::support::{composed, crate_dir, numbers};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    request: Box<RawValue>,
}

/// The cases of a file. `${25}` in a request is a text of 25 characters, each of two bytes.
fn cases(file: &str) -> Vec<(String, String)> {
    cases_with(file, 0)
}

/// The same with texts that are shorter by so many characters.
fn cases_with(file: &str, less: usize) -> Vec<(String, String)> {
    let text = fs::read_to_string(crate_dir().join("tests/outgoing").join(file)).unwrap();
    let case = |line: &str| {
        let case: Case = serde_json::from_str(line).unwrap();
        let mut request = case.request.get().to_owned();
        while let Some((before, rest)) = request.split_once("${") {
            let (count, behind) = rest.split_once('}').unwrap();
            request = [before, &"é".repeat(count.parse::<usize>().unwrap() - less), behind].concat();
        }
        (case.name, request)
    };
    text.lines().map(case).collect()
}

fn compare(file: &str, found: &str) {
    let path = crate_dir().join("tests/outgoing").join(file);
    if std::env::var_os("WAGATE_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    for (golden, found) in golden.lines().zip(found.lines()) {
        assert_eq!(found, golden, "not as in {}", path.display());
    }
    assert_eq!(golden.lines().count(), found.lines().count(), "not as in {}", path.display());
}

fn read(request: &str) -> Result<Request, Vec<outgoing::Fault>> {
    outgoing::read(request.as_bytes(), &numbers())
}

#[test]
fn every_type_of_message_is_taken_and_handed_on() {
    let mut found = String::new();
    for (name, request) in cases("accepted.jsonl") {
        let taken = read(&request).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        writeln!(found, "{name}").unwrap();
        let Request { from, to, priority, expires_at, fallback, parts } = taken;
        writeln!(found, "  from {from:?} to {to:?} {} until {expires_at:?}", priority.as_str()).unwrap();
        for (role, part) in
            fallback.iter().map(|part| ("fallback", part)).chain(parts.iter().map(|part| ("part", part)))
        {
            serde_json::from_str::<Value>(&part.payload).unwrap();
            writeln!(found, "  {role} {}: {}", part.kind.as_str(), part.payload).unwrap();
        }
    }
    compare("accepted.txt", &found);
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let mut found = String::new();
    for (name, request) in cases("refused.jsonl") {
        let faults = read(&request).expect_err(&name);
        assert!((1..=FAULTS_MAX).contains(&faults.len()), "{name}");
        writeln!(found, "{name}").unwrap();
        for fault in faults {
            assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'));
            writeln!(found, "  {:?} {}", fault.pointer, fault.detail).unwrap();
        }
    }
    compare("refused.txt", &found);
}

/// Each text of the refused requests is too long by one character.
#[test]
fn a_text_of_the_longest_length_is_taken() {
    let too_long = |cases: Vec<(String, String)>| {
        let faults = cases.into_iter().flat_map(|(_, request)| read(&request).err().unwrap_or_default());
        faults.filter(|fault| fault.detail.contains("characters; at most")).count()
    };
    assert_eq!(too_long(cases_with("refused.jsonl", 0)), 11);
    assert_eq!(too_long(cases_with("refused.jsonl", 1)), 0);
    let parts = |characters: usize| {
        let body = "é".repeat(characters);
        let request = format!(
            r#"{{"to":"US.1","text":{{"body":"{body}"}},"attachments":[{{"type":"image","id":"1"}}]}}"#
        );
        read(&request).unwrap().parts.len()
    };
    // The longest caption; a longer text goes by itself.
    assert_eq!((parts(1_024), parts(1_025)), (1, 2));
}

#[test]
fn what_is_no_request_is_refused_whole() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    let large = format!("{{\"to\":\"{}\"}}", "x".repeat(BODY_MAX));
    for body in [&b""[..], b"\xff", b"{", b"[]", b"null", deep.as_bytes(), large.as_bytes()] {
        let faults = outgoing::read(body, &numbers()).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].pointer, "");
    }
    let many = format!("{{{}}}", (0..1_000).map(|n| format!("\"x{n}\":1")).collect::<Vec<_>>().join(","));
    assert_eq!(read(&many).unwrap_err().len(), FAULTS_MAX);
}

#[test]
fn a_national_number_is_read_where_the_sender_is_at_home() {
    let body = |more: &str| format!(r#"{{"to":"6123 4567","text":{{"body":"x"}}{more}}}"#);
    let to = |numbers: &Numbers, more: &str| {
        outgoing::read(body(more).as_bytes(), numbers).map(|request| request.to)
    };
    let phone = |phone: &str| Ok(Some(To::Address(Address::Phone(phone.to_owned()))));
    let hong_kong: Numbers = [("1", "+85291234567")].into_iter().collect();
    let both: Numbers = [("1", "+85291234567"), ("2", "+4915112345678")].into_iter().collect();
    let twice: Numbers = [("1", "+85291234567"), ("2", "+85291234568")].into_iter().collect();
    assert_eq!(to(&hong_kong, ""), phone("+85261234567"));
    assert_eq!(to(&twice, ""), phone("+85261234567"));
    assert_eq!(to(&both, r#","from":"1""#), phone("+85261234567"));
    // Nobody knows yet which number will send.
    assert_eq!(to(&both, "").unwrap_err()[0].pointer, "/to");
    let nameless: Numbers = [("1", "")].into_iter().collect();
    assert_eq!(to(&nameless, "").unwrap_err()[0].pointer, "/to");
}

#[test]
fn the_envelope_has_the_recipient_and_the_outbox_id() {
    let id = OutboxId { place: 7, chance: 8 };
    let payload = r#"{"type":"text","text":{"body":"x"}}"#;
    let body_as = |address: &Address, field| {
        String::from_utf8(outgoing::envelope(payload, address, id, field)).unwrap()
    };
    let body = |address: &Address| body_as(address, UserIdField::default());
    assert_eq!(
        body(&Address::Phone("+85261234567".to_owned())),
        format!(
            r#"{{"messaging_product":"whatsapp","recipient_type":"individual","to":"+85261234567","biz_opaque_callback_data":"{id}","type":"text","text":{{"body":"x"}}}}"#
        )
    );
    let to_user: Value = serde_json::from_str(&body(&Address::UserId("US.1\"".to_owned()))).unwrap();
    assert_eq!((&to_user["recipient"], to_user.get("to")), (&"US.1\"".into(), None));
    let to_user = body_as(&Address::UserId("US.1\"".to_owned()), UserIdField::To);
    let to_user: Value = serde_json::from_str(&to_user).unwrap();
    assert_eq!((&to_user["to"], to_user.get("recipient")), (&"US.1\"".into(), None));
    let phone = Address::Phone("+85261234567".to_owned());
    assert_eq!(body_as(&phone, UserIdField::To), body(&phone));
    let mark = read(r#"{"status":"read","message_id":"w"}"#).unwrap();
    assert_eq!((mark.to, &mark.parts[0].kind), (None, &PartKind::ReadMark));
    let mark = String::from_utf8(outgoing::read_mark_envelope(&mark.parts[0].payload)).unwrap();
    assert_eq!(mark, r#"{"messaging_product":"whatsapp","status":"read","message_id":"w"}"#);
    let empty = outgoing::envelope("{}", &Address::UserId("U".to_owned()), id, UserIdField::default());
    serde_json::from_slice::<Value>(&empty).unwrap();
}

/// A message to a phone is for the contact who wrote from it, whichever form WhatsApp has of it.
#[test]
fn an_address_has_the_names_of_those_who_wrote_from_it() {
    for (from, to) in [
        ("551187654321", "+5511987654321"),
        ("5215512345678", "+525512345678"),
        ("5491123456789", "+541123456789"),
        ("85261234567", "+85261234567"),
    ] {
        let body = crate::support::messages(&format!(r#""messages":[{{"id":"A","from":"{from}"}}]"#));
        let known = wagate_records::digest(&body).remove(0).contact.unwrap().aliases;
        assert_eq!(aliases_of(&Address::Phone(to.to_owned())), known, "{from} {to}");
    }
    let kind = |id: &str| aliases_of(&Address::UserId(id.to_owned())).remove(0).kind;
    assert_eq!((kind("US.1"), kind("US.ENT.1")), (AliasKind::UserId, AliasKind::ParentUserId));
}

/// JSON of any shape, with the names that requests have.
fn json() -> impl Strategy<Value = Value> {
    let names = [
        "to",
        "type",
        "text",
        "body",
        "image",
        "id",
        "link",
        "interactive",
        "action",
        "buttons",
        "reply",
        "title",
        "header",
        "sections",
        "rows",
        "parameters",
        "template",
        "name",
        "language",
        "code",
        "components",
        "cards",
        "attachments",
        "fallback",
        "contacts",
        "location",
        "reaction",
        "emoji",
        "status",
        "message_id",
        "context",
        "from",
        "x/~",
    ];
    let words = [
        "",
        "text",
        "image",
        "button",
        "list",
        "carousel",
        "template",
        "body",
        "read",
        "+85261234567",
        "https://a",
        "é",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let name = proptest::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

/// Puts `with` in place of the `at`-th value, counted depth first.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for inner in inner {
        if *at == usize::MAX {
            return;
        }
        replace(inner, at, with);
    }
}

fn holds(answer: Result<Request, Vec<outgoing::Fault>>) -> Result<(), TestCaseError> {
    match answer {
        Ok(request) => {
            prop_assert!((1..=6).contains(&request.parts.len()));
            for part in request.parts.iter().chain(&request.fallback) {
                let payload: Value = serde_json::from_str(&part.payload).unwrap();
                for name in [
                    "messaging_product",
                    "recipient_type",
                    "to",
                    "recipient",
                    "biz_opaque_callback_data",
                    "from",
                ] {
                    prop_assert!(payload.get(name).is_none());
                }
            }
        }
        Err(faults) => prop_assert!((1..=FAULTS_MAX).contains(&faults.len())),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_json_is_taken_or_refused(json in json()) {
        holds(outgoing::read(json.to_string().as_bytes(), &numbers()))?;
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        holds(outgoing::read(&bytes, &numbers()))?;
    }

    /// A request with any of its values turned into something else.
    #[test]
    fn a_changed_request_is_taken_or_refused(
        case in any::<proptest::sample::Index>(), at in 0..40_usize, with in json(),
    ) {
        let cases = cases("accepted.jsonl");
        let mut request: Value = serde_json::from_str(&case.get(&cases).1).unwrap();
        replace(&mut request, &mut { at }, &with);
        holds(outgoing::read(request.to_string().as_bytes(), &numbers()))?;
    }

    /// A webhook is no request, and does no harm as one.
    #[test]
    fn a_webhook_is_refused(fixture in any::<proptest::sample::Index>()) {
        let fixtures = composed();
        prop_assert!(outgoing::read(&fixture.get(&fixtures).body, &numbers()).is_err());
    }
}
