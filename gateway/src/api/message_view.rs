//! A message of the outbox as the API shows it.

use model::{Refusal, WallTime};
use outbox::{Kind, Shown, Step, TableError, Turn, Why};
use policy::sending::{advice, class};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A message, and when the window closes that it would go into.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) shown: Shown,
    pub(super) window_closes_ms: Option<i64>,
}

impl Seen {
    /// Looks at the window of a message.
    pub(super) fn of(turn: &Turn<'_>, shown: Shown) -> Result<Self, TableError> {
        let windows = turn.known_of(shown.contact)?.windows;
        let window = windows.into_iter().find(|window| window.number == shown.number);
        Ok(Self { window_closes_ms: window.and_then(|window| window.closes_ms), shown })
    }

    /// All that there is to say, but the message itself.
    pub(super) fn render(&self) -> Value {
        let Self { shown, window_closes_ms } = self;
        let mut json = json!({
            "id": shown.id.to_string(),
            "status": shown.standing.as_str(),
            "reason": reason(shown.why),
            "from": shown.number,
            "to": shown.to.as_ref().map(model::Address::as_str),
            "contact": model::ContactId::from_bits(shown.contact).as_str(),
            "type": type_of(shown),
            "priority": shown.priority.as_str(),
            "template": shown.template,
            "fallback_used": shown.fell_back,
            "window_closes_at": time(*window_closes_ms),
            "not_before": time(shown.not_before_ms),
            "expires_at": time(shown.expires_ms),
            "queued_at": time(Some(shown.queued_ms)),
            "accepted_at": time(shown.accepted_ms),
            "wamid": shown.wamid,
            "attempts": shown.attempts,
            "endpoint": shown.endpoint,
            "error": shown.refusal.as_ref().map(error),
            "parts": shown.parts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "history": shown.history.iter().map(step).collect::<Vec<_>>(),
        });
        // A mark as read goes to nobody.
        if shown.to.is_none() {
            json["contact"] = Value::Null;
        }
        json
    }

    /// The same with the message object as it was queued.
    pub(super) fn render_whole(&self) -> Value {
        let mut json = self.render();
        // What was taken in is JSON; were it not, it wouldn't be shown.
        json["message"] = serde_json::from_str(&self.shown.payload).unwrap_or_default();
        json
    }
}

fn step(step: &Step) -> Value {
    json!({ "at": time(Some(step.at_ms)), "status": step.standing.as_str(), "reason": reason(step.why) })
}

/// Why, as a word for programs and a sentence for people.
pub(super) fn reason(why: Option<Why>) -> Value {
    why.map_or(Value::Null, |why| json!({ "code": why.as_str(), "detail": why.sentence() }))
}

/// What Meta said, what it means, and what to do.
pub(super) fn error(refusal: &Refusal) -> Value {
    json!({
        "code": refusal.code,
        "detail": refusal.details,
        "class": class(refusal).name(),
        "advice": advice(refusal),
    })
}

/// A time of the outbox as the API writes it.
pub(super) fn time(ms: Option<i64>) -> Option<String> {
    ms.map(|ms| WallTime(ms).rfc3339_millis())
}

/// Meta's word for the type of a message.
fn type_of(shown: &Shown) -> String {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    match shown.kind {
        Kind::ReadMark => "read".to_owned(),
        Kind::Template => "template".to_owned(),
        Kind::FreeForm => match serde_json::from_str::<Typed>(&shown.payload) {
            Ok(typed) => typed.r#type,
            // Meta takes a text without its type, too.
            Err(_) => "text".to_owned(),
        },
    }
}

/// The name of the template in a message object.
pub(super) fn template_of(payload: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        template: Template,
    }
    #[derive(Deserialize)]
    struct Template {
        name: String,
    }
    serde_json::from_str::<Named>(payload).ok().map(|named| named.template.name)
}

/// JSON that was checked when it was taken in, as it is.
pub(super) fn raw(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}
