//! Messages with buttons, lists, products and flows.

use super::fault::Faults;
use super::look::Look;
use super::{media, plain};

/// The most characters of a body; that of a list may be longer.
const BODY_MAX: usize = 1_024;
const LIST_BODY_MAX: usize = 4_096;
/// The most characters of a header's text, and of a footer.
const LINE_MAX: usize = 60;
/// Reply buttons: how many, and the most characters of their titles and ids.
const BUTTONS_MAX: usize = 3;
const BUTTON_TITLE_MAX: usize = 20;
const BUTTON_ID_MAX: usize = 256;
/// Lists: how many sections, how many rows in all of them, and the most characters of their parts.
const SECTIONS_MAX: usize = 10;
const ROWS_MAX: usize = 10;
const ROW_ID_MAX: usize = 200;
const ROW_TITLE_MAX: usize = 24;
const ROW_DESCRIPTION_MAX: usize = 72;
/// Products in all sections of a `product_list`.
const PRODUCTS_MAX: usize = 30;
/// Cards of a carousel.
const CARDS: std::ops::RangeInclusive<usize> = 2..=10;

/// What may stand above the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// Nothing.
    None,
    /// A text.
    Text,
    /// A text, without which Meta refuses the message.
    Needed,
    /// A text, an image, a video or a document.
    Any,
}

/// Checks `interactive`. A type that isn't known is for Meta to judge: it adds some every year.
pub(super) fn check(interactive: &Look<'_, '_, '_>, faults: &mut Faults) {
    let Some(kind) =
        interactive.text("type", plain::LABEL_MAX, "\"button\", \"list\", \"cta_url\", ...", faults)
    else {
        return;
    };
    let (header, body, needs_body) = match &*kind {
        "button" | "cta_url" | "flow" => (Header::Any, BODY_MAX, true),
        "list" => (Header::Text, LIST_BODY_MAX, true),
        "product" => (Header::None, BODY_MAX, false),
        "product_list" => (Header::Needed, BODY_MAX, true),
        "catalog_message" | "carousel" | "location_request_message" | "address_message" => {
            (Header::None, BODY_MAX, true)
        }
        "request_contact_info" => (Header::None, BODY_MAX, true),
        "call_permission_request" => (Header::None, BODY_MAX, false),
        _ => return,
    };
    frame(interactive, header, body, needs_body, faults);
    let Some(action) = interactive.object("action", "what the customer can do", faults) else { return };
    match &*kind {
        "button" => buttons(&action, faults),
        "list" => list(&action, faults),
        "cta_url" => cta_url(&action, faults),
        "flow" => flow(&action, faults),
        "product" => {
            catalog(&action, faults);
            action.text("product_retailer_id", plain::LABEL_MAX, "the product", faults);
        }
        "product_list" => products(&action, faults),
        "carousel" => carousel(&action, faults),
        "location_request_message" => named(&action, "send_location", faults),
        "address_message" => {
            named(&action, "address_message", faults);
            if let Some(parameters) = action.object("parameters", "the `country` of the address", faults) {
                parameters.text("country", plain::LABEL_MAX, "the country of the address", faults);
            }
        }
        // catalog_message, call_permission_request, request_contact_info: the action is named like the type.
        other => named(&action, other, faults),
    }
}

/// Header, body and footer.
fn frame(part: &Look<'_, '_, '_>, header: Header, body_max: usize, needs_body: bool, faults: &mut Faults) {
    match (part.member("header"), header) {
        (Some(look), Header::None) => faults.add(&look.place, "isn't allowed with this type"),
        (Some(look), _) => check_header(&look, header == Header::Any, faults),
        (None, Header::Needed) => {
            faults.add(&part.place.member("header"), "is missing: a text above the products");
        }
        (None, _) => {}
    }
    let body = if needs_body {
        part.object("body", "an object with the `text`", faults)
    } else {
        part.member("body")
    };
    if let Some(body) = body.and_then(|body| body.is_object(faults)) {
        body.text("text", body_max, "the words of the message", faults);
    }
    if let Some(footer) = part.member("footer").and_then(|footer| footer.is_object(faults)) {
        footer.text("text", LINE_MAX, "the words of the footer", faults);
    }
}

fn check_header(header: &Look<'_, '_, '_>, media_too: bool, faults: &mut Faults) {
    let Some(header) = header.is_object(faults) else { return };
    let known: &[&str] = if media_too { &["text", "image", "video", "document"] } else { &["text"] };
    let Some(kind) = header.required("type", &known.join(", "), faults) else { return };
    let Some(word) = kind.words(plain::LABEL_MAX, faults).filter(|word| kind.one_of(word, known, faults))
    else {
        return;
    };
    if word == "text" {
        header.text("text", LINE_MAX, "the words of the header", faults);
    } else if let Some(media) = header.object(&word, "its `id` or `link`", faults) {
        media::source(&media, faults);
    }
}

fn buttons(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    let Some(buttons) = action.required("buttons", "1 to 3 reply buttons", faults) else { return };
    for button in buttons.list(1..=BUTTONS_MAX, "buttons", faults) {
        let Some(button) = button.is_object(faults) else { continue };
        if let Some(kind) = button.required("type", "\"reply\"", faults)
            && !kind.value.is_text("reply")
        {
            faults.add(&kind.place, "isn't \"reply\", the only type of button here");
        }
        if let Some(reply) = button.object("reply", "`id` and `title`", faults) {
            reply.text("id", BUTTON_ID_MAX, "what comes back when it is pressed", faults);
            reply.text("title", BUTTON_TITLE_MAX, "what stands on it", faults);
        }
    }
}

