//! The records that the box itself makes: a message that it sent, a message that stays unread, a way out that it
//! left for another.
//!
//! Their raw piece is written here in the form in which Meta's pieces come, so that one renderer shows them
//! all: the body of the call as it was sent, with the id that WhatsApp gave the message, and how it was sent.

use model::{Account, Address, Contact, Item, Kind, OutboxId, Priority, UserIdField, WallTime};

use crate::identity::{self, Person};
use crate::json::{Doc, Out};
use crate::outgoing;
use crate::phone;

/// What the members around a message take, without its ids and names.
const FRAME_BYTES: usize = 400;

/// A message that Graph has taken.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The number that sent it.
    pub account: &'a Account,
    /// Whom it went to, see [`recipient`].
    pub contact: &'a Contact,
    /// What the box calls it.
    pub outbox_id: OutboxId,
    /// What WhatsApp calls it; `None` where the answer had no id.
    pub wamid: Option<&'a str>,
    /// The address that was written on it.
    pub to: &'a Address,
    /// The payload of the [`outgoing::Part`] that went out: that of the fall-back, where it was used.
    pub payload: &'a str,
    /// Its priority.
    pub priority: Priority,
    /// The configured name of the endpoint that took it.
    pub endpoint: &'a str,
    /// Whether the window had closed, so that the fall-back went out.
    pub fallback_used: bool,
    /// Calls that it took, this one included.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: WallTime,
    /// When Graph took it.
    pub accepted_at: WallTime,
}

/// A message that was delivered and isn't read.
#[derive(Debug, Clone, Copy)]
pub struct Unread<'a> {
    /// The number that sent it.
    pub account: &'a Account,
    /// Whom it went to, see [`recipient`].
    pub contact: &'a Contact,
    /// What the box calls it.
    pub outbox_id: OutboxId,
    /// What WhatsApp calls it.
    pub wamid: &'a str,
    /// When it was sent.
    pub sent_at: WallTime,
    /// When it arrived; `None` if nothing was heard of that.
    pub delivered_at: Option<WallTime>,
    /// When it had been unread for long enough.
    pub noticed_at: WallTime,
}

/// A group of endpoints that goes by another one.
#[derive(Debug, Clone, Copy)]
pub struct EndpointChanged<'a> {
    /// The number whose group it is; `None` for the CRM's.
    pub account: Option<&'a Account>,
    /// The group: `crm`, or `whatsapp/{phone_number_id}`.
    pub group: &'a str,
    /// The configured name of the endpoint that was left; `None` where none had been chosen.
    pub from: Option<&'a str>,
    /// The configured name of the one that is used from now on.
    pub to: &'a str,
    /// Why, in a few words.
    pub reason: &'a str,
    /// When it was changed, by the box's clock.
    pub at: WallTime,
}

/// The person whom a message goes to, with every name by which the store finds the lane: the address, and what
/// Graph's answer tells of it. Where WhatsApp writes the number in another way, both stand there.
#[must_use]
pub fn recipient(to: &Address, wa_id: Option<&str>, user_id: Option<&str>) -> Contact {
    let digits = |text: &str| phone::digits(text).map(|digits| digits.to_owned().into());
    let id = |text: &str| identity::is_usable(text).then(|| text.to_owned().into());
    let answer =
        Person { phone: wa_id.and_then(digits), user_id: user_id.and_then(id), parent_user_id: None };
    let mut person = match to {
        Address::Phone(phone) => {
            Person { phone: digits(phone), user_id: answer.user_id.clone(), parent_user_id: None }
        }
        Address::UserId(own) if identity::is_parent_id(own) => {
            Person { phone: None, user_id: answer.user_id.clone(), parent_user_id: id(own) }
        }
        Address::UserId(own) => Person { phone: None, user_id: id(own), parent_user_id: None },
    };
    if person.phone.is_none() {
        person.phone.clone_from(&answer.phone);
    }
    let wa_id = answer.phone.as_deref().map(str::to_owned);
    let nameless = || Contact { aliases: identity::aliases_of(to), ..Contact::default() };
    let contact = identity::contact(&person, &[], &[answer]).unwrap_or_else(nameless);
    Contact { wa_id: wa_id.or(contact.wa_id), ..contact }
}

