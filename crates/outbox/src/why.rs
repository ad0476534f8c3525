//! Why a message is held, failed or ended: a word for programs, a sentence for people.

use serde::{Deserialize, Serialize};

/// Why. Variants are stored: only ever append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// Free-form, and the customer hasn't written for 24 h.
    WindowClosed,
    /// No consent, and pushed within 24 h.
    PushLimit,
    /// No room for another unique recipient in the moving 24 h.
    UniqueRecipients,
    /// One message each 6 s to one customer.
    PairRate,
    /// Refused for the moment; it is tried again.
    Retry,
    /// WhatsApp withholds marketing from this customer for a while.
    Withheld,
    /// The day's messages are used up.
    MessagesPerDay,
    /// The day's API calls are used up.
    ApiCallsPerDay,
    /// Campaign messages go out in batches.
    Batch,
    /// Nothing goes to WhatsApp before a person has seen to it.
    Stopped,
    /// WhatsApp wants fewer calls.
    Throttled,
    /// The number isn't in the configuration, or has no endpoint.
    NoRoute,
    /// The customer wants no marketing.
    OptedOut,
    /// Its time ran out.
    Expired,
    /// It was taken back.
    Cancelled,
    /// WhatsApp won't have it.
    Refused,
    /// A status said that it failed.
    FailedLater,
    /// No answer to the call.
    NoAnswer,
    /// A person said so.
    Person,
    /// The window has closed, so the template went in its place.
    FellBack,
    /// Sent again after a long wait, as the configuration says.
    SentAgain,
    /// The endpoint doesn't answer, or not as it should.
    EndpointDown,
}

impl Why {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WindowClosed => "window_closed",
            Self::PushLimit => "push_limit",
            Self::UniqueRecipients => "unique_recipients_per_24h",
            Self::PairRate => "pair_rate",
            Self::Retry => "retry",
            Self::Withheld => "withheld",
            Self::MessagesPerDay => "messages_per_day",
            Self::ApiCallsPerDay => "api_calls_per_day",
            Self::Batch => "batch",
            Self::Stopped => "stopped",
            Self::Throttled => "throttled",
            Self::NoRoute => "no_route",
            Self::OptedOut => "opted_out",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::FailedLater => "failed_later",
            Self::NoAnswer => "no_answer",
            Self::Person => "person",
            Self::FellBack => "fallback",
            Self::SentAgain => "sent_again",
            Self::EndpointDown => "endpoint_down",
        }
    }

    /// What it means and what happens next.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::WindowClosed => {
                "the customer hasn't written for 24 hours: it goes when they write, or send a template"
            }
            Self::PushLimit => {
                "the customer hasn't agreed to messages and got one within 24 hours: it goes when those are over, or when they write"
            }
            Self::UniqueRecipients => {
                "as many customers as the limit allows were written to within 24 hours: it goes when there is room"
            }
            Self::PairRate => "one customer gets one message each 6 seconds: it goes in a moment",
            Self::Retry => "it surely didn't go, and is tried again",
            Self::Withheld => {
                "WhatsApp withholds marketing from this customer for now: it is tried again later"
            }
            Self::MessagesPerDay => "the day's messages are used up: it goes after the number's midnight",
            Self::ApiCallsPerDay => "the day's API calls are used up: it goes after the number's midnight",
            Self::Batch => "a limit is near, so campaign messages go out in batches",
            Self::Stopped => "WhatsApp lets the number send nothing: see the alarm",
            Self::Throttled => "WhatsApp wants fewer calls: it goes in a while",
            Self::NoRoute => "its number isn't in the configuration, or has no endpoint",
            Self::OptedOut => "the customer wants no marketing",
            Self::Expired => "its time ran out before it could go",
            Self::Cancelled => "it was taken back",
            Self::Refused => "WhatsApp refused it",
            Self::FailedLater => "WhatsApp took it and couldn't deliver it",
            Self::NoAnswer => "it was posted and nobody knows what came of it: a status or a person will say",
            Self::Person => "a person said so",
            Self::FellBack => "the window had closed, so the template went in its place",
            Self::SentAgain => "nothing was heard of it for long, so it is sent again",
            Self::EndpointDown => {
                "WhatsApp doesn't answer as it should: one message at a time is tried, and the others wait"
            }
        }
    }
}
