//! Pictures, videos, sounds, documents and stickers.

use super::fault::Faults;
use super::look::Look;

/// The types of media.
pub(super) const TYPES: [&str; 5] = ["image", "video", "document", "audio", "sticker"];

/// The most characters of a caption.
pub(super) const CAPTION_MAX: usize = 1_024;

/// The most characters of a file name, as most file systems have it.
const FILENAME_MAX: usize = 255;

/// True for the types that take a caption.
pub(super) fn takes_caption(kind: &str) -> bool {
    matches!(kind, "image" | "video" | "document")
}

/// Checks the object of a message of that type.
pub(super) fn check(kind: &str, media: &Look<'_, '_, '_>, faults: &mut Faults) {
    source(media, faults);
    if let Some(caption) = media.member("caption") {
        if takes_caption(kind) {
            caption.words(CAPTION_MAX, faults);
        } else {
            faults.add(&caption.place, format!("isn't allowed: {kind} has no caption"));
        }
    }
    if let Some(filename) = media.member("filename") {
        if kind == "document" {
            filename.words(FILENAME_MAX, faults);
        } else {
            faults.add(
                &filename.place,
                format!("isn't allowed: only a document has a file name, {kind} has none"),
            );
        }
    }
    if let Some(voice) = media.member("voice") {
        if kind == "audio" {
            voice.truth(faults);
        } else {
            faults.add(&voice.place, format!("isn't allowed: only audio is a voice message, {kind} is none"));
        }
    }
}

/// Checks where the bytes are: exactly one of `id` and `link`.
pub(super) fn source(media: &Look<'_, '_, '_>, faults: &mut Faults) {
    match (media.member("id"), media.member("link")) {
        (Some(id), None) => _ = id.id(faults),
        (None, Some(link)) => link.link(faults),
        (None, None) => faults.add(&media.place, "says not where the bytes are: `id` or `link` is missing"),
        (Some(_), Some(_)) => faults.add(&media.place, "has both `id` and `link`; one of them is allowed"),
    }
}
