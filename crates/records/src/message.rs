//! A message as `data.message` shows it: what can be read, and null for the rest.
//!
//! The parts are found by the objects that are there and not by `type` alone: two of Meta's own
//! samples lack it, and a type of next year may still carry a text or a picture.

use std::borrow::Cow;

use serde::Serialize;

use crate::item;
use crate::json::text::Verbatim;
use crate::json::{Doc, Sort, Value};
use crate::status::as_given;

type Text<'a> = Option<Cow<'a, str>>;

/// `data.message`.
#[derive(Serialize)]
pub(crate) struct Message<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: Text<'a>,
    text: Text<'a>,
    media: Option<Media<'a>>,
    location: Option<Location<'a>>,
    contacts: Option<Verbatim<'a>>,
    reply: Option<Reply<'a>>,
    reaction: Option<Reaction<'a>>,
    order: Option<Order<'a>>,
    context: Option<Context<'a>>,
    referral: Option<Verbatim<'a>>,
    /// Of an edit or a revoke: the wamid of the message that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    original_message_id: Text<'a>,
    /// Of a system message: what changed about the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<System<'a>>,
}

#[derive(Serialize)]
struct Media<'a> {
    kind: &'static str,
    id: Text<'a>,
    mime_type: Text<'a>,
    sha256: Text<'a>,
    filename: Text<'a>,
    caption: Text<'a>,
    voice: Option<bool>,
    animated: Option<bool>,
    /// Where the box keeps the bytes. WhatsApp's own address is good for five minutes, and only
    /// with the store's token, so it is no use to a reader.
    href: Text<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    latitude: Option<Verbatim<'a>>,
    longitude: Option<Verbatim<'a>>,
    name: Text<'a>,
    address: Text<'a>,
    url: Text<'a>,
}

#[derive(Serialize)]
struct Reply<'a> {
    kind: &'static str,
    id: Text<'a>,
    title: Text<'a>,
    description: Text<'a>,
    data: Option<Verbatim<'a>>,
}

#[derive(Serialize)]
struct Reaction<'a> {
    message_id: Text<'a>,
    emoji: Text<'a>,
}

#[derive(Serialize)]
struct Order<'a> {
    catalog_id: Text<'a>,
    text: Text<'a>,
    items: Vec<OrderItem<'a>>,
}

#[derive(Serialize)]
struct OrderItem<'a> {
    product_retailer_id: Text<'a>,
    quantity: Option<Verbatim<'a>>,
    item_price: Option<Verbatim<'a>>,
    currency: Text<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    message_id: Text<'a>,
    from: Text<'a>,
    forwarded: bool,
    frequently_forwarded: bool,
    product: Option<Product<'a>>,
}

#[derive(Serialize)]
struct Product<'a> {
    catalog_id: Text<'a>,
    product_retailer_id: Text<'a>,
}

#[derive(Serialize)]
struct System<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    body: Text<'a>,
    wa_id: Text<'a>,
    user_id: Text<'a>,
    parent_user_id: Text<'a>,
    previous_user_id: Text<'a>,
    previous_parent_user_id: Text<'a>,
}

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

impl<'a> Message<'a> {
    /// Reads an element of `messages` or `message_echoes` whose id is known.
    pub(crate) fn read(id: &'a str, message: Value<'_, 'a>) -> Self {
        let message = item::inner(message);
        // The new form of an edited message stands one level down.
        let edit = message.get("edit").or_else(|| message.get("revoke"));
        let content = edit.and_then(|edit| edit.get("message")).unwrap_or(message);
        let inferred = || TYPES.into_iter().find(|name| object(message, name).is_some()).map(Cow::Borrowed);
        Self {
            id,
            kind: text(message, "type").or_else(inferred),
            text: content
                .get("text")
                .and_then(|part| if part.is_object() { text(part, "body") } else { part.text() }),
            media: media(content),
            location: object(content, "location").map(location),
            contacts: as_given(content, "contacts"),
            reply: reply(content),
            reaction: object(content, "reaction").map(reaction),
            order: object(content, "order").map(order),
            context: object(content, "context").or_else(|| object(message, "context")).and_then(context),
            referral: as_given(message, "referral"),
            original_message_id: edit.and_then(|edit| text(edit, "original_message_id")),
            system: object(message, "system").map(system),
        }
    }
}

fn text<'a>(object: Value<'_, 'a>, key: &str) -> Text<'a> {
    object.get(key)?.text()
}

fn number<'a>(object: Value<'_, 'a>, key: &str) -> Option<Verbatim<'a>> {
    object.get(key)?.number().map(Verbatim::exact)
}

fn truth(object: Value<'_, '_>, key: &str) -> Option<bool> {
    object.get(key)?.truth()
}

