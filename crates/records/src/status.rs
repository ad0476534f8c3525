//! What became of a message, as `data.status` shows it.

use std::borrow::Cow;

use crate::envelope::DEPTH_MAX;
use crate::identity::usable;
use crate::json::{Out, Value};

/// Writes `data.status` of an element of `statuses`.
pub(crate) fn write(out: &mut Out, status: Value<'_, '_>) {
    let [word, outbox_id, errors, pricing] =
        status.get_each(["status", "biz_opaque_callback_data", "errors", "pricing"]);
    out.raw(r#"{"message_id":"#).maybe_text(message_id(status).as_deref());
    out.raw(r#","status":"#).text_of(word);
    out.raw(r#","outbox_id":"#).text_of(outbox_id);
    as_given(out.raw(r#","errors":"#), errors);
    as_given(out.raw(r#","pricing":"#), pricing);
    out.raw("}");
}

/// The wamid of the message that a status is about. Gupshup puts an id of its own into `id`.
pub(crate) fn message_id<'a>(status: Value<'_, 'a>) -> Option<Cow<'a, str>> {
    status.get_each(["meta_msg_id", "id"]).into_iter().find_map(usable)
}

/// Writes a member as WhatsApp gives it; null where it says nothing, or nests too deep to be handed on.
pub(crate) fn as_given(out: &mut Out, value: Option<Value<'_, '_>>) {
    match value.filter(|value| value.raw() != "\"\"" && value.height() <= DEPTH_MAX) {
        Some(value) => _ = out.cleaned(value),
        None => out.null(),
    }
}
