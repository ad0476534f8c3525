//! The levels around the items: body, entry, change.

use model::Item;

use crate::family;
use crate::identity::{self, Card};
use crate::json::{Doc, Sort, Value};
use crate::scope::{Items, Scope};
use crate::time::instant;

/// The deepest nesting of JSON that is handed on inside a record. Many readers give up at 128
/// levels, and a record stands up to five levels inside an answer.
pub(crate) const DEPTH_MAX: usize = 100;

/// Takes a signed webhook body apart.
///
/// Total: it never fails and never panics, and the list is never empty. What isn't understood
/// becomes an item of [`model::Kind::Unknown`] that holds the offending piece, or the whole body
/// with one of the reasons `empty`, `not_utf8`, `not_json`, `no_envelope`, `too_deep`, `no_items`
/// and `too_many_items`. Entries and changes come in the order of the body; inside one change
/// messages come first, then statuses, then the rest.
#[must_use]
pub fn digest(body: &[u8]) -> Vec<Item> {
    read(body).unwrap_or_else(|reason| vec![Scope::nowhere().unknown(reason, body)])
}

fn read(body: &[u8]) -> Result<Vec<Item>, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "not_utf8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err("empty");
    }
    let doc = Doc::parse(text).ok_or("not_json")?;
    let root = doc.root();
    let is_deep = root.height() > DEPTH_MAX;
    let entries = root.get("entry").filter(|entries| entries.sort() == Sort::Array);
    let entries = entries.ok_or(if is_deep { "too_deep" } else { "no_envelope" })?;
    let mut items = Items::default();
    for entry in entries.elements() {
        read_entry(entry, &mut items);
    }
    items.finish()
}

fn read_entry(entry: Value<'_, '_>, items: &mut Items) {
    let scope = Scope::entry(entry);
    let refuse = |reason| scope.unknown(reason, entry.raw().as_bytes());
    if !entry.is_object() {
        return items.push(refuse("not_an_object"));
    }
    match entry.get("changes") {
        Some(changes) if changes.sort() == Sort::Array && !changes.is_nothing() => {
            for change in changes.elements() {
                read_change(&scope, change, items);
            }
        }
        _ => items.push(refuse("no_changes")),
    }
}

fn read_change<'a>(scope: &Scope<'a>, change: Value<'_, 'a>, items: &mut Items) {
    if !change.is_object() {
        return items.push(scope.unknown("not_an_object", change.raw().as_bytes()));
    }
    let [field, value] = change.get_each(["field", "value"]);
    let field = field.and_then(Value::text).filter(|field| field.len() <= identity::NAME_MAX);
    let scope = scope.field(field.clone().unwrap_or_default());
    let Some(value) = value else {
        return items.push(scope.unknown("no_value", change.raw().as_bytes()));
    };
    let scope = scope.value(value);
    match field.as_deref() {
        Some(field) if !family::is_member(field) => {
            let contact = identity::only_contact(&Card::read_all(value.get("contacts")));
            items.push(scope.event(value.raw(), event_time(value), contact));
        }
        Some(_) if value.is_object() => family::read(&scope, value, items),
        None if family::holds_items(value) => family::read(&scope, value, items),
        Some(_) => items.push(scope.unknown("not_an_object", value.raw().as_bytes())),
        None => items.push(scope.unknown("no_field", change.raw().as_bytes())),
    }
}

/// When an event happened, where its entry doesn't say: the value's own timestamp, or that of the
/// first thing that it lists.
pub(crate) fn event_time(value: Value<'_, '_>) -> Option<model::WallTime> {
    let own = value.get("timestamp").and_then(instant);
    own.or_else(|| {
        value.members().find_map(|(_, member)| {
            let first = member.elements().next()?;
            first.get("timestamp").or_else(|| first.path(&["metadata", "timestamp"])).and_then(instant)
        })
    })
}
