//! Templates, of which Meta has the text and the request the values.

use super::fault::Faults;
use super::look::Look;
use super::{media, plain};

/// The most characters of a template's name.
const NAME_MAX: usize = 512;
/// The most characters of a value. Meta bounds the whole text that it goes into, which it alone knows.
const VALUE_MAX: usize = 4_096;
/// More components, parameters and cards than any template has.
const COMPONENTS_MAX: usize = 32;
const PARAMETERS_MAX: usize = 128;
const CARDS_MAX: usize = 10;
/// Buttons of a template are numbered from 0 to 9.
const BUTTONS_MAX: u8 = 10;
/// Spaces in a row.
const SPACES_MAX: usize = 4;

const COMPONENTS: [&str; 10] = [
    "header",
    "body",
    "footer",
    "button",
    "carousel",
    "limited_time_offer",
    "order_status",
    "order_details",
    "tap_target_configuration",
    "call_permission_request",
];

const PARAMETERS: [&str; 15] = [
    "text",
    "currency",
    "date_time",
    "image",
    "video",
    "document",
    "location",
    "payload",
    "coupon_code",
    "limited_time_offer",
    "action",
    "product",
    "order_status",
    "tap_target_configuration",
    "ttl_minutes",
];

const BUTTONS: [&str; 10] = [
    "quick_reply",
    "url",
    "copy_code",
    "flow",
    "catalog",
    "mpm",
    "spm",
    "voice_call",
    "phone_number",
    "order_details",
];

/// Checks `template`.
pub(super) fn check(template: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(name) = template.text("name", NAME_MAX, "the template's name", faults)
        && !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    {
        faults.add(
            &template.place.member("name"),
            "is no template's name: only a to z, 0 to 9 and _ stand in them",
        );
    }
    if let Some(language) = template.object("language", "an object with the `code`", faults)
        && let Some(code) = language.text("code", plain::LABEL_MAX, "such as \"en_US\"", faults)
        && !is_language(&code)
    {
        faults.add(&language.place.member("code"), "is no language; \"en\" or \"en_US\" is expected");
    }
    components(template, true, faults);
}

/// `en`, `fil`, `en_US`, `zh_HK`.
fn is_language(code: &str) -> bool {
    let (language, country) = code.split_once(['_', '-']).map_or((code, None), |(one, two)| (one, Some(two)));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&language.len())
        && letters(language)
        && country.is_none_or(|country| (2..=4).contains(&country.len()) && letters(country))
}

/// Checks the components of a template, or of one card of its carousel.
fn components(part: &Look<'_, '_, '_>, may_hold_cards: bool, faults: &mut Faults) {
    let Some(list) = part.member("components") else { return };
    for component in list.list(0..=COMPONENTS_MAX, "components", faults) {
        let Some(component) = component.is_object(faults) else { continue };
        let Some(kind) = component.required("type", &COMPONENTS[..5].join(", "), faults) else { continue };
        let Some(word) = kind.words(plain::LABEL_MAX, faults).map(|word| word.to_ascii_lowercase()) else {
            continue;
        };
        kind.mistyped(&word, &COMPONENTS, faults);
        match word.as_str() {
            "button" => button(&component, faults),
            "carousel" if may_hold_cards => cards(&component, faults),
            "carousel" => faults.add(&kind.place, "isn't allowed inside a card"),
            _ => {}
        }
        if let Some(parameters) = component.member("parameters") {
            for parameter in parameters.list(0..=PARAMETERS_MAX, "parameters", faults) {
                check_parameter(&parameter, faults);
            }
        }
    }
}

fn cards(component: &Look<'_, '_, '_>, faults: &mut Faults) {
    let Some(cards) = component.required("cards", "1 to 10 cards", faults) else { return };
    for card in cards.list(1..=CARDS_MAX, "cards", faults) {
        let Some(card) = card.is_object(faults) else { continue };
        index(&card, "card_index", faults);
        components(&card, false, faults);
    }
}

