//! The form of template messages. Which templates exist isn't known here: any name is one.

use serde_json::Value;

use super::message::{invalid, media, missing, need};
use super::refusal::Refusal;

/// Cards of a carousel.
const CARDS: std::ops::RangeInclusive<usize> = 1..=10;

pub(super) fn check(object: &Value) -> Result<(), Refusal> {
    need(object, "template.", "name", 512)?;
    let language = object.get("language").ok_or_else(|| missing("template.language"))?;
    need(language, "template.language.", "code", 16)?;
    object.get("components").map_or(Ok(()), components)
}

fn components(list: &Value) -> Result<(), Refusal> {
    let list = list.as_array().ok_or_else(|| invalid("template.components", "is not a list"))?;
    list.iter().try_for_each(component)
}

fn component(component: &Value) -> Result<(), Refusal> {
    match need(component, "template.components.", "type", 64)?.to_ascii_lowercase().as_str() {
        "header" | "body" | "footer" | "limited_time_offer" => {}
        "button" => {
            need(component, "template.components.", "sub_type", 64)?;
            // A number, or a text that holds one.
            let index = component.get("index").ok_or_else(|| missing("template.components.index"))?;
            let read = index.as_u64().or_else(|| index.as_str()?.parse().ok());
            if read.is_none() {
                return Err(invalid("template.components.index", "is not a number"));
            }
        }
        "carousel" => {
            let cards = component["cards"].as_array().ok_or_else(|| missing("template.components.cards"))?;
            if !CARDS.contains(&cards.len()) {
                return Err(invalid("template.components.cards", "has not 1 to 10 entries"));
            }
            for card in cards {
                let inner = card.get("components");
                components(inner.ok_or_else(|| missing("template.components.cards.components"))?)?;
            }
            return Ok(());
        }
        _ => return Err(invalid("template.components.type", "is unknown")),
    }
    match component.get("parameters") {
        None => Ok(()),
        Some(Value::Array(parameters)) => parameters.iter().try_for_each(parameter),
        Some(_) => Err(invalid("template.components.parameters", "is not a list")),
    }
}

fn parameter(parameter: &Value) -> Result<(), Refusal> {
    const PATH: &str = "template.components.parameters.";
    let kind = need(parameter, PATH, "type", 64)?;
    match kind {
        "text" => {
            let text = need(parameter, PATH, "text", usize::MAX)?;
            if text.contains(['\n', '\t']) || text.contains("     ") {
                let why = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
                return Err(Refusal::because(132_018, why));
            }
            Ok(())
        }
        "image" | "video" | "document" => media(kind, parameter.get(kind).ok_or_else(|| missing(kind))?),
        "payload" | "coupon_code" => need(parameter, PATH, kind, 256).map(drop),
        "currency" | "date_time" | "location" | "limited_time_offer" | "action" | "product" => {
            parameter[kind].as_object().map(drop).ok_or_else(|| missing(&format!("{PATH}{kind}")))
        }
        _ => Err(invalid(&format!("{PATH}type"), "is unknown")),
    }
}

/// Meta's category of a template: here its name tells, as no catalogue is kept.
pub(super) fn category(name: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["marketing", "promo", "sale", "offer", "campaign"]) {
        "marketing"
    } else if has(&["auth", "otp", "code"]) {
        "authentication"
    } else {
        "utility"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(components: &Value) -> Option<i64> {
        let object = json!({ "name": "order", "language": { "code": "en" }, "components": components });
        check(&object).err().map(|refusal| refusal.code.unwrap())
    }

    #[test]
    fn components_of_every_kind_are_taken() {
        let body = json!({ "type": "body", "parameters": [{ "type": "text", "text": "Ann" },
            { "type": "currency", "currency": { "fallback_value": "$1", "code": "USD", "amount_1000": 1000 } }] });
        let header = json!({ "type": "HEADER", "parameters": [{ "type": "image", "image": { "id": "1" } }] });
        let button = json!({ "type": "button", "sub_type": "quick_reply", "index": "0",
            "parameters": [{ "type": "payload", "payload": "yes" }] });
        let carousel = json!({ "type": "carousel", "cards": [{ "card_index": 0, "components": [header] }] });
        assert_eq!(with(&json!([header, body, button, carousel])), None);
        assert_eq!(check(&json!({ "name": "a", "language": { "code": "en" } })), Ok(()));
    }

    #[test]
    fn wrong_forms_are_refused() {
        for (components, code) in [
            (json!("body"), 131_009),
            (json!([{}]), 131_008),
            (json!([{ "type": "tail" }]), 131_009),
            (json!([{ "type": "button", "sub_type": "url" }]), 131_008),
            (json!([{ "type": "button", "sub_type": "url", "index": "x" }]), 131_009),
            (json!([{ "type": "body", "parameters": [{ "text": "a" }] }]), 131_008),
            (json!([{ "type": "body", "parameters": [{ "type": "text" }] }]), 131_008),
            (json!([{ "type": "body", "parameters": [{ "type": "text", "text": "a\nb" }] }]), 132_018),
            (json!([{ "type": "header", "parameters": [{ "type": "image", "image": {} }] }]), 100),
            (json!([{ "type": "carousel", "cards": [{}] }]), 131_008),
        ] {
            assert_eq!(with(&components), Some(code), "{components}");
        }
        assert_eq!(check(&json!({ "language": { "code": "en" } })).unwrap_err().code, Some(131_008));
        assert_eq!(check(&json!({ "name": "a", "language": {} })).unwrap_err().code, Some(131_008));
    }

    #[test]
    fn a_name_tells_the_category() {
        assert_eq!(
            ["promo_may", "otp_login", "order_sent"].map(category),
            ["marketing", "authentication", "utility"]
        );
    }
}
