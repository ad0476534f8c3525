//! What a record means for sending: windows that open, statuses, limits, restrictions, wishes.
//!
//! Only what Meta signed counts, and only what came the ordinary way: records of a standby thread or of the
//! history trigger nothing, and neither does what the box itself made. What isn't known for sure opens
//! no window: a reply that waits can be sent as a template, one outside the window is refused.

mod account;
mod status;

use model::{Fact, Item, Kind, Record, Says, WallTime};

use crate::item;
use crate::json::{Doc, Value};
use crate::numbers::Numbers;

/// What a record says: one fact at least, [`Says::Nothing`] where it says nothing; an account event may
/// say several things.
///
/// Total and cheap: it reads the item's own piece of the payload once. `numbers` tell which of them an
/// event is about that names a phone only. [`Fact::number`] is a `phone_number_id`; the phone, with its
/// `+`, where it isn't configured; `None` where the whole account is meant.
#[must_use]
pub fn facts(record: &Record, numbers: &Numbers) -> Vec<Fact> {
    let item = &record.item;
    let is_ordinary = item.via.is_none();
    let says_something = match item.kind {
        Kind::MessageReceived => is_ordinary && item.group.is_none(),
        Kind::MessageStatus => is_ordinary,
        Kind::AccountEvent => account::is_of_interest(&item.field),
        Kind::MessageSent
        | Kind::MessageEcho
        | Kind::Unknown
        | Kind::MessageUnread
        | Kind::EndpointChanged => false,
    };
    if says_something && let Some(doc) = std::str::from_utf8(&item.raw).ok().and_then(Doc::parse) {
        let root = doc.root();
        let said = match item.kind {
            Kind::MessageReceived => received(item, root),
            Kind::MessageStatus => status::read(item, root),
            Kind::AccountEvent => return account::read(record, root, numbers),
            Kind::MessageSent
            | Kind::MessageEcho
            | Kind::Unknown
            | Kind::MessageUnread
            | Kind::EndpointChanged => None,
        };
        return vec![fact(record, numbers, said.unwrap_or(Says::Nothing))];
    }
    vec![fact(record, numbers, Says::Nothing)]
}

/// A fact with what the record says of itself.
fn fact(record: &Record, numbers: &Numbers, says: Says) -> Fact {
    Fact {
        sequence: record.sequence,
        at: signed_time(&record.item),
        number: number(&record.item, numbers),
        contact: record.contact_id.as_ref().and_then(model::ContactId::to_bits),
        says,
    }
}

/// The time, where it is Meta's own: the box's records have that of the box.
const fn signed_time(item: &Item) -> Option<WallTime> {
    match item.kind {
        Kind::MessageSent | Kind::MessageUnread | Kind::EndpointChanged | Kind::Unknown => None,
        Kind::MessageReceived | Kind::MessageStatus | Kind::MessageEcho | Kind::AccountEvent => item.time,
    }
}

/// The number that an item is about.
fn number(item: &Item, numbers: &Numbers) -> Option<String> {
    let account = &item.account;
    match (&account.phone_number_id, &account.phone) {
        (Some(id), _) => Some(id.clone()),
        (None, Some(phone)) => Some(numbers.id_of(phone).unwrap_or(phone).to_owned()),
        (None, None) => None,
    }
}

/// A customer's message opens the window, but for what is no message: a reaction, what was changed or taken
/// back, news of the system, and a chat that was opened without a word. What nobody understands was written by
/// somebody.
fn received(item: &Item, message: Value<'_, '_>) -> Option<Says> {
    let [kind, reaction, system, edit, revoke, unsupported] =
        item::inner(message).get_each(["type", "reaction", "system", "edit", "revoke", "unsupported"]);
    let silent = ["reaction", "system", "edit", "revoke", "pin", "request_welcome"];
    let is_silent = |kind: Option<Value<'_, '_>>| kind.is_some_and(|kind| kind.is_one_of(&silent));
    let is_unnamed = kind.is_none() && [reaction, system, edit, revoke].iter().any(Option::is_some);
    // WhatsApp says which unsupported thing it was, perhaps.
    let inner = unsupported.and_then(|unsupported| unsupported.get("type"));
    let opens = !is_silent(kind) && !is_silent(inner) && !is_unnamed;
    opens.then(|| Says::Inbound { wamid: item.id.clone() })
}