/// The item of `wagate.message.sent.v1`: its id is the outbox id, `data.message.id` the wamid.
#[must_use]
pub fn sent_item(sent: &Sent<'_>) -> Item {
    let outbox_id = sent.outbox_id.to_string();
    let doc = Doc::parse(sent.payload);
    let template = doc.as_ref().and_then(|doc| doc.root().path(&["template", "name"]));
    let mut out = Out::with_capacity(FRAME_BYTES + sent.payload.len());
    out.raw(r#"{"id":"#).text(sent.wamid.unwrap_or(&outbox_id));
    out.raw(r#","sent":{"outbox_id":"#).text(&outbox_id);
    out.raw(r#","priority":"#).word(sent.priority.as_str());
    out.raw(r#","endpoint":"#).text(sent.endpoint);
    out.raw(r#","template":"#).text_of(template);
    out.raw(r#","fallback_used":"#).truth(sent.fallback_used);
    out.raw(r#","attempts":"#).raw(&sent.attempts.to_string());
    out.raw(r#","queued_at":"#).text(&sent.queued_at.rfc3339_millis());
    out.raw(r#","accepted_at":"#).text(&sent.accepted_at.rfc3339_millis()).raw("},");
    let mut raw = out.finish();
    // The members of the body, behind ours; the same whatever an endpoint wants a user id called.
    let body = outgoing::envelope(sent.payload, sent.to, sent.outbox_id, UserIdField::Recipient);
    raw.extend_from_slice(&body[1..]);
    item(Kind::MessageSent, outbox_id, sent.account, Some(sent.contact), sent.accepted_at, raw)
}

/// The item of `wagate.message.unread.v1`: its id is `{wamid}:unread`.
#[must_use]
pub fn unread_item(unread: &Unread<'_>) -> Item {
    let mut out = Out::with_capacity(FRAME_BYTES);
    out.raw(r#"{"message_id":"#).text(unread.wamid);
    out.raw(r#","outbox_id":"#).text(&unread.outbox_id.to_string());
    out.raw(r#","sent_at":"#).text(&unread.sent_at.rfc3339_millis());
    out.raw(r#","delivered_at":"#).maybe_text(unread.delivered_at.map(WallTime::rfc3339_millis).as_deref());
    out.raw(r#","priority":"lower"}"#);
    let id = format!("{}:unread", unread.wamid);
    item(Kind::MessageUnread, id, unread.account, Some(unread.contact), unread.noticed_at, out.finish())
}

/// The item of `wagate.endpoint.changed.v1`: its id is `endpoint:{group}:{milliseconds since 1970}`, and it has no
/// contact, so that its lane is the account's.
#[must_use]
pub fn endpoint_changed_item(changed: &EndpointChanged<'_>) -> Item {
    let mut out = Out::with_capacity(FRAME_BYTES);
    out.raw(r#"{"group":"#).text(changed.group);
    out.raw(r#","from":"#).maybe_text(changed.from);
    out.raw(r#","to":"#).text(changed.to);
    out.raw(r#","reason":"#).text(changed.reason);
    out.raw(r#","at":"#).text(&changed.at.rfc3339_millis()).raw("}");
    let id = format!("endpoint:{}:{}", changed.group, changed.at.0);
    let nobody = Account::default();
    item(Kind::EndpointChanged, id, changed.account.unwrap_or(&nobody), None, changed.at, out.finish())
}

fn item(
    kind: Kind,
    id: String,
    account: &Account,
    contact: Option<&Contact>,
    time: WallTime,
    raw: Vec<u8>,
) -> Item {
    let number = account.phone_number_id.as_deref().or(account.waba_id.as_deref());
    Item {
        kind,
        source: number.map_or_else(|| "/wagate".to_owned(), |number| format!("/wagate/{number}")),
        id,
        time: Some(time),
        account: account.clone(),
        contact: contact.cloned(),
        group: None,
        via: None,
        field: String::new(),
        reason: String::new(),
        raw,
    }
}
