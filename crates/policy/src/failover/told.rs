//! What a group tells the shell: what to do, what has changed, how it stands.

use std::time::Duration;

use super::health::State;
use super::seen::Strike;
use crate::Moment;

/// What the shell should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Probe this endpoint: [`Group::probe_begins`] and [`Group::probed`], or [`Group::probe_skipped`].
    Probe(usize),
    /// Nothing, until something happens or the time has come.
    Wait(Moment),
}

/// Why another endpoint is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The one before went out of use.
    OutOfUse(Strike),
    /// A preferred one has shown that it works.
    Recovered,
    /// All are out of use, and this one is the least bad.
    LeastBad,
}

impl Why {
    /// The word for events and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfUse(strike) => strike.as_str(),
            Self::Recovered => "recovered",
            Self::LeastBad => "least_bad",
        }
    }
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Another endpoint is active: what waits for an endpoint may go now.
    Switched {
        /// The one before.
        from: usize,
        /// The one from now on.
        to: usize,
        /// Why.
        why: Why,
    },
    /// An endpoint stands in another way.
    Stands {
        /// Which.
        endpoint: usize,
        /// How it stood.
        before: State,
        /// How it stands. Of the active one, [`State::Closed`] after [`State::HalfOpen`] says that what
        /// waits may go.
        now: State,
    },
}

/// What is shown of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// How it stands.
    pub state: State,
    /// Whether it is the one in use.
    pub active: bool,
    /// Strikes against it.
    pub strikes: u32,
    /// Of the last answer, of a probe or of a call.
    pub latency: Option<Duration>,
    /// When the last probe ended.
    pub last_probe: Option<Moment>,
}

/// What outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The active endpoint.
    pub active: usize,
    /// Of each endpoint, how often its breaker opened soon after it had closed.
    pub levels: Vec<u32>,
}