/// A member that is an object or a list with something in it.
fn object<'d, 'a>(object: Value<'d, 'a>, key: &str) -> Option<Value<'d, 'a>> {
    let value = object.get(key)?;
    (matches!(value.sort(), Sort::Object | Sort::Array) && !value.is_nothing()).then_some(value)
}

fn media<'a>(content: Value<'_, 'a>) -> Option<Media<'a>> {
    let kinds = ["image", "audio", "video", "document", "sticker"];
    let (kind, media) = kinds.into_iter().find_map(|kind| Some((kind, object(content, kind)?)))?;
    Some(Media {
        kind,
        id: text(media, "id"),
        mime_type: text(media, "mime_type"),
        sha256: text(media, "sha256"),
        filename: text(media, "filename"),
        caption: text(media, "caption"),
        voice: truth(media, "voice"),
        animated: truth(media, "animated"),
        href: None,
    })
}

fn location<'a>(location: Value<'_, 'a>) -> Location<'a> {
    Location {
        latitude: number(location, "latitude"),
        longitude: number(location, "longitude"),
        name: text(location, "name"),
        address: text(location, "address"),
        url: text(location, "url"),
    }
}

fn reply<'a>(content: Value<'_, 'a>) -> Option<Reply<'a>> {
    if let Some(button) = object(content, "button") {
        let (id, title) = (text(button, "payload"), text(button, "text"));
        return Some(Reply { kind: "template_button", id, title, description: None, data: None });
    }
    let interactive = object(content, "interactive")?;
    if let Some(flow) = object(interactive, "nfm_reply") {
        let data = flow.get("response_json").and_then(flow_data);
        return Some(Reply { kind: "flow", id: None, title: text(flow, "body"), description: None, data });
    }
    let kinds = [("button", "button_reply"), ("list", "list_reply")];
    let (kind, reply) = kinds.into_iter().find_map(|(kind, key)| Some((kind, object(interactive, key)?)))?;
    Some(Reply {
        kind,
        id: text(reply, "id"),
        title: text(reply, "title"),
        description: text(reply, "description"),
        data: None,
    })
}

/// The answers of a flow come as JSON inside a text: an object is unpacked, anything else stays
/// the text that it is.
fn flow_data<'a>(response: Value<'_, 'a>) -> Option<Verbatim<'a>> {
    if response.sort() != Sort::Text {
        return (response.height() <= crate::envelope::DEPTH_MAX).then(|| Verbatim::cleaned(response.raw()));
    }
    let packed = response.text()?;
    let unpacked = Doc::parse(&packed).is_some_and(|doc| {
        let root = doc.root();
        root.is_object() && root.height() <= crate::envelope::DEPTH_MAX
    });
    if unpacked { Some(Verbatim::made(packed.into_owned())) } else { Some(Verbatim::cleaned(response.raw())) }
}

fn reaction<'a>(reaction: Value<'_, 'a>) -> Reaction<'a> {
    // The misspelling is Meta's own.
    let message_id = text(reaction, "message_id").or_else(|| text(reaction, "messsage_id"));
    Reaction { message_id, emoji: text(reaction, "emoji") }
}

fn order<'a>(order: Value<'_, 'a>) -> Order<'a> {
    let items = order.get("product_items").into_iter().flat_map(Value::elements).take(ORDER_ITEMS_MAX);
    Order {
        catalog_id: text(order, "catalog_id"),
        text: text(order, "text"),
        items: items
            .map(|item| OrderItem {
                product_retailer_id: text(item, "product_retailer_id"),
                quantity: number(item, "quantity"),
                item_price: number(item, "item_price"),
                currency: text(item, "currency"),
            })
            .collect(),
    }
}

fn context<'a>(context: Value<'_, 'a>) -> Option<Context<'a>> {
    let product = object(context, "referred_product");
    let read = Context {
        message_id: text(context, "id").or_else(|| text(context, "message_id")),
        from: text(context, "from"),
        forwarded: truth(context, "forwarded").unwrap_or_default(),
        frequently_forwarded: truth(context, "frequently_forwarded").unwrap_or_default(),
        product: product.map(|product| Product {
            catalog_id: text(product, "catalog_id"),
            product_retailer_id: text(product, "product_retailer_id"),
        }),
    };
    let says = read.message_id.is_some() || read.from.is_some() || read.product.is_some();
    (says || read.forwarded || read.frequently_forwarded).then_some(read)
}

fn system<'a>(system: Value<'_, 'a>) -> System<'a> {
    System {
        kind: text(system, "type"),
        body: text(system, "body"),
        wa_id: text(system, "wa_id").or_else(|| text(system, "new_wa_id")),
        user_id: text(system, "user_id"),
        parent_user_id: text(system, "parent_user_id"),
        previous_user_id: text(system, "previous_user_id"),
        previous_parent_user_id: text(system, "previous_parent_user_id"),
    }
}