fn button(button: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(kind) = button.required("sub_type", &BUTTONS[..6].join(", "), faults)
        && let Some(word) = kind.words(plain::LABEL_MAX, faults)
    {
        kind.mistyped(&word.to_ascii_lowercase(), &BUTTONS, faults);
    }
    index(button, "index", faults);
}

/// A place from 0, as a number or in quotes.
fn index(part: &Look<'_, '_, '_>, name: &str, faults: &mut Faults) {
    let Some(index) = part.required(name, "its place, from 0", faults) else { return };
    let number = index.value.text().and_then(|digits| digits.parse::<u8>().ok());
    if number.is_none_or(|number| number >= BUTTONS_MAX) {
        faults.add(&index.place, "is no place from 0 to 9");
    }
}

fn check_parameter(parameter: &Look<'_, '_, '_>, faults: &mut Faults) {
    let Some(parameter) = parameter.is_object(faults) else { return };
    let Some(kind) = parameter.required("type", &PARAMETERS[..12].join(", "), faults) else { return };
    let Some(word) = kind.words(plain::LABEL_MAX, faults).map(|word| word.to_ascii_lowercase()) else {
        return;
    };
    kind.mistyped(&word, &PARAMETERS, faults);
    parameter.maybe_text("parameter_name", plain::LABEL_MAX, faults);
    let object = |what, faults: &mut Faults| parameter.object(&word, what, faults).is_some();
    match word.as_str() {
        "text" | "payload" | "coupon_code" => value(&parameter, &word, faults),
        "image" | "video" | "document" => {
            if let Some(media) = parameter.object(&word, "its `id` or `link`", faults) {
                media::source(&media, faults);
            }
        }
        "location" => {
            if let Some(location) = parameter.object(&word, "`latitude` and `longitude`", faults) {
                plain::location(&location, faults);
            }
        }
        "currency" => currency(&parameter, faults),
        "date_time" => {
            if let Some(date) = parameter.object(&word, "an object with the `fallback_value`", faults) {
                value(&date, "fallback_value", faults);
            }
        }
        "limited_time_offer" => {
            if let Some(offer) = parameter.object(&word, "an object with `expiration_time_ms`", faults)
                && let Some(end) = offer.required("expiration_time_ms", "when the offer ends", faults)
                && end.value.number().is_none()
            {
                faults.add(&end.place, "is no number of milliseconds since 1970");
            }
        }
        "product" => {
            if let Some(product) = parameter.object(&word, "`product_retailer_id` and `catalog_id`", faults) {
                product.text("product_retailer_id", plain::LABEL_MAX, "the product", faults);
            }
        }
        "action" => _ = object("what the button does", faults),
        _ => {}
    }
}

fn currency(parameter: &Look<'_, '_, '_>, faults: &mut Faults) {
    let what = "`fallback_value`, `code` and `amount_1000`";
    let Some(currency) = parameter.object("currency", what, faults) else { return };
    value(&currency, "fallback_value", faults);
    if let Some(code) = currency.text("code", plain::LABEL_MAX, "such as \"USD\"", faults)
        && !(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        faults.add(
            &currency.place.member("code"),
            "is no currency; three capital letters of ISO 4217 are expected",
        );
    }
    if let Some(amount) = currency.required("amount_1000", "a thousand times the amount", faults)
        && amount.value.number().is_none_or(|number| number.parse::<i64>().is_err())
    {
        faults.add(&amount.place, "is no whole number");
    }
}

/// A text that goes into the template's own.
fn value(part: &Look<'_, '_, '_>, name: &str, faults: &mut Faults) {
    let Some(text) = part.text(name, VALUE_MAX, "the value", faults) else { return };
    let spaces = " ".repeat(SPACES_MAX + 1);
    if text.contains(['\n', '\r', '\t']) || text.contains(&spaces) {
        let detail =
            "holds a line break, a tab or more than four spaces in a row, which Meta refuses in a value";
        faults.add(&part.place.member(name), detail);
    }
}
