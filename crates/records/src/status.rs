//! What became of a message, as `data.status` shows it.

use serde::Serialize;

use crate::envelope::DEPTH_MAX;
use crate::identity::usable_id;
use crate::json::Value;
use crate::json::text::Verbatim;

/// `data.status`.
#[derive(Serialize)]
pub(crate) struct Status<'a> {
    message_id: Option<String>,
    status: Option<std::borrow::Cow<'a, str>>,
    outbox_id: Option<std::borrow::Cow<'a, str>>,
    errors: Option<Verbatim<'a>>,
    pricing: Option<Verbatim<'a>>,
}

impl<'a> Status<'a> {
    /// Reads an element of `statuses`.
    pub(crate) fn read(status: Value<'_, 'a>) -> Self {
        Self {
            message_id: message_id(status),
            status: status.get("status").and_then(Value::text),
            outbox_id: status.get("biz_opaque_callback_data").and_then(Value::text),
            errors: as_given(status, "errors"),
            pricing: as_given(status, "pricing"),
        }
    }
}

/// The wamid of the message that a status is about. Gupshup puts an id of its own into `id`.
pub(crate) fn message_id(status: Value<'_, '_>) -> Option<String> {
    usable_id(status, "meta_msg_id").or_else(|| usable_id(status, "id"))
}

/// A member as WhatsApp gives it; null where it says nothing, or nests too deep to be handed on.
pub(crate) fn as_given<'a>(object: Value<'_, 'a>, key: &str) -> Option<Verbatim<'a>> {
    let value = object.get(key).filter(|value| value.raw() != "\"\"" && value.height() <= DEPTH_MAX)?;
    Some(Verbatim::cleaned(value.raw()))
}
