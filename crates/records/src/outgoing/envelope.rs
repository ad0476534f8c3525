//! What only the moment of sending knows, around a checked message.

use model::{Address, OutboxId, UserIdField};

use crate::json::Out;

/// What is put around takes so many bytes beside the address.
const FRAME_BYTES: usize = 160;

/// The body of the call that posts a part's `payload`: with the recipient (a phone as `to`, a user id as
/// `user_ids` says) and the outbox id, which comes back with every status.
///
/// Not for a mark-as-read, see [`read_mark_envelope`].
#[must_use]
pub fn envelope(payload: &str, to: &Address, id: OutboxId, user_ids: UserIdField) -> Vec<u8> {
    let mut out = Out::with_capacity(payload.len() + to.as_str().len() + FRAME_BYTES);
    out.raw(r#"{"messaging_product":"whatsapp","recipient_type":"individual","#);
    let member = match (to, user_ids) {
        (Address::UserId(_), UserIdField::Recipient) => r#""recipient":"#,
        (Address::Phone(_), _) | (Address::UserId(_), UserIdField::To) => r#""to":"#,
    };
    out.raw(member).text(to.as_str());
    out.raw(r#","biz_opaque_callback_data":"#).text(&id.to_string());
    append(out, payload)
}

/// The body of the call that marks a message as read. It goes to nobody, and no status comes back.
#[must_use]
pub fn read_mark_envelope(payload: &str) -> Vec<u8> {
    let mut out = Out::with_capacity(payload.len() + FRAME_BYTES);
    out.raw(r#"{"messaging_product":"whatsapp""#);
    append(out, payload)
}

/// Adds the members of an object and closes it.
fn append(mut out: Out, payload: &str) -> Vec<u8> {
    let members = payload.trim().strip_prefix('{').map_or("}", str::trim_start);
    out.raw(if members.starts_with('}') { "" } else { "," }).raw(members);
    out.finish()
}