fn list(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    action.text("button", BUTTON_TITLE_MAX, "what opens the list", faults);
    let Some(sections) = action.required("sections", "1 to 10 sections with rows", faults) else { return };
    let needs_title = sections.value.elements().count() > 1;
    let mut rows_in_all = 0;
    for section in sections.list(1..=SECTIONS_MAX, "sections", faults) {
        let Some(section) = section.is_object(faults) else { continue };
        titled(&section, needs_title, faults);
        let Some(rows) = section.required("rows", "the choices of the section", faults) else { continue };
        rows_in_all += rows.value.elements().count();
        for row in rows.list(1..=ROWS_MAX, "rows", faults) {
            let Some(row) = row.is_object(faults) else { continue };
            row.text("id", ROW_ID_MAX, "what comes back when it is chosen", faults);
            row.text("title", ROW_TITLE_MAX, "what stands on it", faults);
            row.maybe_text("description", ROW_DESCRIPTION_MAX, faults);
        }
    }
    if rows_in_all > ROWS_MAX {
        faults.add(&sections.place, format!("have {rows_in_all} rows in all; 10 are allowed"));
    }
}

/// A section's title, which may be missing where there is one section only.
fn titled(section: &Look<'_, '_, '_>, needs_title: bool, faults: &mut Faults) {
    if needs_title {
        section.text("title", ROW_TITLE_MAX, "where there are several sections, each needs one", faults);
    } else {
        section.maybe_text("title", ROW_TITLE_MAX, faults);
    }
}

fn cta_url(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    named(action, "cta_url", faults);
    let Some(parameters) = action.object("parameters", "`display_text` and `url`", faults) else { return };
    parameters.text("display_text", BUTTON_TITLE_MAX, "what stands on the button", faults);
    if let Some(url) = parameters.required("url", "where the button leads", faults) {
        url.link(faults);
    }
}

fn flow(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    named(action, "flow", faults);
    let Some(parameters) = action.object("parameters", "which flow", faults) else { return };
    if let Some(version) = parameters.required("flow_message_version", "\"3\"", faults)
        && version.value.text().is_none()
    {
        faults.add(&version.place, format!("is {}; \"3\" is expected", version.sort_name()));
    }
    match (parameters.member("flow_id"), parameters.member("flow_name")) {
        (Some(id), None) => _ = id.id(faults),
        (None, Some(name)) => _ = name.words(plain::LABEL_MAX, faults),
        (None, None) => {
            faults.add(&parameters.place, "says not which flow: `flow_id` or `flow_name` is missing");
        }
        (Some(_), Some(_)) => {
            faults.add(&parameters.place, "has both `flow_id` and `flow_name`; one of them is allowed");
        }
    }
    parameters.text("flow_cta", plain::LABEL_MAX, "what stands on the button", faults);
    for (name, known) in [("mode", ["draft", "published"]), ("flow_action", ["navigate", "data_exchange"])] {
        if let Some(look) = parameters.member(name)
            && let Some(word) = look.words(plain::LABEL_MAX, faults)
        {
            look.one_of(&word, &known, faults);
        }
    }
    if let Some(payload) = parameters.member("flow_action_payload") {
        payload.is_object(faults);
    }
}

fn catalog(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(id) = action.required("catalog_id", "the catalog", faults) {
        id.id(faults);
    }
}

fn products(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    catalog(action, faults);
    let Some(sections) = action.required("sections", "1 to 10 sections with products", faults) else {
        return;
    };
    let needs_title = sections.value.elements().count() > 1;
    let mut in_all = 0;
    for section in sections.list(1..=SECTIONS_MAX, "sections", faults) {
        let Some(section) = section.is_object(faults) else { continue };
        titled(&section, needs_title, faults);
        let Some(items) = section.required("product_items", "the products of the section", faults) else {
            continue;
        };
        in_all += items.value.elements().count();
        for item in items.list(1..=PRODUCTS_MAX, "products", faults) {
            if let Some(item) = item.is_object(faults) {
                item.text("product_retailer_id", plain::LABEL_MAX, "the product", faults);
            }
        }
    }
    if in_all > PRODUCTS_MAX {
        faults.add(&sections.place, format!("have {in_all} products in all; 30 are allowed"));
    }
}

fn carousel(action: &Look<'_, '_, '_>, faults: &mut Faults) {
    let Some(cards) = action.required("cards", "2 to 10 cards", faults) else { return };
    for card in cards.list(CARDS, "cards", faults) {
        let Some(card) = card.is_object(faults) else { continue };
        if let Some(index) = card.required("card_index", "the card's place, from 0", faults)
            && !index.value.number().is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        {
            faults.add(&index.place, "is no number from 0");
        }
        if let Some(header) = card.member("header") {
            check_header(&header, true, faults);
        }
        if let Some(body) = card.member("body").and_then(|body| body.is_object(faults)) {
            body.text("text", BODY_MAX, "the words of the card", faults);
        }
        card.object("action", "what the customer can do with the card", faults);
    }
}

/// An action whose name says again what the message is.
fn named(action: &Look<'_, '_, '_>, name: &str, faults: &mut Faults) {
    if let Some(given) = action.required("name", &format!("{name:?}"), faults)
        && !given.value.is_text(name)
    {
        faults.add(&given.place, format!("isn't {name:?}"));
    }
}
