//! Where in a webhook an item stands, and the list that items are gathered in.

use std::borrow::Cow;

use model::{Account, Contact, Item, Kind, Via, WallTime};

use crate::id;
use crate::identity::{self, usable_id};
use crate::json::Value;
use crate::phone;
use crate::time::instant;

/// The most items that a webhook is taken apart into; Meta sends at most 1,000 updates at a time,
/// and the history of a number in chunks of thousands. A body with more is kept whole.
pub(crate) const ITEMS_MAX: usize = 32_768;

/// The items of a webhook.
#[derive(Default)]
pub(crate) struct Items {
    list: Vec<Item>,
    overflow: bool,
}

impl Items {
    pub(crate) fn push(&mut self, item: Item) {
        if self.list.len() < ITEMS_MAX {
            self.list.push(item);
        } else {
            self.overflow = true;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The items, or why the body has to be kept whole.
    pub(crate) fn finish(self) -> Result<Vec<Item>, &'static str> {
        match (self.overflow, self.list.is_empty()) {
            (true, _) => Err("too_many_items"),
            (_, true) => Err("no_items"),
            _ => Ok(self.list),
        }
    }
}

/// What the levels around an item say about it.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    entry_id: String,
    entry_time: String,
    time: Option<WallTime>,
    source: String,
    account: Account,
    field: String,
    via: Option<Via>,
}

impl Scope {
    /// Outside of any entry.
    pub(crate) fn nowhere() -> Self {
        Self { source: source(&Account::default()), ..Self::default() }
    }

    /// Inside an entry.
    pub(crate) fn entry(entry: Value<'_, '_>) -> Self {
        let text = |key| entry.get(key).and_then(Value::text).map_or_else(String::new, bounded);
        let account = Account { waba_id: usable_id(entry, "id"), ..Account::default() };
        Self {
            entry_id: text("id"),
            entry_time: text("time"),
            time: entry.get("time").and_then(instant),
            source: source(&account),
            account,
            ..Self::default()
        }
    }

    /// Inside a change of that field.
    pub(crate) fn field(&self, field: &str) -> Self {
        Self { field: field.to_owned(), ..self.clone() }
    }

    /// Inside the value of a change, which names the number in one of several places.
    pub(crate) fn value(mut self, value: Value<'_, '_>) -> Self {
        let places = ["metadata", "recipient", "phone_number_settings"].map(|key| value.get(key));
        let places = || places.into_iter().flatten().chain([value]);
        self.account.phone_number_id = places().find_map(|place| usable_id(place, "phone_number_id"));
        self.account.phone = places()
            .find_map(|place| place.get("display_phone_number")?.text())
            .and_then(|label| phone::label_digits(&label))
            .map(|digits| format!("+{digits}"));
        self.source = source(&self.account);
        self
    }

    /// The same place, reached by another way.
    pub(crate) fn via(&self, via: Via) -> Self {
        Self { via: Some(via), ..self.clone() }
    }

    pub(crate) fn is_via(&self, via: Via) -> bool {
        self.via == Some(via)
    }

    /// The field's name; empty where there is none.
    pub(crate) fn name(&self) -> &str {
        &self.field
    }

    /// True for the digits of the store's own number.
    pub(crate) fn is_own(&self, digits: &str) -> bool {
        let own = self.account.phone.as_deref().and_then(phone::digits);
        own.is_some_and(|own| own == digits || phone::match_key(own) == phone::match_key(digits))
    }

    /// An item of this place.
    pub(crate) fn item(&self, kind: Kind, id: String, raw: &str) -> Item {
        Item {
            kind,
            source: self.source.clone(),
            id,
            time: None,
            account: self.account.clone(),
            contact: None,
            group: None,
            via: self.via,
            field: self.field.clone(),
            reason: String::new(),
            raw: raw.as_bytes().to_vec(),
        }
    }

    /// A piece of this place that isn't understood.
    pub(crate) fn unknown(&self, reason: &str, raw: &[u8]) -> Item {
        let mut item = self.item(Kind::Unknown, id::of_bytes(raw), "");
        item.reason = reason.to_owned();
        item.raw = raw.to_vec();
        item
    }

    /// An account event of this place that holds `value`.
    pub(crate) fn event(&self, raw: &str, time: Option<WallTime>, contact: Option<Contact>) -> Item {
        let id = id::of_event(&self.entry_id, &self.entry_time, &self.field, raw.as_bytes());
        let mut item = self.item(Kind::AccountEvent, id, raw);
        item.time = self.time.or(time);
        item.contact = contact;
        item
    }
}

/// A text, or its hash where it is longer than anything that it should be: it is copied often.
fn bounded(text: Cow<'_, str>) -> String {
    if text.len() <= identity::NAME_MAX { text.into_owned() } else { id::of_bytes(text.as_bytes()) }
}

/// `/wagate/{phone_number_id}`, else `/wagate/{waba_id}`, else `/wagate`. An id that would need
/// escaping in a URI counts as none.
fn source(account: &Account) -> String {
    let plain = |id: &&String| {
        id.len() <= identity::NAME_MAX
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@+".contains(&byte))
    };
    let ids = [&account.phone_number_id, &account.waba_id];
    match ids.into_iter().flatten().find(plain) {
        Some(id) => format!("/wagate/{id}"),
        None => "/wagate".to_owned(),
    }
}
