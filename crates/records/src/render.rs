//! The record as a CloudEvents 1.0 event in JSON, in the order of the contract's example.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Contact, Item, Kind, Record, WallTime};
use serde::Serialize;

use crate::envelope::DEPTH_MAX;
use crate::json::text::Verbatim;
use crate::json::{Doc, Value};
use crate::message::Message;
use crate::numbers::Numbers;
use crate::status::Status;

/// Renders the record as a CloudEvents 1.0 event in JSON.
///
/// Total: parts that can't be read are null. `data.raw` is the item's piece of the payload to the
/// byte (so it may hold line breaks, duplicate keys and lone surrogates); where it isn't JSON, or
/// nests deeper than most readers go, it is null and `data.bytes` or `data.bytes_base64` has it.
#[must_use]
pub fn render(record: &Record, numbers: &Numbers) -> Vec<u8> {
    let text = std::str::from_utf8(&record.item.raw).ok();
    let doc = text.and_then(Doc::parse);
    let nothing = Doc::parse("{}").expect("an empty object is JSON");
    let event = Event::new(
        record,
        numbers,
        &Piece { text, root: doc.as_ref().map(Doc::root), nothing: nothing.root() },
    );
    serde_json::to_vec(&event).expect("its maps have text keys only, and memory takes all bytes")
}

/// The item's piece of the payload, as far as it can be read.
struct Piece<'d, 'a> {
    text: Option<&'a str>,
    root: Option<Value<'d, 'a>>,
    /// Stands in for a root that can't be read.
    nothing: Value<'d, 'a>,
}

impl<'d, 'a> Piece<'d, 'a> {
    fn content(&self) -> Value<'d, 'a> {
        self.root.unwrap_or(self.nothing)
    }

    /// The whole of it, where it can be handed on.
    fn shown(&self) -> Option<&'a str> {
        self.root.filter(|root| root.height() <= DEPTH_MAX).map(Value::raw)
    }
}

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    datacontenttype: &'static str,
    sequence: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    received_at: String,
    account: Account<'a>,
    contact: Option<Person<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Both a value that isn't there and one that says null.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<Verbatim<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_base64: Option<String>,
    group: Option<Group<'a>>,
    tags: [&'a str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    raw: Option<Verbatim<'a>>,
}

#[derive(Serialize)]
struct Account<'a> {
    waba_id: Option<&'a str>,
    phone_number_id: Option<&'a str>,
    phone: Option<&'a str>,
    configured: bool,
}

#[derive(Serialize)]
struct Person<'a> {
    id: &'a str,
    phone: Option<&'a str>,
    wa_id: Option<&'a str>,
    user_id: Option<&'a str>,
    username: Option<&'a str>,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Group<'a> {
    id: &'a str,
}

impl<'a> Event<'a> {
    fn new(record: &'a Record, numbers: &'a Numbers, piece: &Piece<'_, 'a>) -> Self {
        let item = &record.item;
        Self {
            specversion: "1.0",
            id: &item.id,
            source: &item.source,
            kind: item.kind.event_type(),
            subject: item.contact.as_ref().and_then(subject),
            time: item.time.map_or_else(|| record.received_at.rfc3339_millis(), happened),
            datacontenttype: "application/json",
            sequence: record.sequence.to_string(),
            data: Data::new(record, numbers, piece),
        }
    }
}

impl<'a> Data<'a> {
    fn new(record: &'a Record, numbers: &'a Numbers, piece: &Piece<'_, 'a>) -> Self {
        let item = &record.item;
        let raw = piece.shown().map(Verbatim::exact);
        let as_bytes = raw.is_none() || item.kind == Kind::Unknown;
        let is_event = item.kind == Kind::AccountEvent;
        Self {
            received_at: record.received_at.rfc3339_millis(),
            account: account(item, numbers),
            contact: item.contact.as_ref().map(|contact| person(record, contact)),
            message: message(item, piece.content()),
            status: (item.kind == Kind::MessageStatus).then(|| Status::read(piece.content())),
            field: is_event.then_some(&item.field),
            value: is_event.then(|| piece.shown().map(Verbatim::cleaned)),
            reason: (item.kind == Kind::Unknown).then_some(&item.reason),
            bytes: piece.text.filter(|_| as_bytes),
            bytes_base64: (as_bytes && piece.text.is_none()).then(|| STANDARD.encode(&item.raw)),
            group: item.group.as_deref().map(|id| Group { id }),
            tags: [],
            via: item.via.map(model::Via::as_str),
            replayed: record.replayed,
            raw,
        }
    }
}

/// `+` and the digits, else the user id.
fn subject(contact: &Contact) -> Option<&str> {
    contact.phone.as_deref().or(contact.user_id.as_deref()).or(contact.parent_user_id.as_deref())
}

/// WhatsApp tells time in seconds; a reseller that tells more is believed.
fn happened(time: WallTime) -> String {
    if time.0 % 1_000 == 0 { time.rfc3339_seconds() } else { time.rfc3339_millis() }
}

fn account<'a>(item: &'a Item, numbers: &'a Numbers) -> Account<'a> {
    let account = &item.account;
    let configured = numbers.find(account);
    Account {
        waba_id: account.waba_id.as_deref(),
        phone_number_id: account.phone_number_id.as_deref(),
        phone: account.phone.as_deref().or(configured.filter(|phone| !phone.is_empty())),
        configured: configured.is_some(),
    }
}

fn person<'a>(record: &'a Record, contact: &'a Contact) -> Person<'a> {
    Person {
        id: record.contact_id.as_ref().map_or("", model::ContactId::as_str),
        phone: contact.phone.as_deref(),
        wa_id: contact.wa_id.as_deref(),
        user_id: contact.user_id.as_deref(),
        username: contact.username.as_deref(),
        name: contact.name.as_deref(),
    }
}

fn message<'a>(item: &'a Item, content: Value<'_, 'a>) -> Option<Message<'a>> {
    match item.kind {
        Kind::MessageReceived | Kind::MessageSent | Kind::MessageEcho => {
            Some(Message::read(&item.id, content))
        }
        Kind::MessageStatus | Kind::AccountEvent | Kind::Unknown => None,
    }
}
