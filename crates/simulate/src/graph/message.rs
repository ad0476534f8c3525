//! What the store posts, checked as Meta checks it before it takes a message.

use serde_json::Value;

use super::front::{Member, UserIds};
use super::refusal::Refusal;
use super::{interactive, template};

/// Meta's bound of `biz_opaque_callback_data`, in characters.
const OPAQUE_MAX: usize = 512;
/// Characters of a text message.
const TEXT_MAX: usize = 4_096;
/// Characters of a caption.
const CAPTION_MAX: usize = 1_024;
/// Digits of an E.164 number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Characters of a user id behind its country.
const USER_ID_MAX: usize = 128;

/// A body that Meta takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Posted {
    /// A message.
    Message(Message),
    /// A customer's message is marked as read.
    Mark,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// As the store wrote the recipient.
    pub(crate) input: String,
    /// The recipient is a phone, not a user id.
    pub(crate) by_phone: bool,
    /// The member that holds a user id.
    pub(crate) user_id_in: Option<Member>,
    /// `type`.
    pub(crate) kind: String,
    /// The name of the template, where it is one.
    pub(crate) template: Option<String>,
    /// `biz_opaque_callback_data`.
    pub(crate) outbox_id: Option<String>,
    /// What to show of it: a text, a caption, else nothing.
    pub(crate) words: Option<String>,
}

impl Message {
    /// Meta puts the store's own country code before a phone without `+`: it may be a stranger's.
    pub(crate) fn lacks_plus(&self) -> bool {
        self.by_phone && !self.input.trim_start().starts_with('+')
    }
}

/// Reads a body; user ids have to stand where `user_ids` says.
pub(crate) fn read(body: &[u8], user_ids: UserIds) -> Result<Posted, Refusal> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Refusal::because(100, "The body is not valid JSON."))?;
    if body["messaging_product"] != "whatsapp" {
        return Err(Refusal::because(100, "The parameter messaging_product is required."));
    }
    if body["status"] == "read" {
        need(&body, "", "message_id", 256)?;
        return match body.get("typing_indicator") {
            Some(typing) if typing["type"] != "text" => Err(invalid("typing_indicator.type", "is not text")),
            _ => Ok(Posted::Mark),
        };
    }
    let (input, user_id_in) = recipient(&body, user_ids)?;
    let by_phone = user_id_in.is_none();
    let kind = match body.get("type") {
        None => "text",
        Some(kind) => kind.as_str().unwrap_or_default(),
    };
    if let Some(context) = body.get("context") {
        need(context, "context.", "message_id", 256)?;
    }
    let outbox_id = match body.get("biz_opaque_callback_data") {
        None => None,
        Some(Value::String(id)) if id.chars().count() <= OPAQUE_MAX => Some(id.clone()),
        Some(_) => {
            return Err(invalid("biz_opaque_callback_data", "is not a text of at most 512 characters"));
        }
    };
    if !KINDS.contains(&kind) {
        return Err(Refusal::because(100, format!("Param type must be one of {{{}}}.", KINDS.join(", "))));
    }
    let object = body.get(kind).ok_or_else(|| missing(kind))?;
    content(kind, object)?;
    let template = (kind == "template").then(|| object["name"].as_str().unwrap_or_default().to_owned());
    let words = [&object["body"], &object["caption"], &object["body"]["text"], &object["emoji"]];
    let words = words.into_iter().find_map(Value::as_str).map(str::to_owned);
    let kind = kind.to_owned();
    Ok(Posted::Message(Message { input, by_phone, user_id_in, kind, template, outbox_id, words }))
}

const KINDS: [&str; 11] = [
    "audio",
    "contacts",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
];

/// Who it is for, and the member that held a user id. With both members, `to` wins.
fn recipient(body: &Value, user_ids: UserIds) -> Result<(String, Option<Member>), Refusal> {
    let (member, to) = match (body.get("to"), body.get("recipient")) {
        (Some(to), _) => (Member::To, to),
        (None, Some(recipient)) if user_ids.takes(Member::Recipient) => (Member::Recipient, recipient),
        (None, _) => return Err(Refusal::because(100, "The parameter to is required.")),
    };
    let to = to.as_str().ok_or_else(|| invalid("to", "is not a text"))?;
    let user_id = match body.get("recipient_type").and_then(Value::as_str) {
        Some("group") if member == Member::To && !to.is_empty() => None,
        None | Some("individual") if member == Member::To && is_phone(to) => None,
        None | Some("individual") if user_ids.takes(member) && is_user_id(to) => Some(member),
        None | Some("individual" | "group") => return Err(invalid("to", "is not a valid recipient")),
        Some(_) => return Err(invalid("recipient_type", "is neither individual nor group")),
    };
    Ok((to.to_owned(), user_id))
}

