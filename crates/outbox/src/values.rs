//! What is kept of messages, lanes, ledgers and people: the first layout of each, never edited.

use model::{Address, OutboxId, Priority, Refusal, Standing, StatusWord};
use serde::{Deserialize, Serialize};

use crate::why::Why;

/// What kind of message it is, as far as sending goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Goes only into an open window.
    FreeForm,
    /// A template.
    Template,
    /// Marks messages of the customer as read; no message of its own.
    ReadMark,
}

/// A template that takes a message's place when its window has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The Cloud API object, as in [`crate::Draft`].
    pub payload: String,
    /// The template's name.
    pub template: String,
}

/// A message as it was queued; never changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) chance: u64,
    pub(crate) number: String,
    pub(crate) contact: u128,
    pub(crate) to: Option<Address>,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    pub(crate) template: Option<String>,
    pub(crate) payload: String,
    pub(crate) fallback: Option<Fallback>,
    pub(crate) queued_ms: i64,
    /// When the caller gives it up; `None` for the default of what holds it.
    pub(crate) expires_ms: Option<i64>,
    /// Under which key its idempotency is kept.
    pub(crate) key: [u8; 16],
    /// The first message of its call, and how many there are.
    pub(crate) first: u64,
    pub(crate) parts: u8,
}

impl Message {
    pub(crate) const fn id(&self, place: u64) -> OutboxId {
        OutboxId { place, chance: self.chance }
    }

    /// Its place among those of one contact, and among the heads of lanes: who goes first.
    pub(crate) const fn class(&self) -> u8 {
        match (self.kind, self.priority) {
            (Kind::ReadMark, _) => MARKS,
            (_, Priority::Reply) => 1,
            (_, Priority::Service) => 2,
            (_, Priority::Campaign) => CAMPAIGN,
        }
    }
}

/// The class of marks as read, which take no message unit.
pub(crate) const MARKS: u8 = 0;
/// The class of what may go in batches.
pub(crate) const CAMPAIGN: u8 = 3;
/// All classes, the first to go first.
pub(crate) const CLASSES: [u8; 4] = [MARKS, 1, 2, CAMPAIGN];

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) standing: Standing,
    /// Why it is held, or failed.
    pub(crate) why: Option<Why>,
    /// When it is looked at again, for a message that is held for a time.
    pub(crate) not_before_ms: Option<i64>,
    /// When it is given up, unless it has gone by then.
    pub(crate) expires_ms: Option<i64>,
    /// Calls made.
    pub(crate) attempts: u32,
    /// Refusals in a row that are tried again.
    pub(crate) refusals: u32,
    /// The local day whose unit it has.
    pub(crate) unit_day: Option<i32>,
    /// The local day that its last call was counted on.
    pub(crate) call_day: Option<i32>,
    /// The push that it was counted as.
    pub(crate) push: Option<Push>,
    pub(crate) wamid: Option<String>,
    pub(crate) endpoint: Option<String>,
    /// The fallback went in its place.
    pub(crate) fell_back: bool,
    pub(crate) accepted_ms: Option<i64>,
    pub(crate) delivered_ms: Option<i64>,
    /// The date of its last intent.
    pub(crate) posted_ms: Option<i64>,
    /// When it became uncertain.
    pub(crate) uncertain_ms: Option<i64>,
    /// The CRM was told that it is sent.
    pub(crate) told: bool,
    /// The CRM was told that it is unread.
    pub(crate) told_unread: bool,
    /// Its price was charged.
    pub(crate) charged: bool,
    /// WhatsApp has withheld it once.
    pub(crate) withheld: bool,
    /// It is sent once more: the first time may have been enough.
    pub(crate) again: bool,
    /// WhatsApp has said once that its window is closed, while the box thought it open.
    pub(crate) doubted: bool,
    /// The last refusal.
    pub(crate) refusal: Option<Refusal>,
    /// When it was over.
    pub(crate) over_ms: Option<i64>,
    pub(crate) history: Vec<Step>,
}

/// One step in the history of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How it stood from then on.
    pub standing: Standing,
    /// Why.
    pub why: Option<Why>,
}

