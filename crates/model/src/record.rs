//! What a webhook is taken apart into, and what an item becomes once it has a place.

use crate::{ContactId, Sequence, WallTime};

/// What happened; the `type` of a record says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A customer wrote to the store.
    MessageReceived,
    /// Something became of a message that the store had sent.
    MessageStatus,
    /// The box sent a message for the CRM.
    MessageSent,
    /// The store wrote with its own phone app.
    MessageEcho,
    /// Anything else that WhatsApp says about the account.
    AccountEvent,
    /// Signed by Meta, and not understood.
    Unknown,
    /// A message that the box had sent is still unread.
    MessageUnread,
    /// A group of endpoints goes by another one.
    EndpointChanged,
}

impl Kind {
    /// Every kind, in the order in which they came to be; a new one goes to the end.
    pub const ALL: [Self; 8] = [
        Self::MessageReceived,
        Self::MessageStatus,
        Self::MessageSent,
        Self::MessageEcho,
        Self::AccountEvent,
        Self::Unknown,
        Self::MessageUnread,
        Self::EndpointChanged,
    ];

    /// The CloudEvents `type`.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::MessageReceived => "wagate.message.received.v1",
            Self::MessageStatus => "wagate.message.status.v1",
            Self::MessageSent => "wagate.message.sent.v1",
            Self::MessageEcho => "wagate.message.echo.v1",
            Self::AccountEvent => "wagate.account.event.v1",
            Self::Unknown => "wagate.unknown.v1",
            Self::MessageUnread => "wagate.message.unread.v1",
            Self::EndpointChanged => "wagate.endpoint.changed.v1",
        }
    }

    /// The kind that an event type names.
    #[must_use]
    pub fn from_event_type(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event_type() == text)
    }
}

/// The way by which a message came, where it isn't the ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Another application holds the conversation; the store only listens.
    Standby,
    /// The conversations of the months before, sent once at onboarding.
    History,
}

impl Via {
    /// The word in `data.via`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::History => "history",
        }
    }
}

/// The store's side of a conversation, as the payload names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// WhatsApp Business account (`entry.id`).
    pub waba_id: Option<String>,
    /// The number's id, by which everything is routed.
    pub phone_number_id: Option<String>,
    /// The number itself as E.164, `+85291234567`; a label.
    pub phone: Option<String>,
}

/// The customer's side of a conversation, as the payload names it.
///
/// Any of it may be missing: who has taken a username may come without a phone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// `+` and the digits as WhatsApp sent them.
    pub phone: Option<String>,
    /// The digits as WhatsApp sent them.
    pub wa_id: Option<String>,
    /// Business-scoped user id, `US.13491208655302741918`.
    pub user_id: Option<String>,
    /// The same for linked portfolios, `US.ENT.…`.
    pub parent_user_id: Option<String>,
    /// Without a leading `@`.
    pub username: Option<String>,
    /// The name that the person chose in WhatsApp.
    pub name: Option<String>,
    /// Everything by which the person may be known, the strongest first; what a number change
    /// names together stands here together.
    pub aliases: Vec<Alias>,
}

/// One of the names by which a person is known, in the form in which names are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias {
    /// Which kind of name; equal values of two kinds are different aliases.
    pub kind: AliasKind,
    /// The comparable form. For a phone the digits with the variants of Brazil, Mexico and
    /// Argentina folded into one.
    pub value: String,
}

/// The kinds of names, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AliasKind {
    /// Business-scoped user id.
    UserId,
    /// Phone number or `wa_id`.
    Phone,
    /// Parent user id.
    ParentUserId,
    /// Username. May pass to another person, so it finds somebody only where nothing else is
    /// known, and never joins two contacts.
    Username,
}

/// One unit of a webhook: understood just far enough to be told from others, put into a lane and
/// shown later. The rest stays in `raw` and is read when the record is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What happened.
    pub kind: Kind,
    /// `/wagate/{phone_number_id}`, else `/wagate/{waba_id}`, else `/wagate`.
    pub source: String,
    /// With `source`, what makes two records the same.
    pub id: String,
    /// When it happened, as WhatsApp says; the time of receipt stands in where it says nothing.
    pub time: Option<WallTime>,
    /// The store's side.
    pub account: Account,
    /// The customer's side, where there is one.
    pub contact: Option<Contact>,
    /// Group id, in a group.
    pub group: Option<String>,
    /// Set where the message didn't come the ordinary way.
    pub via: Option<Via>,
    /// The webhook field that it came in (`messages`, `account_update`, …); empty where there was
    /// none.
    pub field: String,
    /// Why the box couldn't understand it, for [`Kind::Unknown`]: a short word such as
    /// `not_json`. Empty otherwise.
    pub reason: String,
    /// The bytes as they came: the item's own piece of the payload, or the whole body.
    pub raw: Vec<u8>,
}

/// An item that has its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The place.
    pub sequence: Sequence,
    /// When the box took it, by the box's clock of that moment.
    pub received_at: WallTime,
    /// The box's name for the customer; `None` exactly where the item has no contact.
    pub contact_id: Option<ContactId>,
    /// True for a dead letter that a person sent again: it comes late, with its old sequence.
    pub replayed: bool,
    /// The item.
    pub item: Item,
}

impl Record {
    /// The lane that the record travels in: records of one lane are handed over one after another.
    #[must_use]
    pub fn lane(&self) -> &str {
        self.contact_id.as_ref().map_or(&self.item.source, ContactId::as_str)
    }
}
