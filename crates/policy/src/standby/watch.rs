//! The peer as it is heard.

use std::time::Duration;

use crate::Moment;

/// So many questions in a row without an answer are at least needed for a silence.
pub const MISSES: u32 = 3;

/// A taking over that Meta hasn't confirmed is tried again so much later: a box that can't reach Meta costs
/// nothing but the question, and one that can has waited no longer than a customer would.
pub const RETRY: Duration = Duration::from_secs(30);

/// `[standby]`, as far as decisions go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Between two questions to the peer.
    pub every: Duration,
    /// After so long without a sign of life the peer is silent; at least twice `every`.
    pub silent_for: Duration,
    /// Whether its webhooks are then taken over.
    pub take: bool,
}

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The peer answers, or hasn't been silent for long enough.
    Watching,
    /// The peer is silent.
    Silent {
        /// Its last sign of life, or the start of this box.
        since: Moment,
    },
    /// This box holds webhooks of the peer's.
    Taken,
}

impl State {
    /// The word of the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Silent { .. } => "silent",
            Self::Taken => "taken",
        }
    }
}

/// Watches one peer.
#[derive(Debug, Clone)]
pub struct Standby {
    settings: Settings,
    /// The last sign of life, or the start.
    heard_at: Moment,
    /// Questions without an answer since then.
    misses: u32,
    /// The peer has ever been heard at its address.
    known: bool,
    /// This box holds webhooks of the peer's.
    holds: bool,
    /// The next silence may lead to a taking over.
    armed: bool,
    /// A taking over has begun in this silence, and isn't confirmed.
    taking: bool,
    /// When it is next tried.
    next_try: Moment,
}

impl Standby {
    /// Begins to watch. `known`: the peer has been heard before, if not by this process; `holds`: this
    /// box holds webhooks of the peer's from before.
    #[must_use]
    pub const fn new(settings: Settings, known: bool, holds: bool, now: Moment) -> Self {
        Self { settings, heard_at: now, misses: 0, known, holds, armed: !holds, taking: false, next_try: now }
    }

    /// The peer was asked, and did or didn't give a sign of life by `now`.
    pub fn probed(&mut self, answered: bool, now: Moment) {
        if !answered {
            self.misses = self.misses.saturating_add(1);
            return;
        }
        self.heard_at = self.heard_at.max(now);
        self.misses = 0;
        self.known = true;
        self.taking = false;
        self.armed = !self.holds;
    }

    /// This box holds webhooks of the peer's, or none any more, whoever has taken or given them back.
    ///
    /// `confirmed`: it holds all that there are, so that there is nothing left to take.
    pub const fn holds(&mut self, any: bool, confirmed: bool) {
        if confirmed {
            self.taking = false;
        }
        if any {
            self.armed = false;
        } else if self.holds {
            self.taking = false;
        }
        self.holds = any;
    }

    /// Whether to try to take over now. The answer is yes once; then the next is yes after [`RETRY`], as long
    /// as the silence lasts and [`Self::holds`] hasn't confirmed it.
    #[must_use]
    pub fn is_due(&mut self, now: Moment) -> bool {
        if !self.settings.take || !self.known || self.silent_since(now).is_none() {
            return false;
        }
        if self.taking && now >= self.next_try {
            self.next_try = now + RETRY;
            return true;
        }
        if !self.taking && self.armed {
            self.taking = true;
            self.armed = false;
            self.next_try = now + RETRY;
            return true;
        }
        false
    }

    /// How things stand.
    #[must_use]
    pub fn state(&self, now: Moment) -> State {
        if self.holds {
            return State::Taken;
        }
        self.silent_since(now).map_or(State::Watching, |since| State::Silent { since })
    }

    /// Since when the peer has been silent, also while this box holds its webhooks; `None`: it isn't.
    #[must_use]
    pub fn silent_since(&self, now: Moment) -> Option<Moment> {
        let long = now.since(self.heard_at) >= self.settings.silent_for;
        (long && self.misses >= MISSES).then_some(self.heard_at)
    }

    /// The last sign of life, or the start.
    #[must_use]
    pub const fn heard_at(&self) -> Moment {
        self.heard_at
    }

    /// Whether the peer has ever been heard.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Questions in a row without an answer.
    #[must_use]
    pub const fn misses(&self) -> u32 {
        self.misses
    }

    /// How long after a question the next is due.
    #[must_use]
    pub fn ask_every(&self) -> Duration {
        if self.taking { self.settings.every.min(RETRY) } else { self.settings.every }
    }
}
