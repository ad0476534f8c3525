//! What the tests share: fixtures, records made of items, and the schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use model::{ContactId, Item, Record, Sequence, WallTime};
use serde_json::Value;
use serde_json::value::RawValue;
use wagate_records::Numbers;

/// A line of a fixture folder's `INDEX.tsv`.
pub(crate) struct Fixture {
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn crate_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The fixtures that stand in the repository.
pub(crate) fn composed() -> Vec<Fixture> {
    read_fixtures(&crate_dir().join("tests/fixtures/webhooks"))
}

pub(crate) fn read_fixtures(folder: &Path) -> Vec<Fixture> {
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let lines = index.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    lines
        .map(|columns| Fixture {
            file: columns[0].to_owned(),
            kind: columns[1].to_owned(),
            body: fs::read(folder.join(columns[0])).unwrap(),
        })
        .collect()
}

/// The number of the composed fixtures.
pub(crate) fn numbers() -> Numbers {
    [("330044005500661", "+15550142277")].into_iter().collect()
}

/// Gives items places one after another.
pub(crate) fn placed(items: Vec<Item>) -> Vec<Record> {
    let record = |(place, item): (u64, Item)| Record {
        sequence: Sequence(place),
        received_at: WallTime(1_795_214_596_042),
        contact_id: item.contact.as_ref().map(|_| ContactId::new(1_795_214_595_000, [0; 10])),
        replayed: false,
        item,
    };
    (1..).zip(items).map(record).collect()
}

/// Takes a body apart and reads the records back, each checked against the schema.
pub(crate) fn events(body: &[u8]) -> Vec<Value> {
    let items = wagate_records::digest(body);
    assert!(!items.is_empty());
    placed(items).iter().map(|record| read(&wagate_records::render(record, &numbers()))).collect()
}

/// The only event of a body.
pub(crate) fn event(body: &[u8]) -> Value {
    let mut events = events(body);
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

/// Reads an event, checked against the schema. What came in may hold lone surrogates, which are
/// JSON but which serde_json refuses in texts, so they are replaced first.
pub(crate) fn read(event: &[u8]) -> Value {
    let text = std::str::from_utf8(event).unwrap();
    serde_json::from_str::<&RawValue>(text).expect("an event is JSON");
    let event: Value = serde_json::from_str(&without_lone_surrogates(text)).expect("an event can be read");
    check(&event);
    event
}

/// Checks an event against the schema.
pub(crate) fn check(event: &Value) {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let schema: Value = serde_json::from_str(wagate_records::SCHEMA).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    if !validator.is_valid(event) {
        let name = event["type"].as_str().and_then(|name| name.strip_prefix("wagate.")?.strip_suffix(".v1"));
        let name = name.unwrap_or_default().replace('.', "_");
        let schema: Value = serde_json::from_str(wagate_records::SCHEMA).unwrap();
        let branch = serde_json::json!({"$ref": format!("#/$defs/{name}"), "$defs": schema["$defs"]});
        let branch = jsonschema::validator_for(&branch).unwrap();
        let errors: Vec<_> =
            branch.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect();
        panic!("not as the schema says: {errors:#?}\n{event:#}");
    }
}

fn without_lone_surrogates(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |at: usize| {
            let hex = rest.get(at..)?.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(hex, 16).ok()
        };
        let (piece, length) = match (unit(0), unit(6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => (&rest[..12], 12),
            (Some(0xD800..0xE000), _) => ("\\ufffd", 6),
            _ => (&rest[..2], 2),
        };
        out.push_str(piece);
        rest = &rest[length..];
    }
    out + rest
}

/// A webhook with one change of that field and value.
pub(crate) fn webhook(field: &str, value: &str) -> Vec<u8> {
    let change = format!(r#"{{"field":"{field}","value":{value}}}"#);
    format!(r#"{{"object":"whatsapp_business_account","entry":[{{"id":"207711990011223","changes":[{change}]}}]}}"#)
        .into_bytes()
}

/// A webhook of the field `messages` whose value also holds `members`.
pub(crate) fn messages(members: &str) -> Vec<u8> {
    let metadata = r#"{"display_phone_number":"15550142277","phone_number_id":"330044005500661"}"#;
    webhook("messages", &format!(r#"{{"messaging_product":"whatsapp","metadata":{metadata},{members}}}"#))
}

/// A webhook with one message that also holds `members`.
pub(crate) fn message(members: &str) -> Vec<u8> {
    messages(&format!(
        r#""messages":[{{"id":"wamid.A","from":"15555550101","timestamp":"1771000000",{members}}}]"#
    ))
}

/// A webhook with one status that also holds `members`.
pub(crate) fn status(members: &str) -> Vec<u8> {
    messages(&format!(r#""statuses":[{{"id":"wamid.A","timestamp":"1771000000",{members}}}]"#))
}
