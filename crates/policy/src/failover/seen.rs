//! What is seen of an endpoint.

use std::time::Duration;

use super::settings::Settings;

/// How a call or a probe ended, its latency aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An answer that speaks for the endpoint.
    Good,
    /// An answer that speaks of us: throttled, not let in, a bad request. No strike, and nothing good either.
    Neutral,
    /// No answer, or one that only a sick endpoint gives.
    Failed,
    /// The endpoint says that it can't send.
    Blocked,
}

/// What is held against an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Its answer came late, or hasn't come yet.
    Slow,
    /// No answer, or a broken one.
    Failed,
    /// It says itself that nothing can be sent.
    Blocked,
}

impl Strike {
    /// The word for logs and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}

/// An answer and its latency, weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Good,
    /// In time, but not as it should be: neither a strike nor good.
    Between,
    Neutral,
    Strike(Strike),
}

impl Seen {
    pub(super) fn weigh(answer: Answer, latency: Duration, settings: &Settings) -> Self {
        match answer {
            Answer::Failed => Self::Strike(Strike::Failed),
            Answer::Blocked => Self::Strike(Strike::Blocked),
            Answer::Neutral => Self::Neutral,
            Answer::Good if latency > settings.slow => Self::Strike(Strike::Slow),
            Answer::Good if latency > settings.normal => Self::Between,
            Answer::Good => Self::Good,
        }
    }
}
