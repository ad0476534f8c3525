//! Where in a webhook an item stands, and the list that items are gathered in.

use std::borrow::Cow;

use model::{Account, Contact, Item, Kind, Via, WallTime};

use crate::id;
use crate::identity::{self, usable};
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
            if self.list.is_empty() {
                // Most webhooks hold one, and an item is large.
                self.list.reserve_exact(1);
            }
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

/// What the levels around an item say about it, borrowed from the body as far as possible.
#[derive(Clone, Default)]
pub(crate) struct Scope<'a> {
    entry_id: Cow<'a, str>,
    entry_time: Cow<'a, str>,
    time: Option<WallTime>,
    waba_id: Option<Cow<'a, str>>,
    phone_number_id: Option<Cow<'a, str>>,
    /// `+` and the digits.
    phone: Option<String>,
    field: Cow<'a, str>,
    via: Option<Via>,
}

impl<'a> Scope<'a> {
    /// Outside of any entry.
    pub(crate) fn nowhere() -> Self {
        Self::default()
    }

    /// Inside an entry.
    pub(crate) fn entry(entry: Value<'_, 'a>) -> Self {
        let [id, time] = entry.get_each(["id", "time"]);
        let text =
            |value: Option<Value<'_, 'a>>| value.and_then(Value::text).map(bounded).unwrap_or_default();
        Self {
            entry_id: text(id),
            entry_time: text(time),
            time: time.and_then(instant),
            waba_id: usable(id),
            ..Self::default()
        }
    }

    /// Inside a change of that field.
    pub(crate) fn field(&self, field: Cow<'a, str>) -> Self {
        Self { field, ..self.clone() }
    }

    /// Inside the value of a change, which names the number in one of several places.
    pub(crate) fn value(mut self, value: Value<'_, 'a>) -> Self {
        let places = value.get_each(["metadata", "recipient", "phone_number_settings"]);
        let mut label = None;
        for place in places.into_iter().flatten().chain([value]) {
            let [id, phone] = place.get_each(["phone_number_id", "display_phone_number"]);
            self.phone_number_id = self.phone_number_id.or_else(|| usable(id));
            label = label.or_else(|| phone.and_then(Value::text));
        }
        self.phone =
            label.and_then(|label| phone::label_digits(&label)).map(|digits| ["+", &digits].concat());
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
        let own = self.phone.as_deref().and_then(phone::digits);
        own.is_some_and(|own| own == digits || phone::match_key(own) == phone::match_key(digits))
    }

    /// An item of this place.
    pub(crate) fn item(&self, kind: Kind, id: String, raw: &str) -> Item {
        let owned = |id: &Option<Cow<'_, str>>| id.as_deref().map(str::to_owned);
        Item {
            kind,
            source: self.source(),
            id,
            time: None,
            account: Account {
                waba_id: owned(&self.waba_id),
                phone_number_id: owned(&self.phone_number_id),
                phone: self.phone.clone(),
            },
            contact: None,
            group: None,
            via: self.via,
            field: self.field.clone().into_owned(),
            reason: String::new(),
            raw: raw.as_bytes().to_vec(),
        }
    }

    /// `/wagate/{phone_number_id}`, else `/wagate/{waba_id}`, else `/wagate`. An id that would need
    /// escaping in a URI counts as none.
    fn source(&self) -> String {
        let plain = |id: &&str| {
            id.len() <= identity::NAME_MAX
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@+".contains(&byte))
        };
        let ids = [&self.phone_number_id, &self.waba_id];
        match ids.into_iter().filter_map(|id| id.as_deref()).find(plain) {
            Some(id) => ["/wagate/", id].concat(),
            None => "/wagate".to_owned(),
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
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= identity::NAME_MAX { text } else { Cow::Owned(id::of_bytes(text.as_bytes())) }
}
