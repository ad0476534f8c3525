//! What became of a message of the store.

use model::{Item, OutboxId, Pricing, Refusal, Says, StatusWord};

use crate::json::Value;
use crate::status::message_id;

/// The most bytes of Meta's words that are kept.
const DETAILS_MAX: usize = 500;

/// A status whose word counts; those of payments and words of next year don't.
pub(super) fn read(item: &Item, status: Value<'_, '_>) -> Option<Says> {
    let [word, sort, callback, errors, own_pricing, conversation] =
        status.get_each(["status", "type", "biz_opaque_callback_data", "errors", "pricing", "conversation"]);
    if sort.is_some_and(|sort| sort.is_one_of(&["payment", "call"])) {
        return None;
    }
    let word = match &*word?.text()? {
        "sent" => StatusWord::Sent,
        "delivered" => StatusWord::Delivered,
        "read" | "played" => StatusWord::Read,
        "failed" => StatusWord::Failed,
        _ => return None,
    };
    let error =
        errors.and_then(|errors| errors.elements().next().or_else(|| errors.is_object().then_some(errors)));
    // In groups it was seen inside the conversation.
    let pricing = own_pricing.or_else(|| conversation?.get("pricing"));
    Some(Says::Status {
        wamid: message_id(status).map(Into::into),
        outbox_id: callback.and_then(Value::text).and_then(|id| OutboxId::parse(&id)),
        word,
        refusal: error.map(refusal),
        pricing: pricing.and_then(price),
        of_participant: item.group.is_some(),
    })
}

/// Meta's error, the first where there are several.
fn refusal(error: Value<'_, '_>) -> Refusal {
    let [code, data, own_details, message, title, transient] =
        error.get_each(["code", "error_data", "details", "message", "title", "is_transient"]);
    let details = data.and_then(|data| data.get("details"));
    let words = [details, own_details, message, title].into_iter().flatten().find_map(Value::text);
    let words = words.unwrap_or_default();
    let end =
        (0..=words.len().min(DETAILS_MAX)).rev().find(|end| words.is_char_boundary(*end)).unwrap_or_default();
    let details = words[..end].to_owned();
    Refusal {
        code: code.and_then(Value::number).and_then(|code| code.parse().ok()),
        details,
        http: None,
        retry_after_ms: None,
        transient: transient.and_then(Value::truth).unwrap_or_default(),
    }
}

/// What it cost. Without a `type` it isn't told what kind of price it was: before July 2025 conversations were
/// paid for, and each of their messages said so.
fn price(pricing: Value<'_, '_>) -> Option<Pricing> {
    let [category, kind] = pricing.get_each(["category", "type"]);
    let bounded = |value: Option<Value<'_, '_>>| {
        let text = value.and_then(Value::text).unwrap_or_default();
        text.chars().take(64).collect::<String>()
    };
    let pricing = Pricing { category: bounded(category), kind: bounded(kind) };
    (!pricing.category.is_empty()).then_some(pricing)
}
