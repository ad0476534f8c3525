//! What the store's side wants to send, checked before it is queued.
//!
//! [`read`] takes the body of `POST /v1/messages`: a message object of the Cloud API and what the box
//! adds to it. What Meta documents as a limit is checked here, so that a mistake costs no call and no
//! message of the day; members that nobody knows inside the objects go through untouched, because Meta
//! adds some every month. Pieces of the request are copied byte for byte, never written anew: a number
//! keeps its digits.
//!
//! [`envelope`] puts around a checked message what only the moment of sending knows. Texts with merge fields
//! are filled in by [`merge`] and [`quick_reply`].

mod attachments;
mod content;
mod envelope;
mod fault;
mod interactive;
mod look;
mod media;
pub mod merge;
mod plain;
pub mod quick_reply;
mod recipient;
mod sound;
mod template;
mod when;

use model::{Priority, WallTime};

pub use envelope::{envelope, read_mark_envelope};
pub use fault::{FAULTS_MAX, Fault};
pub use recipient::To;
pub use sound::{BODY_MAX, DEPTH_MAX};

use crate::numbers::Numbers;
use crate::phone::Region;
use content::Content;
use fault::{Faults, Place, nearest};
use look::Look;

/// A request that can be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The number that sends, a configured one; `None` leaves the choice to the gateway.
    pub from: Option<String>,
    /// Whom it goes to; `None` only for [`PartKind::ReadMark`], which needs nobody.
    pub to: Option<To>,
    /// Who goes first.
    pub priority: Priority,
    /// When it is too late to send it.
    pub expires_at: Option<WallTime>,
    /// The template that goes out instead where the window has closed.
    pub fallback: Option<Part>,
    /// The messages, in their order: 1 to 6. The first carries the text.
    pub parts: Vec<Part>,
}

/// One message of a request: a call, a callback id and a unit of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What decides when it may go.
    pub kind: PartKind,
    /// The Cloud API's object, a JSON object without what [`envelope`] puts around it.
    pub payload: String,
}

/// What sort of message it is, as far as windows and limits ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartKind {
    /// Anything that needs an open window.
    FreeForm {
        /// Meta's word for the type: `text`, `image`, `interactive`, ...
        word: String,
    },
    /// May open a conversation.
    Template,
    /// An emoji on a message; needs an open window, too.
    Reaction,
    /// No message at all: a customer's message is shown as read, perhaps with a typing indicator.
    ReadMark,
}

impl PartKind {
    /// Meta's word for the type; `read` for [`Self::ReadMark`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::FreeForm { word } => word,
            Self::Template => "template",
            Self::Reaction => "reaction",
            Self::ReadMark => "read",
        }
    }

    /// The kind that Meta's word for a type names.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "template" => Self::Template,
            "reaction" => Self::Reaction,
            "read" => Self::ReadMark,
            _ => Self::FreeForm { word: word.to_owned() },
        }
    }
}

/// What the box adds to Meta's message object.
const OURS: [&str; 7] =
    ["from", "priority", "expires_at", "fallback", "attachments", quick_reply::NAME, quick_reply::FIELDS];

/// What Meta has beside the objects of the types.
const METAS: [&str; 13] = [
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "status",
    "message_id",
    "typing_indicator",
    "recipient_identity_key_hash",
    "messaging_account_id",
    "message_activity_sharing",
    "product_policy",
];

/// Where the box puts the id by which it knows a message again.
const CALLBACK: &str = "biz_opaque_callback_data";

/// Reads the body of `POST /v1/messages`. `numbers` are those that may send; where the phone is in a
/// national form, the country of `from` says what it means.
///
/// Total and bounded: [`BODY_MAX`], [`DEPTH_MAX`].
///
/// # Errors
/// What is wrong with it: one fault at least, [`FAULTS_MAX`] at most.
pub fn read(body: &[u8], numbers: &Numbers) -> Result<Request, Vec<Fault>> {
    let doc = sound::parse(body)?;
    let root = Look { value: doc.root(), place: Place::ROOT };
    let mut faults = Faults::default();
    check_names(&root, &mut faults);
    check_words(&root, &mut faults);
    let from = sender(&root, numbers, &mut faults);
    let to = recipient(&root, || region(numbers, from.as_deref()), &mut faults);
    let priority = priority(&root, &mut faults);
    let expires_at = root.member("expires_at").and_then(|time| when::read(&time, &mut faults));
    let content = content::read(&root, &mut faults);
    let is_read_mark = matches!(content, Some(Content::ReadMark(_)));
    if to.is_none() && !is_read_mark && root.member("to").or_else(|| root.member("recipient")).is_none() {
        let what = "is missing: the phone number, user id or contact id that the message goes to";
        faults.add(&root.place.member("to"), what);
    }
    let (parts, fallback) = content.map(|content| content.into_parts(&root, &mut faults)).unwrap_or_default();
    faults.or(Request { from, to, priority, expires_at, fallback, parts })
}

