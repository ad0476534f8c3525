//! A message or a status, understood just far enough to have an identity and a lane.

use model::{Item, Kind};

use crate::id;
use crate::identity::{self, Card, Person, label, usable};
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
pub(crate) fn message(scope: &Scope<'_>, cards: &[Card<'_>], message: Value<'_, '_>, sender: Sender) -> Item {
    let [id, from, user_id, parent, timestamp, group] =
        message.get_each(["id", "from", "from_user_id", "from_parent_user_id", "timestamp", "group_id"]);
    let Some(id) = usable(id) else {
        return scope.unknown(no_id(message), message.raw().as_bytes());
    };
    let from = Person::read([from], [user_id], [parent]);
    let from_store = match sender {
        Sender::Customer => false,
        Sender::Store => true,
        Sender::Either | Sender::Thread => from.phone.as_deref().is_some_and(|digits| scope.is_own(digits)),
    };
    let kind = if from_store { Kind::MessageEcho } else { Kind::MessageReceived };
    let mut item = scope.item(kind, id.into_owned(), message.raw());
    item.time = timestamp.and_then(instant);
    item.group = label(group).map(Into::into);
    let thread = cards.first().filter(|_| sender == Sender::Thread).map(Card::person).cloned();
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

/// Why an item has no id that can be used.
fn no_id(item: Value<'_, '_>) -> &'static str {
    if item.is_object() { "no_id" } else { "not_an_object" }
}

/// The customer whom a message of the store went to; a group, where it went to one.
fn recipient<'a>(
    scope: &Scope<'_>,
    message: Value<'_, 'a>,
    from: Person<'a>,
    group: &mut Option<String>,
) -> Person<'a> {
    let message = inner(message);
    let [kind, to, user_id, parent] =
        message.get_each(["recipient_type", "to", "to_user_id", "to_parent_user_id"]);
    if kind.is_some_and(|kind| kind.is_text("group")) && group.is_none() {
        *group = label(to).map(Into::into);
    }
    let to = Person::read([to], [user_id], [parent]);
    let is_own = |person: &Person<'_>| person.phone.as_deref().is_some_and(|digits| scope.is_own(digits));
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
fn declared_same<'a>(message: Value<'_, 'a>) -> Vec<Person<'a>> {
    let [system, contacts] = message.get_each(["system", "contacts"]);
    if let Some(system) = system {
        let says_changed = |kind: Value<'_, '_>| kind.text().is_some_and(|kind| kind.contains("changed"));
        if !system.get("type").is_some_and(says_changed) {
            return Vec::new();
        }
        let [wa_id, user_id, parent] = system.get_each(["wa_id", "user_id", "parent_user_id"]);
        let new = Person::read([wa_id], [user_id], [parent]);
        let other = Person::read([system.get("new_wa_id")], [], []);
        let [customer, user_id, parent] =
            system.get_each(["customer", "previous_user_id", "previous_parent_user_id"]);
        let old = Person::read([customer], [user_id], [parent]);
        return [new, other, old].into_iter().filter(|person| !person.is_nobody()).collect();
    }
    contacts.and_then(handed_over).into_iter().collect()
}

/// The phone in the one card that answers a request for contact information.
fn handed_over<'a>(cards: Value<'_, 'a>) -> Option<Person<'a>> {
    let only = |list: Value<'_, '_>| {
        let mut elements = list.elements();
        elements.next().filter(|_| elements.next().is_none()).map(Value::raw).is_some()
    };
    let card = cards.elements().next().filter(|_| only(cards))?;
    let phones = card.get("phones").filter(|phones| only(*phones))?;
    let asked = card.get("origin").is_some_and(|origin| origin.is_text("contact_request"));
    let person = Person::read([phones.elements().next()?.get("wa_id")], [], []);
    (asked && person.phone.is_some()).then_some(person)
}

/// Reads an element of a list of statuses.
pub(crate) fn status(scope: &Scope<'_>, cards: &[Card<'_>], status: Value<'_, '_>) -> Item {
    let Some(wamid) = status::message_id(status) else {
        return scope.unknown(no_id(status), status.raw().as_bytes());
    };
    let [word, sort, timestamp, recipient_type, recipient_id, payment] =
        status.get_each(["status", "type", "timestamp", "recipient_type", "recipient_id", "payment"]);
    let word = word.and_then(Value::text).unwrap_or_default();
    // Two statuses without a word are the same only if all of them is.
    let word = if word.is_empty() { id::of_bytes(status.raw().as_bytes()).into() } else { word };
    let [phone, other_phone, user_id, parent] = status.get_each([
        "recipient_participant_id",
        "participant_recipient_id",
        "recipient_participant_user_id",
        "recipient_participant_parent_user_id",
    ]);
    let participant = Person::read([phone, other_phone], [user_id], [parent]);
    let in_group = recipient_type.is_some_and(|kind| kind.is_text("group")) || !participant.is_nobody();
    let recipient = if in_group {
        participant
    } else {
        let [from, user_id, parent, other_parent] = status.get_each([
            "from",
            "recipient_user_id",
            "recipient_parent_user_id",
            "parent_recipient_user_id",
        ]);
        Person::read([recipient_id, from], [user_id], [parent, other_parent])
    };
    let transaction = payment.and_then(|payment| payment.path(&["transaction", "id"])).and_then(Value::text);
    let id = if sort.is_some_and(|sort| sort.is_text("payment")) {
        let parts = [&*word, "payment", transaction.as_deref().unwrap_or_default()];
        id::composed(&wamid, if transaction.is_some() { &parts } else { &parts[..2] })
    } else {
        let whom = recipient.user_id.as_deref().or(recipient.phone.as_deref()).filter(|_| in_group);
        let parts = [&*word, whom.unwrap_or_default()];
        id::composed(&wamid, if whom.is_some() { &parts } else { &parts[..1] })
    };
    let mut item = scope.item(Kind::MessageStatus, id, status.raw());
    item.time = timestamp.and_then(instant);
    item.group = label(recipient_id).filter(|_| in_group).map(Into::into);
    item.contact = identity::contact(&recipient, cards, &[]);
    item
}