/// Digits with a `+` or without; punctuation is allowed between them.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let trimmed = text.trim();
    PHONE_DIGITS.contains(&digits)
        && trimmed
            .strip_prefix('+')
            .unwrap_or(trimmed)
            .bytes()
            .all(|b| b.is_ascii_digit() || b" -()./".contains(&b))
}

/// `US.13491208655302741918`, or `US.ENT.…` of linked portfolios.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=USER_ID_MAX).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What stands under the name of the type.
fn content(kind: &str, object: &Value) -> Result<(), Refusal> {
    match kind {
        "text" => {
            let body = need(object, "text.", "body", usize::MAX)?;
            short(body, "text['body']", TEXT_MAX)
        }
        "image" | "video" | "document" | "audio" | "sticker" => media(kind, object),
        "location" => {
            for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
                let value = object.get(name).ok_or_else(|| missing(&format!("location.{name}")))?;
                // A number, or a text that holds one.
                let read = value.as_f64().or_else(|| value.as_str()?.parse().ok());
                if read.is_none_or(|read| read.abs() > most) {
                    return Err(invalid(&format!("location.{name}"), "is not on the globe"));
                }
            }
            Ok(())
        }
        "contacts" => {
            let contacts = object.as_array().filter(|contacts| !contacts.is_empty());
            for contact in contacts.ok_or_else(|| missing("contacts"))? {
                let name = contact.get("name").ok_or_else(|| missing("contacts.name"))?;
                need(name, "contacts.name.", "formatted_name", 1_024)?;
            }
            Ok(())
        }
        "reaction" => {
            need(object, "reaction.", "message_id", 256)?;
            // An empty one takes the reaction back.
            object["emoji"].as_str().map(drop).ok_or_else(|| missing("reaction.emoji"))
        }
        "interactive" => interactive::check(object),
        _ => template::check(object),
    }
}

/// `id` of an upload or a `link`, one of the two.
pub(super) fn media(kind: &str, object: &Value) -> Result<(), Refusal> {
    match (object.get("id"), object.get("link")) {
        (Some(id), None) => {
            let digits =
                id.as_str().is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
            if !digits {
                let why = format!(
                    "Param {kind}['id'] is not a valid whatsapp business account media attachment ID"
                );
                return Err(Refusal::because(100, why));
            }
        }
        (None, Some(link)) => {
            if !link.as_str().is_some_and(|link| link.starts_with("https://") || link.starts_with("http://"))
            {
                return Err(invalid(&format!("{kind}.link"), "is not a URL"));
            }
        }
        _ => {
            return Err(Refusal::because(
                100,
                format!("Exactly one of {kind}.id and {kind}.link is required."),
            ));
        }
    }
    match object.get("caption").map(Value::as_str) {
        None => Ok(()),
        Some(Some(caption)) if !matches!(kind, "audio" | "sticker") => {
            short(caption, &format!("{kind}['caption']"), CAPTION_MAX)
        }
        Some(_) => Err(Refusal::because(100, format!("Unexpected key \"caption\" on param \"{kind}\"."))),
    }
}

/// A text that has to be there, not empty and not too long.
pub(super) fn need<'a>(object: &'a Value, path: &str, key: &str, most: usize) -> Result<&'a str, Refusal> {
    let value = object.get(key).ok_or_else(|| missing(&format!("{path}{key}")))?;
    match value.as_str() {
        Some("") | None => Err(invalid(&format!("{path}{key}"), "is not a text with something in it")),
        Some(text) if most < usize::MAX && text.chars().count() > most => {
            Err(invalid(&format!("{path}{key}"), &format!("is longer than {most} characters")))
        }
        Some(text) => Ok(text),
    }
}

fn short(text: &str, name: &str, most: usize) -> Result<(), Refusal> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(Refusal::because(100, format!("Param {name} must be at most {most} characters long.")))
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::because(131_008, format!("Parameter {name} is missing."))
}

