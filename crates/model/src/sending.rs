//! What the store wants to say, and what the world says about it: the nouns of the way out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{crockford, from_crockford};
use crate::{Alias, Sequence, WallTime};

/// The box's own name for a message that it is to send: `m-` and 26 characters of Crockford base 32.
///
/// The first 64 of its 128 bits are the message's place in the outbox, the rest is chance: an id of a
/// store that was restored from an older copy never names another message. It travels as
/// `biz_opaque_callback_data` and comes back with every status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutboxId {
    /// The place in the outbox, from 1; only ever grows.
    pub place: u64,
    /// 64 random bits.
    pub chance: u64,
}

impl OutboxId {
    const PREFIX: &'static str = "m-";

    /// The id that a text is; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bits = from_crockford(text.strip_prefix(Self::PREFIX)?)?;
        let [place, chance] = [bits >> 64, bits].map(|bits| u64::try_from(bits & u128::from(u64::MAX)));
        let id = Self { place: place.ok()?, chance: chance.ok()? };
        // One spelling each: what is longer than 128 bits would be another text of the same id.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from(self.place) << 64 | u128::from(self.chance);
        write!(f, "{}{}", Self::PREFIX, crockford(bits))
    }
}

/// Who goes first. The numbers are stored: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A customer waits for it.
    Reply = 0,
    /// One message to one customer: an order confirmation, a reminder.
    #[default]
    Service = 1,
    /// One of many: goes out in batches when a limit comes near.
    Campaign = 2,
}

impl Priority {
    /// All of them, the first to go first.
    pub const ALL: [Self; 3] = [Self::Reply, Self::Service, Self::Campaign];

    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Service => "service",
            Self::Campaign => "campaign",
        }
    }

    /// The priority that a word of the API names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == word)
    }
}

/// Where a message stands, as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It goes as soon as its turn comes.
    Queued,
    /// Something has to happen first; the reason says what.
    Held,
    /// It is being posted.
    Sending,
    /// Graph said 200.
    Accepted,
    /// A status said so.
    Sent,
    /// A status said so.
    Delivered,
    /// A status said so.
    Read,
    /// It isn't going to arrive. Final.
    Failed,
    /// Its time ran out before it could go. Final.
    Expired,
    /// It was taken back. Final.
    Cancelled,
    /// Posted, and nobody knows what came of it.
    Uncertain,
}

impl Standing {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Uncertain => "uncertain",
        }
    }
}

/// Whom a message goes to, as it is written on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Address {
    /// E.164 with its `+`: without it Meta would put the store's own country code in front.
    Phone(String),
    /// A business-scoped user id.
    UserId(String),
}

impl Address {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(text) | Self::UserId(text) => text,
        }
    }
}

/// Which member of a message carries a business-scoped user id: those who send to one disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UserIdField {
    /// `recipient`, as Meta's page has it.
    #[default]
    Recipient,
    /// `to`, as for a phone.
    To,
}

/// What came of one call that posts a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200: Graph has taken it, no more.
    Accepted {
        /// The id that WhatsApp gave it; `None` where the answer has none.
        wamid: Option<String>,
        /// The recipient's number as WhatsApp writes it.
        wa_id: Option<String>,
        /// The recipient's business-scoped user id.
        user_id: Option<String>,
        /// `held_for_quality_assessment` or `paused`, of a paced template.
        pacing: Option<String>,
    },
    /// An answer that says no.
    Refused(Refusal),
    /// The request surely never left the box: no connection, no name, no TLS.
    NotSent {
        /// Why, in words.
        reason: String,
    },
    /// It may have been taken: no answer in time, a connection that broke, an answer that isn't one.
    Unknown {
        /// Why, in words.
        reason: String,
    },
}

/// Graph's error, or that of a status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refusal {
    /// Meta's code, by which everything is decided.
    pub code: Option<i64>,
    /// `error_data.details`, else `message`: for people, at most 500 bytes.
    pub details: String,
    /// The status of the answer; `None` from a status webhook.
    pub http: Option<u16>,
    /// What `Retry-After` or `estimated_time_to_regain_access` asks for, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Meta says of itself that it will pass.
    pub transient: bool,
}

/// What a status webhook says of a message that the store sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusWord {
    /// One tick.
    Sent,
    /// Two ticks.
    Delivered,
    /// Blue ticks; a voice message that was played, too.
    Read,
    /// It won't arrive.
    Failed,
}

/// What a message cost, as its status says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pricing {
    /// `marketing`, `utility`, `service`, ...
    pub category: String,
    /// `regular`, `free_customer_service`, ...; only `regular` costs something.
    pub kind: String,
}

/// What a record of the journal means for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The record.
    pub sequence: Sequence,
    /// When it happened, as Meta's signed webhook says; a floor for now.
    pub at: Option<WallTime>,
    /// The number that it is about.
    pub number: Option<String>,
    /// The contact's 128 bits, where there is one.
    pub contact: Option<u128>,
    /// What it says.
    pub says: Says,
}

/// See [`Fact`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Nothing but the time.
    Nothing,
    /// The customer wrote: the service window is open for 24 h from then on.
    Inbound {
        /// The message, for reading it back as read.
        wamid: String,
    },
    /// Something became of a message of ours.
    Status {
        /// The message, as WhatsApp calls it.
        wamid: Option<String>,
        /// The message, as the box calls it, where it is one of the box's.
        outbox_id: Option<OutboxId>,
        /// What became of it.
        word: StatusWord,
        /// Why it failed.
        refusal: Option<Refusal>,
        /// What it cost.
        pricing: Option<Pricing>,
        /// In a group: one of the participants, so that the message itself has no single status.
        of_participant: bool,
    },
    /// The customer wants no more marketing, or wants it again.
    Marketing {
        /// By whatever names the customer is known.
        aliases: Vec<Alias>,
        /// True for `stop`.
        stopped: bool,
    },
    /// Meta's limit of unique recipients in 24 h for the business; `None` for no limit.
    UniqueLimit(Option<u64>),
    /// Meta lets the number send so many messages a second.
    Throughput(u32),
    /// Meta has restricted, banned or disabled the account or the number, or let it in again.
    Account {
        /// Whether it may send.
        usable: bool,
        /// In Meta's words, for people.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_id_has_one_spelling() {
        let id = OutboxId { place: 77, chance: u64::MAX - 1 };
        let text = id.to_string();
        assert_eq!(text.len(), 28);
        assert_eq!(OutboxId::parse(&text), Some(id));
        for bad in
            ["", "m-", &text[1..], &text.to_lowercase(), &format!("{text}0"), &text.replace("m-", "c-")]
        {
            assert_eq!(OutboxId::parse(bad), None, "{bad}");
        }
        // 26 digits have room for 130 bits.
        assert_eq!(OutboxId::parse("m-Z0000000000000000000000000"), None);
        assert!(id < OutboxId { place: 78, chance: 0 });
    }

    #[test]
    fn priorities_go_in_their_order() {
        assert!(Priority::Reply < Priority::Service && Priority::Service < Priority::Campaign);
        assert_eq!(Priority::parse("campaign"), Some(Priority::Campaign));
        assert_eq!(Priority::parse("Reply"), None);
    }
}