/// A fault for each member that neither the box nor Meta has.
fn check_names(root: &Look<'_, '_, '_>, faults: &mut Faults) {
    let known: Vec<&str> = OURS.into_iter().chain(METAS).chain(content::TYPES).collect();
    for (key, _) in root.value.members() {
        let name = sound::name_of(key);
        if known.contains(&&*name) {
            continue;
        }
        let place = root.place.member(&name);
        if name == CALLBACK {
            faults
                .add(&place, "isn't allowed: the box writes its own id there, and knows the statuses by it");
        } else if let Some(meant) = nearest(&name, &known) {
            faults.add(&place, format!("is no member of a message; did you mean {meant:?}?"));
        } else {
            faults.add(&place, "is no member of a message");
        }
    }
}

/// The members that have one word only.
fn check_words(root: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(product) = root.member("messaging_product")
        && !product.value.is_text("whatsapp")
    {
        faults.add(&product.place, "isn't \"whatsapp\"");
    }
    if let Some(kind) = root.member("recipient_type") {
        if kind.value.is_text("group") {
            faults.add(&kind.place, "is \"group\": groups can't be sent to yet");
        } else if !kind.value.is_text("individual") {
            faults.add(&kind.place, "isn't \"individual\"");
        }
    }
    for name in [quick_reply::NAME, quick_reply::FIELDS] {
        if let Some(member) = root.member(name) {
            faults.add(
                &member.place,
                "stands here still: a quick reply is filled in before the message is read",
            );
        }
    }
    if let Some(hash) = root.member("recipient_identity_key_hash") {
        hash.id(faults);
    }
    if let Some(context) = root.member("context").and_then(|context| context.is_object(faults))
        && let Some(id) = context.required("message_id", "the message that is answered", faults)
    {
        id.id(faults);
    }
}

fn sender(root: &Look<'_, '_, '_>, numbers: &Numbers, faults: &mut Faults) -> Option<String> {
    let from = root.member("from")?;
    let id = from.id(faults)?;
    if numbers.phone(&id).is_none() {
        let known = numbers.ids().collect::<Vec<_>>().join(", ");
        faults.add(&from.place, format!("is no phone_number_id of the configuration; there are {known}"));
        return None;
    }
    Some(id.into_owned())
}

/// The region that national forms are read in: that of the sender, or the one that all numbers share.
fn region(numbers: &Numbers, from: Option<&str>) -> Option<Region> {
    match from {
        Some(id) => numbers.phone(id).and_then(Region::of),
        None => {
            let mut regions = numbers.ids().filter_map(|id| numbers.phone(id)).map(Region::of);
            let first = regions.next()??;
            regions.all(|region| region == Some(first)).then_some(first)
        }
    }
}

/// `to` or `recipient`; where both are there, `to` counts, as it does for Meta.
fn recipient(
    root: &Look<'_, '_, '_>,
    region: impl Fn() -> Option<Region>,
    faults: &mut Faults,
) -> Option<To> {
    let recipient = root.member("recipient").and_then(|look| recipient::recipient(&look, faults));
    match root.member("to") {
        Some(to) => recipient::to(&to, region, faults),
        None => recipient,
    }
}

fn priority(root: &Look<'_, '_, '_>, faults: &mut Faults) -> Priority {
    let Some(look) = root.member("priority") else { return Priority::default() };
    let word = look.value.text().unwrap_or_default();
    if look.one_of(&word, &Priority::ALL.map(Priority::as_str), faults) {
        Priority::parse(&word).unwrap_or_default()
    } else {
        Priority::default()
    }
}
