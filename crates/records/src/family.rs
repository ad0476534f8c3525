//! The value of a change that brings messages: received, sent by the app, of a standby thread, of
//! the history; their statuses; and whatever else stands beside them.

use model::{Item, Via};

use crate::envelope::event_time;
use crate::identity::{self, Card};
use crate::item::{self, Sender};
use crate::json::{Sort, Value};
use crate::scope::{Items, Scope};

/// True for the fields whose values are read for messages.
pub(crate) fn is_member(field: &str) -> bool {
    matches!(field, "messages" | "standby" | "history" | "smb_message_echoes" | "message_echoes")
}

/// True for a value that brings messages or statuses, whatever its field is called.
pub(crate) fn holds_items(value: Value<'_, '_>) -> bool {
    value
        .get_each(["messages", "statuses", "message_echoes", "standby", "history"])
        .iter()
        .any(Option::is_some)
}

/// Takes such a value apart. It gives one item at least.
pub(crate) fn read(scope: &Scope<'_>, value: Value<'_, '_>, items: &mut Items) {
    let before = items.len();
    let cards = Card::read_all(value.get("contacts"));
    match scope.name() {
        "standby" => lists(&scope.via(Via::Standby), value, &cards, items),
        "history" => lists(&scope.via(Via::History), value, &cards, items),
        _ => lists(scope, value, &cards, items),
    }

    let mut rest = Rest::default();
    rest.take(value, &["messages", "statuses", "message_echoes", "standby", "history"]);
    let [standby, history] = value.get_each(["standby", "history"]);
    if let Some(standby) = standby {
        read_standby(&scope.via(Via::Standby), standby, items, &mut rest);
    }
    if let Some(history) = history {
        read_history(&scope.via(Via::History), history, items, &mut rest);
    }
    let contact = || identity::only_contact(&cards);
    if items.len() == before {
        items.push(scope.event(value.raw(), event_time(value), contact()));
    } else if rest.matters {
        items.push(scope.event(&rest.object(), None, contact()));
    }
}

/// The three lists of items that may stand in a value or in its `standby`.
fn lists(scope: &Scope<'_>, value: Value<'_, '_>, cards: &[Card<'_>], items: &mut Items) {
    let sender = if scope.is_via(Via::History) { Sender::Either } else { Sender::Customer };
    let [messages, statuses, echoes] = value.get_each(["messages", "statuses", "message_echoes"]);
    for_each(scope, messages, items, |message| item::message(scope, cards, message, sender));
    for_each(scope, statuses, items, |status| item::status(scope, cards, status));
    for_each(scope, echoes, items, |echo| item::message(scope, cards, echo, Sender::Store));
}

/// Reads a list of items. A single object is taken for a list of one; anything else that says
/// something is a piece of its own.
fn for_each<'d, 'a>(
    scope: &Scope<'_>,
    list: Option<Value<'d, 'a>>,
    items: &mut Items,
    make: impl Fn(Value<'d, 'a>) -> Item,
) {
    let Some(list) = list.filter(|list| !list.is_nothing()) else { return };
    match list.sort() {
        Sort::Array => list.elements().for_each(|element| items.push(make(element))),
        Sort::Object => items.push(make(list)),
        Sort::Text | Sort::Number | Sort::Bool | Sort::Null => {
            items.push(scope.unknown("not_an_array", list.raw().as_bytes()));
        }
    }
}

/// A thread that another application holds: an object with lists and contacts of its own.
fn read_standby(scope: &Scope<'_>, standby: Value<'_, '_>, items: &mut Items, rest: &mut Rest) {
    lists(scope, standby, &Card::read_all(standby.get("contacts")), items);
    let mut inner = Rest::default();
    inner.take(standby, &["messages", "statuses", "message_echoes"]);
    if inner.matters {
        rest.add("\"standby\"", &inner.object());
    } else if !standby.is_object() && !standby.is_nothing() {
        rest.add("\"standby\"", standby.raw());
    }
}

/// The conversations of the months before, in chunks of threads. A chunk without a thread says
/// something else, such as that the store keeps its history to itself.
fn read_history(scope: &Scope<'_>, history: Value<'_, '_>, items: &mut Items, rest: &mut Rest) {
    let mut left = Vec::new();
    for chunk in history.elements().chain(history.is_object().then_some(history)) {
        let mut others = Rest::default();
        others.take(chunk, &["threads"]);
        match chunk.get("threads").filter(|threads| threads.sort() == Sort::Array && !threads.is_nothing()) {
            Some(threads) => threads.elements().for_each(|thread| read_thread(scope, thread, items)),
            None => left.push(chunk.raw().to_owned()),
        }
        if chunk.get("threads").is_some() && others.matters {
            left.push(others.object());
        }
    }
    if !left.is_empty() {
        rest.add("\"history\"", &format!("[{}]", left.join(",")));
    } else if !matches!(history.sort(), Sort::Array | Sort::Object) && !history.is_nothing() {
        rest.add("\"history\"", history.raw());
    }
}

fn read_thread(scope: &Scope<'_>, thread: Value<'_, '_>, items: &mut Items) {
    let before = items.len();
    let mut cards: Vec<_> = thread.get("context").map(Card::read).into_iter().collect();
    cards.extend(Card::of_thread(thread));
    for_each(scope, thread.get("messages"), items, |message| {
        item::message(scope, &cards, message, Sender::Thread)
    });
    if items.len() == before {
        items.push(scope.unknown("no_messages", thread.raw().as_bytes()));
    }
}

/// What stands in an object beside its items.
#[derive(Default)]
struct Rest {
    /// `"key":value` pairs as they came, with commas between.
    members: String,
    /// Something that holds other things is worth a record: errors, an unknown list, or an object
    /// such as `standby` once was. Single words are additions to the items, and are left out where
    /// there is nothing else.
    matters: bool,
}

impl Rest {
    /// Gathers the members that say something, but for `taken` and those that are about others.
    fn take(&mut self, object: Value<'_, '_>, taken: &[&str]) {
        let about = ["messaging_product", "metadata", "contacts"];
        for (key, value) in object.members().filter(|(_, value)| !value.is_nothing()) {
            if !key.is_one_of(taken) && !key.is_one_of(&about) {
                let holds = matches!(value.sort(), Sort::Array | Sort::Object) || key.is_text("errors");
                // A summary that comes along with the messages of a handover.
                self.matters |= holds && !key.is_text("conversation_context");
                self.push(key.raw(), value.raw());
            }
        }
    }

    /// Adds a member that is worth a record.
    fn add(&mut self, key: &str, value: &str) {
        self.matters = true;
        self.push(key, value);
    }

    fn push(&mut self, key: &str, value: &str) {
        if !self.members.is_empty() {
            self.members.push(',');
        }
        self.members.extend([key, ":", value]);
    }

    fn object(&self) -> String {
        format!("{{{}}}", self.members)
    }
}
