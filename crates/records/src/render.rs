//! The record as a CloudEvents 1.0 event in JSON, in the order of the contract's example.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Contact, Item, Kind, Record};

use crate::envelope::DEPTH_MAX;
use crate::json::{Doc, Out, Value};
use crate::numbers::Numbers;
use crate::{identity, message, status};

/// What an event takes beside the pieces of its payload: fixed words, ids, names, times.
const FRAME_BYTES: usize = 1_024;

/// Renders the record as a CloudEvents 1.0 event in JSON.
///
/// Total: parts that can't be read are null. `data.raw` is the item's piece of the payload to the
/// byte (so it may hold line breaks, duplicate keys and lone surrogates); where it isn't JSON, or
/// nests deeper than most readers go, it is null and `data.bytes` or `data.bytes_base64` has it.
#[must_use]
pub fn render(record: &Record, numbers: &Numbers) -> Vec<u8> {
    let item = &record.item;
    let text = std::str::from_utf8(&item.raw).ok();
    let doc = text.and_then(Doc::parse);
    let root = doc.as_ref().map(Doc::root);
    // The whole of it, where it can be handed on.
    let shown = root.filter(|root| root.height() <= DEPTH_MAX);

    // The payload, and once more what is read from it, which is rarely more than half.
    let mut out = Out::with_capacity(FRAME_BYTES + item.raw.len() + item.raw.len() / 2);
    write_attributes(&mut out, record);
    out.raw(r#","data":{"received_at":""#);
    record.received_at.push_rfc3339_millis(out.bytes());
    write_account(out.raw(r#"","account":"#), item, numbers);
    out.raw(r#","contact":"#);
    match &item.contact {
        Some(contact) => write_contact(&mut out, record, contact),
        None => out.null(),
    }
    write_content(&mut out, item, root);
    match item.kind {
        Kind::AccountEvent => {
            out.raw(r#","field":"#).text(&item.field).raw(r#","value":"#);
            match shown {
                Some(value) => _ = out.cleaned(value),
                None => out.null(),
            }
        }
        Kind::Unknown => _ = out.raw(r#","reason":"#).text(&item.reason),
        Kind::MessageReceived
        | Kind::MessageSent
        | Kind::MessageEcho
        | Kind::MessageStatus
        | Kind::MessageUnread
        | Kind::EndpointChanged => {}
    }
    if shown.is_none() || item.kind == Kind::Unknown {
        match text {
            Some(text) => out.raw(r#","bytes":"#).text(text),
            None => out.raw(r#","bytes_base64":"#).text(&STANDARD.encode(&item.raw)),
        };
    }
    match &item.group {
        Some(id) => out.raw(r#","group":{"id":"#).text(id).raw(r#"},"tags":[]"#),
        None => out.raw(r#","group":null,"tags":[]"#),
    };
    if let Some(via) = item.via {
        out.raw(r#","via":"#).word(via.as_str());
    }
    if record.replayed {
        out.raw(r#","replayed":true"#);
    }
    out.raw(r#","raw":"#).raw(shown.map_or("null", Value::raw)).raw("}}");
    out.finish()
}

/// Writes what CloudEvents itself defines, up to `data`.
fn write_attributes(out: &mut Out, record: &Record) {
    let item = &record.item;
    out.raw(r#"{"specversion":"1.0","id":"#).text(&item.id);
    out.raw(r#","source":"#).text(&item.source);
    out.raw(r#","type":"#).word(item.kind.event_type());
    if let Some(subject) = item.contact.as_ref().and_then(subject) {
        out.raw(r#","subject":"#).text(subject);
    }
    out.raw(r#","time":""#);
    match item.time {
        // WhatsApp tells time in seconds; a reseller that tells more is believed.
        Some(time) => time.push_rfc3339(out.bytes()),
        None => record.received_at.push_rfc3339_millis(out.bytes()),
    }
    out.raw(r#"","datacontenttype":"application/json","sequence":""#);
    out.bytes().extend_from_slice(&record.sequence.digits());
    out.raw(r#"""#);
}

/// `+` and the digits, else the user id.
fn subject(contact: &Contact) -> Option<&str> {
    contact.phone.as_deref().or(contact.user_id.as_deref()).or(contact.parent_user_id.as_deref())
}

fn write_account(out: &mut Out, item: &Item, numbers: &Numbers) {
    let account = &item.account;
    let configured = numbers.find(account);
    let phone = account.phone.as_deref().or(configured.filter(|phone| !phone.is_empty()));
    out.raw(r#"{"waba_id":"#).maybe_text(account.waba_id.as_deref());
    out.raw(r#","phone_number_id":"#).maybe_text(account.phone_number_id.as_deref());
    out.raw(r#","phone":"#).maybe_text(phone);
    out.raw(r#","configured":"#).truth(configured.is_some()).raw("}");
}

fn write_contact(out: &mut Out, record: &Record, contact: &Contact) {
    out.raw(r#"{"id":"#).text(record.contact_id.as_ref().map_or("", model::ContactId::as_str));
    out.raw(r#","phone":"#).maybe_text(contact.phone.as_deref());
    out.raw(r#","wa_id":"#).maybe_text(contact.wa_id.as_deref());
    out.raw(r#","user_id":"#).maybe_text(contact.user_id.as_deref());
    out.raw(r#","username":"#).maybe_text(contact.username.as_deref());
    out.raw(r#","name":"#).maybe_text(contact.name.as_deref()).raw("}");
}

/// Writes the message or the status, as far as the item's piece of the payload can be read.
fn write_content(out: &mut Out, item: &Item, root: Option<Value<'_, '_>>) {
    let nothing;
    let content = match root {
        Some(root) => root,
        None => {
            nothing = Doc::nothing();
            nothing.root()
        }
    };
    match item.kind {
        Kind::MessageReceived | Kind::MessageEcho => {
            message::write(out.raw(r#","message":"#), &item.id, content);
        }
        Kind::MessageSent => {
            // The record has the box's id, the message that of WhatsApp.
            let [wamid, how] = content.get_each(["id", "sent"]);
            let wamid = identity::usable(wamid);
            message::write(out.raw(r#","message":"#), wamid.as_deref().unwrap_or(&item.id), content);
            status::as_given(out.raw(r#","sent":"#), how);
        }
        Kind::MessageUnread => status::as_given(out.raw(r#","unread":"#), Some(content)),
        Kind::EndpointChanged => status::as_given(out.raw(r#","endpoint":"#), Some(content)),
        Kind::MessageStatus => status::write(out.raw(r#","status":"#), content),
        Kind::AccountEvent | Kind::Unknown => {}
    }
}
