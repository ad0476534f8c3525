//! What is attached to a message: up to five messages of media, each of its own.
//!
//! An attachment is Meta's message object (`{"type": "image", "image": {"link": ...}}`), or the same
//! without the object around it (`{"type": "image", "link": ...}`). A text of at most 1,024 characters becomes
//! the caption of the first attachment where that takes one and has none; otherwise the text goes
//! out as a message of its own, before the attachments.

use super::content::object;
use super::fault::{Faults, nearest};
use super::look::Look;
use super::{media, plain, sound};

/// The most attachments of one call.
const ATTACHMENTS_MAX: usize = 5;

/// One of them, read from its pieces.
pub(super) struct Attachment<'a> {
    word: &'static str,
    /// The object's members: the names as they came, with their quotes, and the values.
    members: Vec<(&'a str, &'a str)>,
    has_caption: bool,
}

/// Reads and checks `attachments`.
pub(super) fn read<'a>(root: &Look<'_, '_, 'a>, faults: &mut Faults) -> Vec<Attachment<'a>> {
    let Some(list) = root.member("attachments") else { return Vec::new() };
    let attachments = list.list(0..=ATTACHMENTS_MAX, "attachments", faults).collect::<Vec<_>>();
    attachments.iter().filter_map(|attachment| one(attachment, faults)).collect()
}

fn one<'a>(attachment: &Look<'_, '_, 'a>, faults: &mut Faults) -> Option<Attachment<'a>> {
    let attachment = attachment.is_object(faults)?;
    let nested = media::TYPES.into_iter().find(|kind| attachment.member(kind).is_some());
    let word = match attachment.member("type") {
        Some(kind) => {
            let word = kind.words(plain::LABEL_MAX, faults)?;
            if !kind.one_of(&word, &media::TYPES, faults) {
                return None;
            }
            media::TYPES.into_iter().find(|known| *known == word)?
        }
        None => match nested {
            Some(word) => word,
            None => {
                let known = media::TYPES.join(", ");
                faults.add(&attachment.place.member("type"), format!("is missing: one of {known}"));
                return None;
            }
        },
    };
    let allowed: &[&str] = if nested.is_some() {
        &["type", word]
    } else {
        &["type", "id", "link", "caption", "filename", "voice"]
    };
    for (key, _) in attachment.value.members() {
        let name = sound::name_of(key);
        if !allowed.contains(&&*name) {
            let meant = nearest(&name, allowed).map(|meant| format!("; did you mean {meant:?}?"));
            let detail =
                format!("is no member of an attachment of the type {word}{}", meant.unwrap_or_default());
            faults.add(&attachment.place.member(&name), detail);
        }
    }
    let object = match nested {
        Some(_) => attachment.object(word, "its `id` or `link`", faults)?,
        None => attachment,
    };
    media::check(word, &object, faults);
    let members = object.value.members();
    let says =
        members.filter(|(key, value)| value.raw() != "null" && (nested.is_some() || !key.is_text("type")));
    Some(Attachment {
        word,
        members: says.map(|(key, value)| (key.raw(), value.raw())).collect(),
        has_caption: object.member("caption").is_some(),
    })
}

impl<'a> Attachment<'a> {
    /// The type.
    pub(super) const fn word(&self) -> &'static str {
        self.word
    }

    /// True where the message's text can become its caption.
    pub(super) fn may_carry(&self) -> bool {
        media::takes_caption(self.word) && !self.has_caption
    }

    /// Takes a text, as it stands in the request, for its caption.
    pub(super) fn carry(&mut self, caption: &'a str) {
        self.members.push(("\"caption\"", caption));
        self.has_caption = true;
    }

    /// The object of the type.
    pub(super) fn object(&self) -> String {
        // The names have their quotes already.
        let bare = |name: &'a str| name.get(1..name.len() - 1).unwrap_or_default();
        object(self.members.iter().map(|(name, value)| (bare(name), *value)))
    }
}
