//! What a request says: one message of Meta's types with what is attached to it, or a mark-as-read.

use super::attachments::{self, Attachment};
use super::fault::Faults;
use super::look::Look;
use super::{Part, PartKind, interactive, media, plain, template};

/// The types of messages, which name the member that holds their object.
pub(super) const TYPES: [&str; 11] = [
    "text",
    "image",
    "video",
    "document",
    "audio",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
];

/// What Meta has beside the object of a type that concerns every call.
const COMMON: [&str; 4] =
    ["recipient_identity_key_hash", "messaging_account_id", "message_activity_sharing", "product_policy"];

/// What a request says, read from its pieces.
pub(super) enum Content<'a> {
    /// A message, where there is more than attachments, and these.
    Messages(Option<Message<'a>>, Vec<Attachment<'a>>),
    /// Members of a mark-as-read.
    ReadMark(Vec<(&'static str, &'a str)>),
}

/// A message of its own.
pub(super) struct Message<'a> {
    word: &'static str,
    /// The object of the type, as it came.
    object: &'a str,
    /// Of a text message that may become a caption: its words, as they came.
    caption: Option<&'a str>,
}

/// Reads and checks it; `None` where it can't be said what it is.
pub(super) fn read<'a>(root: &Look<'_, '_, 'a>, faults: &mut Faults) -> Option<Content<'a>> {
    let marks = ["status", "message_id", "typing_indicator"];
    if marks.iter().any(|name| root.member(name).is_some()) {
        plain::read_mark(root, faults);
        for name in TYPES.into_iter().chain(["type", "context", "attachments", "fallback"]) {
            if let Some(member) = root.member(name) {
                faults.add(&member.place, "isn't allowed in a mark-as-read, which is no message");
            }
        }
        let members = marks.into_iter().chain(["messaging_account_id"]);
        return Some(Content::ReadMark(
            members.filter_map(|name| Some((name, root.value.get(name)?.raw()))).collect(),
        ));
    }
    let attachments = attachments::read(root, faults);
    let Some(word) = word(root, attachments.is_empty(), faults) else {
        return (!attachments.is_empty()).then_some(Content::Messages(None, attachments));
    };
    for other in TYPES.into_iter().filter(|other| *other != word) {
        if let Some(member) = root.member(other) {
            faults.add(&member.place, format!("isn't allowed: the message is of the type {word}"));
        }
    }
    if word == "reaction" {
        for name in ["attachments", "fallback"] {
            if let Some(member) = root.member(name) {
                faults.add(&member.place, "isn't allowed with a reaction");
            }
        }
    }
    let object = root.required(word, "the object that the type names", faults)?;
    if word == "contacts" {
        plain::contacts(&object, faults);
    } else {
        let object = object.is_object(faults)?;
        match word {
            "text" => plain::text(&object, faults),
            "location" => plain::location(&object, faults),
            "reaction" => plain::reaction(&object, faults),
            "interactive" => interactive::check(&object, faults),
            "template" => template::check(&object, faults),
            kind => media::check(kind, &object, faults),
        }
    }
    let body = object.value.get("body").filter(|_| word == "text");
    let fits = |words: &str| words.chars().count() <= media::CAPTION_MAX;
    let caption = body.filter(|body| body.text().is_some_and(|words| fits(&words)));
    let message =
        Message { word, object: object.value.raw(), caption: caption.map(super::super::json::Value::raw) };
    Some(Content::Messages(Some(message), attachments))
}

/// The type of the message: the one that is named, or else the only one whose object is there.
fn word(root: &Look<'_, '_, '_>, is_alone: bool, faults: &mut Faults) -> Option<&'static str> {
    let Some(kind) = root.member("type") else {
        let mut given = TYPES.into_iter().filter(|name| root.member(name).is_some());
        let first = given.next();
        let why = match (first, given.next()) {
            (Some(one), Some(other)) => format!("is missing: there are both {one} and {other}"),
            (None, _) if is_alone => format!("is missing: one of {}", TYPES.join(", ")),
            _ => return first,
        };
        faults.add(&root.place.member("type"), why);
        return None;
    };
    let word = kind.words(plain::LABEL_MAX, faults)?;
    if !kind.one_of(&word, &TYPES, faults) {
        return None;
    }
    TYPES.into_iter().find(|known| *known == word)
}

impl Content<'_> {
    /// The messages that go out, the first with the text, and the template for a closed window.
    pub(super) fn into_parts(
        self,
        root: &Look<'_, '_, '_>,
        faults: &mut Faults,
    ) -> (Vec<Part>, Option<Part>) {
        let common: Vec<_> =
            COMMON.into_iter().filter_map(|name| Some((name, root.value.get(name)?.raw()))).collect();
        // An answer to a message is what the first one is.
        let context = root.value.get("context").map(|context| ("context", context.raw()));
        let first: Vec<_> = context.into_iter().chain(common.iter().copied()).collect();
        let fallback = root.member("fallback").and_then(|fallback| fallback_template(&fallback, faults));
        let fallback = fallback.map(|template| part("template", &template, &common));
        let (message, mut attachments) = match self {
            Self::ReadMark(members) => {
                let part = Part { kind: PartKind::ReadMark, payload: object(members.into_iter()) };
                return (vec![part], None);
            }
            Self::Messages(message, attachments) => (message, attachments),
        };
        let mut parts = Vec::with_capacity(1 + attachments.len());
        if let Some(message) = message {
            let carrier = attachments.first_mut().filter(|first| first.may_carry());
            match (message.caption, carrier) {
                (Some(caption), Some(carrier)) => carrier.carry(caption),
                _ => parts.push(part(message.word, message.object, &first)),
            }
        }
        for attachment in &attachments {
            let members = if parts.is_empty() { &first } else { &common };
            parts.push(part(attachment.word(), &attachment.object(), members));
        }
        (parts, fallback)
    }
}

/// The template of `fallback`: as such, or inside a message.
fn fallback_template(fallback: &Look<'_, '_, '_>, faults: &mut Faults) -> Option<String> {
    let fallback = fallback.is_object(faults)?;
    if fallback.member("template").is_none() && fallback.member("type").is_none() {
        template::check(&fallback, faults);
        return Some(fallback.value.raw().to_owned());
    }
    if let Some(kind) = fallback.member("type")
        && !kind.value.is_text("template")
    {
        faults.add(&kind.place, "isn't \"template\": nothing else may go out where the window has closed");
    }
    let inner = fallback.object("template", "the template", faults)?;
    template::check(&inner, faults);
    Some(inner.value.raw().to_owned())
}

/// A part of that type with its object and other members.
fn part(word: &str, content: &str, members: &[(&str, &str)]) -> Part {
    let kind = format!("\"{word}\"");
    let own = [("type", kind.as_str()), (word, content)];
    Part { kind: PartKind::of(word), payload: object(own.into_iter().chain(members.iter().copied())) }
}

/// A JSON object of names that need no escape, and of JSON.
pub(super) fn object<'m>(members: impl Iterator<Item = (&'m str, &'m str)>) -> String {
    let mut object = String::from("{");
    for (name, value) in members {
        if object.len() > 1 {
            object.push(',');
        }
        object.extend(["\"", name, "\":", value]);
    }
    object.push('}');
    object
}
