//! Every webhook that could be found, held to what its index says that it is.
//!
//! The composed ones stand in the repository. The public ones belong to others and don't: they are
//! read from `shared/fixtures/webhooks` beside the repository, or below `WAGATE_SHARED`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Fixture, composed, crate_dir, events, read_fixtures};

#[test]
fn the_composed_webhooks_give_what_their_index_says() {
    let fixtures = composed();
    assert_eq!(fixtures.len(), 116);
    fixtures.iter().for_each(holds);
}

#[test]
fn the_public_webhooks_give_what_their_index_says() {
    let Some(fixtures) = public() else { return };
    assert_eq!(fixtures.len(), 276);
    fixtures.iter().for_each(holds);
}

/// The public webhooks, where they are.
fn public() -> Option<Vec<Fixture>> {
    let shared =
        std::env::var_os("WAGATE_SHARED").map_or_else(|| crate_dir().join("../../../shared"), PathBuf::from);
    let folder = shared.join("fixtures/webhooks");
    if folder.join("INDEX.tsv").exists() {
        return Some(read_fixtures(&folder));
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "CI must have the public webhooks in {}", folder.display());
    println!("SKIPPED: THE PUBLIC WEBHOOKS ARE NOT IN {}", folder.display());
    None
}

/// As many webhooks as there are: the public ones, which include the composed, or those alone.
pub(crate) fn all_fixtures() -> Vec<Fixture> {
    public().unwrap_or_else(composed)
}

const FAMILY: [&str; 5] = ["messages", "standby", "history", "smb_message_echoes", "message_echoes"];

/// A fixture gives the records that its kind names, and none of its items is lost.
fn holds(fixture: &Fixture) {
    let events = events(&fixture.body);
    let body: Value = serde_json::from_slice(&fixture.body).unwrap();

    let (kinds, times) = match fixture.kind.strip_prefix("mixed: ") {
        Some(kinds) => (kinds, None),
        None => match fixture.kind.split_once(" x") {
            Some((kind, times)) => (kind, Some(times.parse().unwrap())),
            None if fixture.kind == "history.threads" => (fixture.kind.as_str(), None),
            None => (fixture.kind.as_str(), Some(1)),
        },
    };
    let expected: BTreeSet<(&str, String)> = kinds.split(", ").map(expected).collect();
    let found: BTreeSet<(&str, String)> = events.iter().map(found).collect();
    assert_eq!(found, expected, "{}", fixture.file);
    if let Some(times) = times {
        assert_eq!(events.len(), times, "{}", fixture.file);
    }

    // Each message, status and echo has a record that holds it to the letter; and there are no
    // more records than items, changes of other fields and changes with errors.
    let (items, others) = contents(&body);
    for item in &items {
        let holders = events.iter().filter(|event| &event["data"]["raw"] == *item).count();
        let copies = items.iter().filter(|other| other == &item).count();
        assert_eq!(holders, copies, "{}: {item:#}", fixture.file);
    }
    assert_eq!(events.len(), items.len() + others, "{}", fixture.file);
    for event in &events {
        assert_eq!(event["data"]["reason"], Value::Null, "{}", fixture.file);
        assert!(event["time"] != event["data"]["received_at"] || is_timeless(event), "{}", fixture.file);
    }
}

/// Events that say nothing of when they happened.
fn is_timeless(event: &Value) -> bool {
    event["type"] == "wagate.account.event.v1" && !event["data"]["raw"].to_string().contains("timestamp")
}

/// The items of a body, and how many records there are beside them.
fn contents(body: &Value) -> (Vec<&Value>, usize) {
    let mut items = Vec::new();
    let mut others = 0;
    for change in
        body["entry"].as_array().unwrap().iter().flat_map(|entry| entry["changes"].as_array().unwrap())
    {
        let value = &change["value"];
        let before = items.len();
        if FAMILY.contains(&change["field"].as_str().unwrap()) {
            for place in [value, &value["standby"]] {
                for key in ["messages", "statuses", "message_echoes"] {
                    items.extend(place[key].as_array().into_iter().flatten());
                }
            }
            for thread in value["history"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|chunk| chunk["threads"].as_array())
            {
                items.extend(thread.iter().filter_map(|thread| thread["messages"].as_array()).flatten());
            }
        }
        others += usize::from(items.len() == before || value["errors"].is_array());
    }
    (items, others)
}

/// The type and the word that a kind of the index stands for.
fn expected(kind: &str) -> (&'static str, String) {
    let kind = kind.split('+').next().unwrap();
    let (family, rest) = kind.split_once('.').unwrap_or((kind, ""));
    let word = rest.split('.').next().unwrap().to_owned();
    match family {
        "message" if rest == "(no type)" => ("wagate.message.received.v1", "(inferred)".to_owned()),
        "message" => ("wagate.message.received.v1", word),
        "status" if word == "payment" => {
            ("wagate.message.status.v1", rest.split('.').nth(1).unwrap().to_owned())
        }
        "status" => ("wagate.message.status.v1", word),
        "smb_message_echoes" => ("wagate.message.echo.v1", word),
        "standby" if rest == "message.text" => ("wagate.message.received.v1", "text".to_owned()),
        "standby" if rest == "status.delivered" => ("wagate.message.status.v1", "delivered".to_owned()),
        "standby" if rest == "message_echoes" => ("wagate.message.echo.v1", "text".to_owned()),
        "history" if rest == "threads" => ("wagate.message.received.v1", "text".to_owned()),
        "history" if rest == "media" => ("wagate.message.received.v1", "image".to_owned()),
        "value_errors" | "user_actions" => ("wagate.account.event.v1", "messages".to_owned()),
        field => ("wagate.account.event.v1", field.to_owned()),
    }
}

/// The type of an event and the word that tells it from others of its type.
fn found(event: &Value) -> (&'static str, String) {
    let kind = model::Kind::from_event_type(event["type"].as_str().unwrap()).unwrap().event_type();
    let data = &event["data"];
    let word = [&data["message"]["type"], &data["status"]["status"], &data["field"]]
        .into_iter()
        .find_map(Value::as_str);
    let inferred =
        data["message"].is_object() && data["raw"]["type"].is_null() && data["raw"]["message"].is_null();
    let word = if inferred { "(inferred)" } else { word.unwrap() };
    (kind, word.to_owned())
}