/// What the ledgers said before a message was counted as a push, to take it back by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Push {
    pub(crate) at_ms: i64,
    pub(crate) recipient_before_ms: Option<i64>,
    pub(crate) person_before_ms: Option<i64>,
}

/// A recipient's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) busy: Busy,
    /// The class and place of the message that is entered as its head.
    pub(crate) head: Option<(u8, u64)>,
    /// The theoretical arrival time of the pair rate.
    pub(crate) pair_ms: i64,
}

/// What keeps a lane from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Busy {
    #[default]
    No,
    /// This message is being posted.
    Posting(u64),
    /// Until then, for the sake of this message.
    Until {
        /// When it ends.
        at: i64,
        /// The message.
        on: u64,
    },
}

/// Units used on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Units {
    pub(crate) messages: u64,
    pub(crate) calls: u64,
}

impl Units {
    /// What can't be read any more: no limit has room for another, whatever is still given back or taken.
    pub(crate) const USED_UP: Self = Self { messages: u64::MAX / 2, calls: u64::MAX / 2 };

    /// For people: nobody has used more than fits.
    pub(crate) const fn messages_shown(self, limit: u64) -> u64 {
        if self.messages > u64::MAX / 4 { limit } else { self.messages }
    }

    /// As [`Units::messages_shown`], of calls.
    pub(crate) const fn calls_shown(self, limit: u64) -> u64 {
        if self.calls > u64::MAX / 4 { limit } else { self.calls }
    }
}

/// What a person agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) opted_in: Option<Consent>,
    /// When marketing was stopped.
    pub(crate) stopped_ms: Option<i64>,
    /// The last message outside an open window.
    pub(crate) pushed_ms: Option<i64>,
    /// Since when something lies unread for a day.
    pub(crate) unread_ms: Option<i64>,
}

/// A person's word that messages are welcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// When it was given, in milliseconds since 1970.
    pub at_ms: i64,
    /// How it can be shown: where, when and with which words.
    pub proof: String,
}

/// The last message of a customer to a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) last_ms: i64,
    pub(crate) wamid: String,
    /// WhatsApp has said that it is closed, whatever the time.
    pub(crate) denied: bool,
}

/// A number's way to WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) stopped: Option<Stop>,
    /// Nothing goes before.
    pub(crate) slow_until_ms: i64,
    /// Throttled so often in a row.
    pub(crate) throttled: u32,
    pub(crate) batch: Batch,
    /// Messages that drew a stop: their lanes let others have the next trial.
    pub(crate) tried: Vec<u64>,
    /// What Meta says that it may send a second.
    pub(crate) per_second: Option<u32>,
}

/// The batch of campaign messages that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) next_ms: i64,
    pub(crate) left: u64,
}

/// Why nothing goes to WhatsApp, until a person has seen to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Meta's code.
    pub code: Option<i64>,
    /// In words.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// When one message is tried again.
    pub trial_ms: i64,
    /// A failed status said so. WhatsApp takes the messages of such a number and lets them fail, so that it takes one
    /// proves nothing.
    pub by_status: bool,
}

/// Messages of a number by standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// In a lane.
    pub queued: u64,
    /// Held, each for its own reason.
    pub held: u64,
    /// Being posted.
    pub sending: u64,
    /// Posted, with nobody knowing what came of it.
    pub uncertain: u64,
}

/// A status that came before its message was known by its wamid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Early {
    pub(crate) at_ms: i64,
    pub(crate) said: Vec<EarlyWord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EarlyWord {
    pub(crate) word: StatusWord,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) pricing: Option<model::Pricing>,
}

/// What a call with an `Idempotency-Key` was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) body: [u8; 16],
    pub(crate) first: u64,
    pub(crate) parts: Vec<(u64, u64)>,
    pub(crate) standing: Standing,
    pub(crate) window_closes_ms: Option<i64>,
    pub(crate) not_before_ms: Option<i64>,
}

/// What was charged for one category on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charges {
    /// Messages that a status named a price category for.
    pub messages: u64,
    /// Those of them that cost something.
    pub billed: u64,
    /// By the rate card, in millionths of its currency.
    pub micros: i64,
}
