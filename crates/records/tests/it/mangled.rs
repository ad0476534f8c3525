//! Webhooks with parts dropped, doubled, turned into something else or cut off: whatever stays
//! whole is still told.

use model::Item;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{composed, events};

/// One thing done to one part of a webhook.
#[derive(Debug, Clone)]
enum Harm {
    Drop,
    Double,
    Become(Value),
    Wrap(usize),
    Truncate,
}

fn harm() -> impl Strategy<Value = Harm> {
    let values = [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!(true),
        json!(-1.5),
        json!("x"),
        json!([{}]),
        json!("\0"),
    ];
    prop_oneof![
        Just(Harm::Drop),
        Just(Harm::Double),
        proptest::sample::select(values.to_vec()).prop_map(Harm::Become),
        prop_oneof![1..4_usize, 95..130_usize].prop_map(Harm::Wrap),
        Just(Harm::Truncate),
    ]
}

/// Does harm to the `at`-th part, counted depth first, and says how many parts are left to count.
fn hurt(value: &mut Value, at: &mut usize, harm: &Harm) {
    match value {
        Value::Array(list) => {
            for place in 0..list.len() {
                if *at == 0 {
                    match harm {
                        Harm::Drop => drop(list.remove(place)),
                        Harm::Double => list.insert(place, list[place].clone()),
                        Harm::Become(_) | Harm::Wrap(_) | Harm::Truncate => change(&mut list[place], harm),
                    }
                    *at = usize::MAX;
                    return;
                }
                *at -= 1;
                hurt(&mut list[place], at, harm);
                if *at == usize::MAX {
                    return;
                }
            }
        }
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            for key in keys {
                if *at == 0 {
                    if matches!(harm, Harm::Drop) {
                        map.remove(&key);
                    } else {
                        change(&mut map[&key], harm);
                    }
                    *at = usize::MAX;
                    return;
                }
                *at -= 1;
                hurt(&mut map[&key], at, harm);
                if *at == usize::MAX {
                    return;
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn change(value: &mut Value, harm: &Harm) {
    let old = value.take();
    *value = match (harm, old) {
        (Harm::Become(other), _) => other.clone(),
        (Harm::Wrap(times), old) => (0..*times).fold(old, |inner, _| json!([inner])),
        (Harm::Truncate, Value::String(text)) => {
            json!(text.chars().take(text.chars().count() / 2).collect::<String>())
        }
        (Harm::Double, Value::String(text)) => json!(text.clone() + &text),
        (Harm::Double | Harm::Drop | Harm::Truncate, old) => json!([old.clone(), old]),
    };
}

fn parts(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(|part| 1 + parts(part)).sum(),
        Value::Object(map) => map.values().map(|part| 1 + parts(part)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The ids of the items that are still whole, found by another way than the crate's.
fn whole(body: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    let changes =
        body["entry"].as_array().into_iter().flatten().filter_map(|entry| entry["changes"].as_array());
    for change in changes.flatten().filter(|change| change["value"].is_object()) {
        let (field, value) = (change["field"].as_str().unwrap_or_default(), &change["value"]);
        if !["messages", "standby", "history", "smb_message_echoes", "message_echoes"].contains(&field) {
            continue;
        }
        let threads =
            value["history"].as_array().into_iter().flatten().filter_map(|chunk| chunk["threads"].as_array());
        for place in [value, &value["standby"]].into_iter().chain(threads.flatten()) {
            for key in ["messages", "statuses", "message_echoes"] {
                let items = place[key].as_array().into_iter().flatten();
                let id = |item: &Value| word(&item["meta_msg_id"]).or_else(|| word(&item["id"]));
                let usable = |id: &String| {
                    (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
                };
                ids.extend(items.filter_map(id).filter(usable));
            }
        }
    }
    ids
}

/// Some write their ids as numbers: so one is an id, too.
fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
}

fn names(item: &Item, id: &str) -> bool {
    item.id == id || item.id.strip_prefix(id).is_some_and(|rest| rest.starts_with(':'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_stays_whole_is_told(
        fixture in any::<proptest::sample::Index>(),
        harms in proptest::collection::vec((any::<proptest::sample::Index>(), harm()), 1..5),
    ) {
        let fixtures = composed();
        let mut body: Value = serde_json::from_slice(&fixture.get(&fixtures).body).unwrap();
        for (at, harm) in harms {
            let parts = parts(&body);
            if parts > 0 {
                hurt(&mut body, &mut at.index(parts), &harm);
            }
        }
        let bytes = serde_json::to_vec(&body).unwrap();
        let items = wagate_records::digest(&bytes);
        for id in whole(&body) {
            prop_assert!(items.iter().any(|item| names(item, &id)), "{id} is lost from {body}");
        }
        prop_assert_eq!(events(&bytes).len(), items.len());
        prop_assert_eq!(wagate_records::digest(&bytes), items);
    }

    #[test]
    fn a_webhook_cut_off_or_overwritten_is_kept(
        fixture in any::<proptest::sample::Index>(),
        cut in any::<proptest::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let fixtures = composed();
        let mut bytes = fixture.get(&fixtures).body.clone();
        let at = cut.index(bytes.len());
        if patch.is_empty() {
            bytes.truncate(at);
        } else {
            let end = (at + patch.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&patch[..end - at]);
        }
        prop_assert!(!events(&bytes).is_empty());
    }

    #[test]
    fn any_bytes_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let items = wagate_records::digest(&bytes);
        prop_assert_eq!(items.len(), 1);
        prop_assert_eq!(&items[0].raw, &bytes);
        prop_assert_eq!(events(&bytes).len(), 1);
    }
}
