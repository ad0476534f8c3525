//! The form of interactive messages.

use serde_json::Value;

use super::message::{invalid, media, missing, need};
use super::refusal::Refusal;

/// Characters of the body of a list, and of any other.
const LIST_BODY_MAX: usize = 4_096;
const BODY_MAX: usize = 1_024;
/// Characters of a footer, and of a header in words.
const FOOTER_MAX: usize = 60;
/// Buttons of a message, and rows of a list in all.
const BUTTONS_MAX: usize = 3;
const ROWS_MAX: usize = 10;

pub(super) fn check(object: &Value) -> Result<(), Refusal> {
    let kind = need(object, "interactive.", "type", 64)?;
    let body_max = if kind == "list" { LIST_BODY_MAX } else { BODY_MAX };
    match object.get("body") {
        Some(body) => drop(need(body, "interactive.body.", "text", body_max)?),
        // These two speak for themselves.
        None if matches!(kind, "product" | "call_permission_request") => {}
        None => return Err(missing("interactive.body")),
    }
    if let Some(footer) = object.get("footer") {
        need(footer, "interactive.footer.", "text", FOOTER_MAX)?;
    }
    if let Some(header) = object.get("header") {
        match need(header, "interactive.header.", "type", 16)? {
            "text" => drop(need(header, "interactive.header.", "text", FOOTER_MAX)?),
            kind @ ("image" | "video" | "document") => {
                media(kind, header.get(kind).ok_or_else(|| missing("interactive.header"))?)?;
            }
            _ => return Err(invalid("interactive.header.type", "is not text, image, video or document")),
        }
    }
    let action = object.get("action").ok_or_else(|| missing("interactive.action"))?;
    match kind {
        "button" => buttons(action),
        "list" => list(action),
        "product" => need(action, "interactive.action.", "product_retailer_id", 256).map(drop),
        "product_list" => need(action, "interactive.action.", "catalog_id", 256).map(drop),
        "carousel" => action["cards"].as_array().map(drop).ok_or_else(|| missing("interactive.action.cards")),
        "cta_url"
        | "flow"
        | "location_request_message"
        | "address_message"
        | "call_permission_request"
        | "request_contact_info"
        | "catalog_message" => {
            need(action, "interactive.action.", "name", 64)?;
            if matches!(kind, "cta_url" | "flow") && !action["parameters"].is_object() {
                return Err(missing("interactive.action.parameters"));
            }
            Ok(())
        }
        _ => Err(invalid("interactive.type", "is unknown")),
    }
}

fn buttons(action: &Value) -> Result<(), Refusal> {
    let buttons = list_of(action, "interactive.action.", "buttons", BUTTONS_MAX)?;
    for button in buttons {
        let reply = button.get("reply").ok_or_else(|| missing("interactive.action.buttons.reply"))?;
        need(reply, "interactive.action.buttons.reply.", "id", 256)?;
        need(reply, "interactive.action.buttons.reply.", "title", 20)?;
    }
    Ok(())
}

fn list(action: &Value) -> Result<(), Refusal> {
    need(action, "interactive.action.", "button", 20)?;
    let mut rows = 0;
    for section in list_of(action, "interactive.action.", "sections", ROWS_MAX)? {
        for row in list_of(section, "interactive.action.sections.", "rows", ROWS_MAX)? {
            need(row, "interactive.action.sections.rows.", "id", 200)?;
            need(row, "interactive.action.sections.rows.", "title", 24)?;
            rows += 1;
        }
    }
    if rows > ROWS_MAX {
        return Err(invalid("interactive.action.sections", "has more than 10 rows in all"));
    }
    Ok(())
}

fn list_of<'a>(object: &'a Value, path: &str, key: &str, most: usize) -> Result<&'a [Value], Refusal> {
    let list = object.get(key).ok_or_else(|| missing(&format!("{path}{key}")))?;
    let list = list.as_array().filter(|list| (1..=most).contains(&list.len()));
    let list =
        list.ok_or_else(|| invalid(&format!("{path}{key}"), &format!("has not 1 to {most} entries")))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn button(title: &str) -> Value {
        json!({ "type": "reply", "reply": { "id": "a", "title": title } })
    }

    #[test]
    fn right_forms_are_taken() {
        let rows = json!([{ "id": "a", "title": "A" }]);
        for (kind, action) in [
            ("button", json!({ "buttons": [button("Yes"), button("No")] })),
            ("list", json!({ "button": "Choose", "sections": [{ "title": "S", "rows": rows }] })),
            (
                "cta_url",
                json!({ "name": "cta_url", "parameters": { "display_text": "x", "url": "https://x" } }),
            ),
            ("location_request_message", json!({ "name": "send_location" })),
        ] {
            let object = json!({ "type": kind, "body": { "text": "?" }, "action": action });
            assert_eq!(check(&object), Ok(()), "{kind}");
        }
    }

    #[test]
    fn wrong_forms_are_refused() {
        let row = json!({ "id": "a", "title": "A" });
        let six = json!({ "rows": [row, row, row, row, row, row] });
        for (kind, action, code) in [
            ("button", json!({}), 131_008),
            ("button", json!({ "buttons": [] }), 131_009),
            ("button", json!({ "buttons": [button("a"), button("a"), button("a"), button("a")] }), 131_009),
            ("button", json!({ "buttons": [button("a title of more than twenty")] }), 131_009),
            ("button", json!({ "buttons": [{ "type": "reply" }] }), 131_008),
            ("list", json!({ "button": "Choose", "sections": [six, six] }), 131_009),
            ("flow", json!({ "name": "flow" }), 131_008),
            ("riddle", json!({}), 131_009),
        ] {
            let object = json!({ "type": kind, "body": { "text": "?" }, "action": action });
            assert_eq!(check(&object).unwrap_err().code, Some(code), "{object}");
        }
        assert_eq!(check(&json!({ "type": "button", "action": {} })).unwrap_err().code, Some(131_008));
        let header = json!({ "type": "button", "header": { "type": "image", "image": {} },
            "body": { "text": "?" }, "action": { "buttons": [button("a")] } });
        assert_eq!(check(&header).unwrap_err().code, Some(100));
    }
}