pub(super) fn invalid(name: &str, why: &str) -> Refusal {
    Refusal::because(131_009, format!("Parameter {name} {why}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &[u8]) -> Result<Posted, Refusal> {
        super::read(body, UserIds::default())
    }

    fn with(kind: &str, object: Value) -> Value {
        let mut body = json!({ "messaging_product": "whatsapp", "to": "+12125550100", "type": kind });
        body[kind] = object;
        body
    }

    fn code(body: &Value) -> Option<i64> {
        read(body.to_string().as_bytes()).err().map(|refusal| refusal.code.unwrap())
    }

    #[test]
    fn every_type_is_taken_in_its_right_form() {
        for (kind, object) in [
            ("text", json!({ "body": "Hi", "preview_url": true })),
            ("image", json!({ "id": "123", "caption": "a" })),
            ("document", json!({ "link": "https://x/y.pdf", "filename": "y.pdf" })),
            ("audio", json!({ "id": "1", "voice": true })),
            ("sticker", json!({ "id": "1" })),
            ("video", json!({ "id": "1" })),
            ("location", json!({ "latitude": 22.3, "longitude": "114.2" })),
            ("contacts", json!([{ "name": { "formatted_name": "A B", "first_name": "A" } }])),
            ("reaction", json!({ "message_id": "wamid.A", "emoji": "" })),
        ] {
            let read = read(with(kind, object).to_string().as_bytes()).unwrap();
            assert!(matches!(read, Posted::Message(message) if message.kind == kind && message.by_phone));
        }
        let mut mark = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A" });
        assert_eq!(read(mark.to_string().as_bytes()), Ok(Posted::Mark));
        mark["typing_indicator"] = json!({ "type": "text" });
        assert_eq!(read(mark.to_string().as_bytes()), Ok(Posted::Mark));
    }

    #[test]
    fn what_meta_would_refuse_is_refused_with_its_code() {
        assert_eq!(read(b"{").unwrap_err().code, Some(100));
        for (body, wanted) in [
            (json!({ "to": "+12125550100", "text": { "body": "a" } }), 100),
            (json!({ "messaging_product": "whatsapp", "text": { "body": "a" } }), 100),
            (with("poem", json!({})), 100),
            (with("text", json!({ "body": "x".repeat(4_097) })), 100),
            (with("text", json!({})), 131_008),
            (with("text", json!({ "body": "" })), 131_009),
            (with("text", json!({ "body": 7 })), 131_009),
            (with("image", json!({ "id": "1", "link": "https://x" })), 100),
            (with("image", json!({ "id": "abc" })), 100),
            (with("image", json!({ "link": "ftp://x" })), 131_009),
            (with("audio", json!({ "id": "1", "caption": "no" })), 100),
            (with("location", json!({ "latitude": 1 })), 131_008),
            (with("location", json!({ "latitude": 91, "longitude": 0 })), 131_009),
            (with("contacts", json!([])), 131_008),
            (with("contacts", json!([{ "name": {} }])), 131_008),
            (with("reaction", json!({ "message_id": "wamid.A" })), 131_008),
        ] {
            assert_eq!(code(&body), Some(wanted), "{body}");
        }
        for (key, value, wanted) in [
            ("to", json!("tomorrow"), 131_009),
            ("to", json!(12_125_550_100_u64), 131_009),
            ("recipient_type", json!("crowd"), 131_009),
            ("text", json!(null), 131_008),
            ("context", json!({}), 131_008),
            ("biz_opaque_callback_data", json!("x".repeat(513)), 131_009),
        ] {
            let mut body = with("text", json!({ "body": "a" }));
            body[key] = value;
            assert_eq!(code(&body), Some(wanted), "{body}");
        }
    }

    #[test]
    fn a_recipient_is_a_phone_or_a_user_id() {
        let mut body = json!({ "messaging_product": "whatsapp", "text": { "body": "a" },
            "recipient": "US.13491208655302741918", "biz_opaque_callback_data": "m-1" });
        let Ok(Posted::Message(message)) = read(body.to_string().as_bytes()) else { panic!("refused") };
        assert_eq!((message.by_phone, message.outbox_id.as_deref()), (false, Some("m-1")));
        assert!(!message.lacks_plus());
        body["to"] = json!("(212) 555-0100");
        let Ok(Posted::Message(message)) = read(body.to_string().as_bytes()) else { panic!("refused") };
        assert!(message.by_phone && message.lacks_plus());
        body["to"] = json!(null);
        assert_eq!(code(&body), Some(131_009));
    }

    #[test]
    fn a_user_id_stands_in_the_member_that_the_door_takes() {
        for (user_ids, to, recipient) in [
            (UserIds::Either, Ok(Some(Member::To)), Ok(Some(Member::Recipient))),
            (UserIds::To, Ok(Some(Member::To)), Err(Some(100))),
            (UserIds::Recipient, Err(Some(131_009)), Ok(Some(Member::Recipient))),
        ] {
            for (member, wanted) in [("to", to), ("recipient", recipient)] {
                let mut body = json!({ "messaging_product": "whatsapp", "text": { "body": "a" } });
                body[member] = json!("US.13491208655302741918");
                let read = match super::read(body.to_string().as_bytes(), user_ids) {
                    Ok(Posted::Message(message)) => {
                        assert!(!message.by_phone);
                        Ok(message.user_id_in)
                    }
                    Ok(Posted::Mark) => panic!("no mark"),
                    Err(refusal) => Err(refusal.code),
                };
                assert_eq!(read, wanted, "{user_ids:?} {member}");
            }
        }
    }
}
