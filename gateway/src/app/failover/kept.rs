//! What of a group outlives a restart: one value a group in the store's table, see `docs/formats/failover.md`.

use std::collections::BTreeMap;

use policy::failover::Kept;
use serde::{Deserialize, Serialize};
use store::{Change, Store};

/// What the keys of these values begin with.
const PREFIX: u8 = b'Z';
/// The layout below. Another one is another number, and this one stays readable.
const VERSION: u32 = 1;

/// JSON: by names, since a configuration may change between two runs.
#[derive(Debug, Serialize, Deserialize)]
struct Value {
    version: u32,
    /// The endpoint in use.
    active: String,
    /// How often each was left soon after it was gone back to, those of 0 left out.
    #[serde(default)]
    levels: BTreeMap<String, u32>,
}

/// What the last run left of a group with these endpoints; what can't be read is as if there were nothing, and said.
pub(super) fn read(store: &Store, group: &str, endpoints: &[String]) -> Option<Kept> {
    let bytes = match store.reader().value(&key(group)) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::warn!(group, %error, "which endpoint was in use can't be read: beginning with the first");
            return None;
        }
    };
    let kept = decode(&bytes, endpoints);
    if kept.is_none() {
        tracing::warn!(group, "which endpoint was in use isn't known any more: beginning with the first");
    }
    kept
}

/// The change that keeps it.
pub(super) fn change(group: &str, endpoints: &[String], kept: &Kept) -> Change {
    Change { key: key(group), value: encode(endpoints, kept) }
}

fn key(group: &str) -> Vec<u8> {
    [&[PREFIX], group.as_bytes()].concat()
}

fn encode(endpoints: &[String], kept: &Kept) -> Option<Vec<u8>> {
    let named = endpoints.iter().cloned().zip(kept.levels.iter().copied());
    let value = Value {
        version: VERSION,
        active: endpoints.get(kept.active).cloned().unwrap_or_default(),
        levels: named.filter(|(_, level)| *level > 0).collect(),
    };
    serde_json::to_vec(&value).ok()
}

/// Nothing where the endpoint of then isn't configured any more.
fn decode(bytes: &[u8], endpoints: &[String]) -> Option<Kept> {
    let value: Value = serde_json::from_slice(bytes).ok().filter(|value: &Value| value.version == VERSION)?;
    let levels = endpoints.iter().map(|name| value.levels.get(name).copied().unwrap_or(0)).collect();
    Some(Kept { active: endpoints.iter().position(|name| *name == value.active)?, levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_is_kept_by_name() {
        let endpoints = names(&["meta", "backup", "third"]);
        let kept = Kept { active: 1, levels: vec![3, 0, 1] };
        let bytes = encode(&endpoints, &kept).unwrap();
        assert_eq!(decode(&bytes, &endpoints), Some(kept));
        // Another order, and one more.
        let other = names(&["backup", "new", "meta"]);
        assert_eq!(decode(&bytes, &other), Some(Kept { active: 0, levels: vec![0, 0, 3] }));
        assert_eq!(decode(&bytes, &names(&["meta"])), None, "the one in use is gone");
    }

    #[test]
    fn the_first_released_layout_stays_readable() {
        let bytes = br#"{"version":1,"active":"backup","levels":{"meta":2}}"#;
        let endpoints = names(&["meta", "backup"]);
        assert_eq!(decode(bytes, &endpoints), Some(Kept { active: 1, levels: vec![2, 0] }));
        assert_eq!(encode(&endpoints, &Kept { active: 1, levels: vec![2, 0] }).unwrap(), bytes);
        for bad in [&b""[..], b"{}", br#"{"version":2,"active":"backup"}"#, b"\xff"] {
            assert_eq!(decode(bad, &endpoints), None);
        }
    }
}
