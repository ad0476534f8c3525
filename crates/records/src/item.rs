//! A message or a status, understood just far enough to have an identity and a lane.

use model::{Item, Kind};

use crate::id;
use crate::identity::{self, Card, Person, label, usable_id};
use crate::json::Value;
use crate::scope::Scope;
use crate::status;
use crate::time::instant;

/// Who wrote the messages of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The list holds what customers wrote.
    Customer,
    /// The list holds what the store wrote with its app, or another application wrote for it.
    Store,
    /// The list holds both; `from` tells.
    Either,
    /// The same, and the first of the cards names the customer of them all.
    Thread,
}

/// Reads an element of a list of messages.
pub(crate) fn message(scope: &Scope, cards: &[Card], message: Value<'_, '_>, sender: Sender) -> Item {
    let id = match identify(message) {
        Ok(id) => id,
        Err(reason) => return scope.unknown(reason, message.raw().as_bytes()),
    };
    let from = Person::read(message, &["from"], &["from_user_id"], &["from_parent_user_id"]);
    let from_store = match sender {
        Sender::Customer => false,
        Sender::Store => true,
        Sender::Either | Sender::Thread => from.phone.as_deref().is_some_and(|digits| scope.is_own(digits)),
    };
    let kind = if from_store { Kind::MessageEcho } else { Kind::MessageReceived };
    let mut item = scope.item(kind, id, message.raw());
    item.time = message.get("timestamp").and_then(instant);
    item.group = label(message, "group_id");
    let thread = cards.first().filter(|_| sender == Sender::Thread).map(Card::person);
    item.contact = if from_store {
        let customer = recipient(scope, message, from, &mut item.group);
        identity::contact(&customer.or(thread), cards, &[]).filter(|_| item.group.is_none())
    } else {
        let same = declared_same(message);
        let from = from.or(same.first().cloned()).or(thread);
        identity::contact(&from, cards, &same)
    };
    item
}

/// The id of an item, or why it has none that can be used.
fn identify(message: Value<'_, '_>) -> Result<String, &'static str> {
    if message.is_object() { usable_id(message, "id").ok_or("no_id") } else { Err("not_an_object") }
}

/// The customer whom a message of the store went to; a group, where it went to one.
fn recipient(scope: &Scope, message: Value<'_, '_>, from: Person, group: &mut Option<String>) -> Person {
    let message = inner(message);
    if message.get("recipient_type").is_some_and(|kind| kind.is_text("group")) && group.is_none() {
        *group = label(message, "to");
    }
    let to = Person::read(message, &["to"], &["to_user_id"], &["to_parent_user_id"]);
    let is_own = |person: &Person| person.phone.as_deref().is_some_and(|digits| scope.is_own(digits));
    // Some senders turn the two sides around: the customer is the one that isn't the store.
    if is_own(&to) && !from.is_nobody() && !is_own(&from) { from } else { to }
}

/// The message itself: an echo of a standby thread wraps it once more.
pub(crate) fn inner<'d, 'a>(message: Value<'d, 'a>) -> Value<'d, 'a> {
    let wrapped = message.get("message").filter(|inner| inner.is_object());
    wrapped.filter(|_| message.get("type").is_none()).unwrap_or(message)
}

/// The persons whom WhatsApp declares to be the author: after a change of number or user id the
/// new and the old self, the new one first; or the phone that a user hands over when asked for it.
fn declared_same(message: Value<'_, '_>) -> Vec<Person> {
    if let Some(system) = message.get("system") {
        let says_changed = |kind: Value<'_, '_>| kind.text().is_some_and(|kind| kind.contains("changed"));
        if !system.get("type").is_some_and(says_changed) {
            return Vec::new();
        }
        let new = Person::read(system, &["wa_id"], &["user_id"], &["parent_user_id"]);
        let other = Person::read(system, &["new_wa_id"], &[], &[]);
        let old = Person::read(system, &["customer"], &["previous_user_id"], &["previous_parent_user_id"]);
        return [new, other, old].into_iter().filter(|person| !person.is_nobody()).collect();
    }
    handed_over(message).into_iter().collect()
}

/// The phone in the one card that answers a request for contact information.
fn handed_over(message: Value<'_, '_>) -> Option<Person> {
    let only = |list: Value<'_, '_>| {
        let mut elements = list.elements();
        elements.next().filter(|_| elements.next().is_none()).map(Value::raw).is_some()
    };
    let cards = message.get("contacts").filter(|cards| only(*cards))?;
    let card = cards.elements().next()?;
    let phones = card.get("phones").filter(|phones| only(*phones))?;
    let asked = card.get("origin").is_some_and(|origin| origin.is_text("contact_request"));
    let person = Person::read(phones.elements().next()?, &["wa_id"], &[], &[]);
    (asked && person.phone.is_some()).then_some(person)
}

/// Reads an element of a list of statuses.
pub(crate) fn status(scope: &Scope, cards: &[Card], status: Value<'_, '_>) -> Item {
    let wamid = match status::message_id(status) {
        Some(wamid) => wamid,
        None => {
            let reason = if status.is_object() { "no_id" } else { "not_an_object" };
            return scope.unknown(reason, status.raw().as_bytes());
        }
    };
    let word = status.get("status").and_then(Value::text).unwrap_or_default();
    // Two statuses without a word are the same only if all of them is.
    let word = if word.is_empty() { id::of_bytes(status.raw().as_bytes()).into() } else { word };
    let participant = Person::read(
        status,
        &["recipient_participant_id", "participant_recipient_id"],
        &["recipient_participant_user_id"],
        &["recipient_participant_parent_user_id"],
    );
    let in_group =
        status.get("recipient_type").is_some_and(|kind| kind.is_text("group")) || !participant.is_nobody();
    let recipient = if in_group {
        participant
    } else {
        Person::read(
            status,
            &["recipient_id", "from"],
            &["recipient_user_id"],
            &["recipient_parent_user_id", "parent_recipient_user_id"],
        )
    };
    let mut parts = vec![&*word];
    let transaction = status.path(&["payment", "transaction", "id"]).and_then(Value::text);
    if status.get("type").is_some_and(|kind| kind.is_text("payment")) {
        parts.push("payment");
        parts.extend(transaction.as_deref());
    } else if in_group {
        parts.extend(recipient.user_id.as_deref().or(recipient.phone.as_deref()));
    }
    let mut item = scope.item(Kind::MessageStatus, id::composed(&wamid, &parts), status.raw());
    item.time = status.get("timestamp").and_then(instant);
    item.group = if in_group { label(status, "recipient_id") } else { None };
    item.contact = identity::contact(&recipient, cards, &[]);
    item
}
