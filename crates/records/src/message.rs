//! A message as `data.message` shows it: what can be read, and null for the rest.
//!
//! The parts are found by the objects that are there and not by `type` alone: two of Meta's own
//! samples lack it, and a type of next year may still carry a text or a picture.

use crate::envelope::DEPTH_MAX;
use crate::item;
use crate::json::{Doc, Out, Sort, Value};
use crate::status::as_given;

/// The most items of an order that are shown; the rest is in `raw`. Without a bound a body of 4 MiB
/// could grow to an event of 150.
const ORDER_ITEMS_MAX: usize = 1_000;

/// The types that name the object they come with.
const TYPES: [&str; 14] = [
    "text",
    "image",
    "audio",
    "video",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "order",
    "reaction",
    "system",
    "edit",
];

/// The kinds of media, by the members that hold them; the first that is there counts.
const MEDIA: [&str; 5] = ["image", "audio", "video", "document", "sticker"];

/// Writes `data.message` of an element of `messages` or `message_echoes` whose id is known.
pub(crate) fn write(out: &mut Out, id: &str, message: Value<'_, '_>) {
    let message = item::inner(message);
    let [kind, edit, revoke, own_context, referral, system] =
        message.get_each(["type", "edit", "revoke", "context", "referral", "system"]);
    // The new form of an edited message stands one level down.
    let edit = edit.or(revoke);
    let content = edit.and_then(|edit| edit.get("message")).unwrap_or(message);
    let [text, location, contacts, button, interactive, reaction, order, given_context] = content.get_each([
        "text",
        "location",
        "contacts",
        "button",
        "interactive",
        "reaction",
        "order",
        "context",
    ]);

    out.raw(r#"{"id":"#).text(id).raw(r#","type":"#);
    if kind.is_some_and(Value::is_word) {
        out.text_of(kind);
    } else {
        match TYPES.into_iter().find(|name| holding(message.get(name)).is_some()) {
            Some(name) => _ = out.word(name),
            None => out.null(),
        }
    }
    out.raw(r#","text":"#);
    out.text_of(text.and_then(|text| if text.is_object() { text.get("body") } else { Some(text) }));
    write_media(out.raw(r#","media":"#), content);
    write_part(out.raw(r#","location":"#), location, write_location);
    as_given(out.raw(r#","contacts":"#), contacts);
    write_reply(out.raw(r#","reply":"#), holding(button), holding(interactive));
    write_part(out.raw(r#","reaction":"#), reaction, write_reaction);
    write_part(out.raw(r#","order":"#), order, write_order);
    write_part(out.raw(r#","context":"#), holding(given_context).or(own_context), write_context);
    as_given(out.raw(r#","referral":"#), referral);
    // Of an edit or a revoke: the wamid of the message that it is about.
    let original = edit.and_then(|edit| edit.get("original_message_id")).filter(|id| id.is_word());
    if original.is_some() {
        out.raw(r#","original_message_id":"#).text_of(original);
    }
    // Of a system message: what changed about the person.
    if let Some(system) = holding(system) {
        write_system(out.raw(r#","system":"#), system);
    }
    out.raw("}");
}

/// A member that is an object or a list with something in it.
fn holding<'d, 'a>(member: Option<Value<'d, 'a>>) -> Option<Value<'d, 'a>> {
    member.filter(|value| matches!(value.sort(), Sort::Object | Sort::Array) && !value.is_nothing())
}

/// Writes a part where it holds something, else null.
fn write_part<'d, 'a>(
    out: &mut Out,
    part: Option<Value<'d, 'a>>,
    write: impl FnOnce(&mut Out, Value<'d, 'a>),
) {
    match holding(part) {
        Some(part) => write(out, part),
        None => out.null(),
    }
}

fn write_media(out: &mut Out, content: Value<'_, '_>) {
    let found = MEDIA.into_iter().zip(content.get_each(MEDIA));
    let Some((kind, media)) = found.into_iter().find_map(|(kind, media)| Some((kind, holding(media)?)))
    else {
        return out.null();
    };
    let [id, mime_type, sha256, filename, caption, voice, animated] =
        media.get_each(["id", "mime_type", "sha256", "filename", "caption", "voice", "animated"]);
    out.raw(r#"{"kind":"#).word(kind);
    out.raw(r#","id":"#).text_of(id);
    out.raw(r#","mime_type":"#).text_of(mime_type);
    out.raw(r#","sha256":"#).text_of(sha256);
    out.raw(r#","filename":"#).text_of(filename);
    out.raw(r#","caption":"#).text_of(caption);
    out.raw(r#","voice":"#).truth_of(voice);
    out.raw(r#","animated":"#).truth_of(animated);
    // Where the box keeps the bytes. WhatsApp's own address is good for five minutes, and only with
    // the store's token, so it is no use to a reader.
    out.raw(r#","href":null}"#);
}

fn write_location(out: &mut Out, location: Value<'_, '_>) {
    let [latitude, longitude, name, address, url] =
        location.get_each(["latitude", "longitude", "name", "address", "url"]);
    out.raw(r#"{"latitude":"#).number_of(latitude);
    out.raw(r#","longitude":"#).number_of(longitude);
    out.raw(r#","name":"#).text_of(name);
    out.raw(r#","address":"#).text_of(address);
    out.raw(r#","url":"#).text_of(url).raw("}");
}

fn write_reply(out: &mut Out, button: Option<Value<'_, '_>>, interactive: Option<Value<'_, '_>>) {
    if let Some(button) = button {
        let [payload, text] = button.get_each(["payload", "text"]);
        out.raw(r#"{"kind":"template_button","id":"#).text_of(payload);
        out.raw(r#","title":"#).text_of(text).raw(r#","description":null,"data":null}"#);
        return;
    }
    let Some(interactive) = interactive else { return out.null() };
    let [flow, button, list] = interactive.get_each(["nfm_reply", "button_reply", "list_reply"]);
    if let Some(flow) = holding(flow) {
        let [body, response] = flow.get_each(["body", "response_json"]);
        out.raw(r#"{"kind":"flow","id":null,"title":"#).text_of(body).raw(r#","description":null,"data":"#);
        write_flow_data(out, response);
        out.raw("}");
        return;
    }
    let (kind, reply) = match (holding(button), holding(list)) {
        (Some(button), _) => ("button", button),
        (None, Some(list)) => ("list", list),
        (None, None) => return out.null(),
    };
    let [id, title, description] = reply.get_each(["id", "title", "description"]);
    out.raw(r#"{"kind":"#).word(kind);
    out.raw(r#","id":"#).text_of(id);
    out.raw(r#","title":"#).text_of(title);
    out.raw(r#","description":"#).text_of(description).raw(r#","data":null}"#);
}

/// The answers of a flow come as JSON inside a text: an object is unpacked, anything else stays
/// the text that it is.
fn write_flow_data(out: &mut Out, response: Option<Value<'_, '_>>) {
    let packed = response.filter(|response| response.sort() == Sort::Text).and_then(Value::text);
    let doc = packed.as_deref().and_then(Doc::parse);
    let unpacked = doc.as_ref().map(Doc::root);
    match unpacked.filter(|root| root.is_object() && root.height() <= DEPTH_MAX) {
        Some(unpacked) => _ = out.raw(unpacked.raw()),
        None => as_given(out, response),
    }
}

fn write_reaction(out: &mut Out, reaction: Value<'_, '_>) {
    // The misspelling is Meta's own.
    let [message_id, misspelt, emoji] = reaction.get_each(["message_id", "messsage_id", "emoji"]);
    out.raw(r#"{"message_id":"#).text_of(first_word([message_id, misspelt]));
    out.raw(r#","emoji":"#).text_of(emoji).raw("}");
}

/// The first that says something.
fn first_word<'d, 'a, const N: usize>(values: [Option<Value<'d, 'a>>; N]) -> Option<Value<'d, 'a>> {
    values.into_iter().flatten().find(|value| value.is_word())
}

fn write_order(out: &mut Out, order: Value<'_, '_>) {
    let [catalog_id, text, items] = order.get_each(["catalog_id", "text", "product_items"]);
    out.raw(r#"{"catalog_id":"#).text_of(catalog_id);
    out.raw(r#","text":"#).text_of(text).raw(r#","items":["#);
    let items = items.into_iter().flat_map(Value::elements).take(ORDER_ITEMS_MAX);
    for (place, item) in items.enumerate() {
        let [id, quantity, price, currency] =
            item.get_each(["product_retailer_id", "quantity", "item_price", "currency"]);
        out.raw(if place == 0 { "" } else { "," });
        out.raw(r#"{"product_retailer_id":"#).text_of(id);
        out.raw(r#","quantity":"#).number_of(quantity);
        out.raw(r#","item_price":"#).number_of(price);
        out.raw(r#","currency":"#).text_of(currency).raw("}");
    }
    out.raw("]}");
}

fn write_context(out: &mut Out, context: Value<'_, '_>) {
    let [id, message_id, from, forwarded, often, product] = context.get_each([
        "id",
        "message_id",
        "from",
        "forwarded",
        "frequently_forwarded",
        "referred_product",
    ]);
    let message_id = first_word([id, message_id]);
    let from = from.filter(|from| from.is_word());
    let forwarded = forwarded.and_then(Value::truth).unwrap_or_default();
    let often = often.and_then(Value::truth).unwrap_or_default();
    let product = holding(product);
    if message_id.is_none() && from.is_none() && product.is_none() && !forwarded && !often {
        return out.null();
    }
    out.raw(r#"{"message_id":"#).text_of(message_id);
    out.raw(r#","from":"#).text_of(from);
    out.raw(r#","forwarded":"#).truth(forwarded);
    out.raw(r#","frequently_forwarded":"#).truth(often).raw(r#","product":"#);
    match product {
        Some(product) => {
            let [catalog_id, id] = product.get_each(["catalog_id", "product_retailer_id"]);
            out.raw(r#"{"catalog_id":"#).text_of(catalog_id);
            out.raw(r#","product_retailer_id":"#).text_of(id).raw("}}");
        }
        None => _ = out.raw("null}"),
    }
}

fn write_system(out: &mut Out, system: Value<'_, '_>) {
    let [kind, body, wa_id, new_wa_id] = system.get_each(["type", "body", "wa_id", "new_wa_id"]);
    let [user_id, parent, previous, previous_parent] =
        system.get_each(["user_id", "parent_user_id", "previous_user_id", "previous_parent_user_id"]);
    out.raw(r#"{"type":"#).text_of(kind);
    out.raw(r#","body":"#).text_of(body);
    out.raw(r#","wa_id":"#).text_of(first_word([wa_id, new_wa_id]));
    out.raw(r#","user_id":"#).text_of(user_id);
    out.raw(r#","parent_user_id":"#).text_of(parent);
    out.raw(r#","previous_user_id":"#).text_of(previous);
    out.raw(r#","previous_parent_user_id":"#).text_of(previous_parent).raw("}");
}
