//! What a check found: one line for a person, one object for a program.

use std::time::Duration;

use serde_json::{Map, Value};

/// What is looked at, in the order in which it's shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The gateway itself.
    Gateway,
    /// The certificate that Meta sees.
    Certificate,
    /// The box's clock.
    Clock,
    /// Names to addresses.
    Dns,
    /// WhatsApp and CRM, and how quickly they answer.
    Reach,
    /// The credentials of WhatsApp.
    Token,
    /// Whether Meta sends webhooks here.
    Subscription,
    /// How long Meta keeps what couldn't be delivered.
    Storage,
    /// Whether the CRM takes a record.
    Crm,
    /// Room for records.
    Disk,
    /// How worn the drive is.
    Flash,
    /// The machine below: firmware, time servers, updates.
    Board,
}

impl Check {
    /// All of them, in order.
    pub(super) const ALL: [Self; 12] = [
        Self::Gateway,
        Self::Certificate,
        Self::Clock,
        Self::Dns,
        Self::Reach,
        Self::Token,
        Self::Subscription,
        Self::Storage,
        Self::Crm,
        Self::Disk,
        Self::Flash,
        Self::Board,
    ];

    /// The word on the line and in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Dns => "dns",
            Self::Reach => "reach",
            Self::Token => "token",
            Self::Subscription => "subscription",
            Self::Storage => "storage",
            Self::Crm => "crm",
            Self::Disk => "disk",
            Self::Flash => "flash",
            Self::Board => "board",
        }
    }
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and somebody should see to it.
    Warn,
    /// It doesn't work.
    Fail,
    /// It couldn't be looked at, or there is nothing to look at.
    Skip,
}

impl State {
    /// The word on the line and in JSON.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One line of the answer. Holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: Check,
    /// Which one of several: an endpoint, a host, a number.
    pub(super) about: Option<String>,
    /// How it stands.
    pub(super) state: State,
    /// What was found, without a full stop.
    pub(super) summary: String,
    /// What it means, or more of it.
    pub(super) detail: Option<String>,
    /// What to do.
    pub(super) next: Option<String>,
    /// How long the answer took.
    pub(super) latency: Option<Duration>,
    /// Figures for programs.
    pub(super) facts: Map<String, Value>,
}

impl Finding {
    pub(super) fn new(check: Check, state: State, summary: impl Into<String>) -> Self {
        Self {
            check,
            about: None,
            state,
            summary: summary.into(),
            detail: None,
            next: None,
            latency: None,
            facts: Map::new(),
        }
    }

    pub(super) fn ok(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, State::Ok, summary)
    }

    pub(super) fn warn(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, State::Warn, summary)
    }

    pub(super) fn fail(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, State::Fail, summary)
    }

    pub(super) fn skip(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, State::Skip, summary)
    }

    pub(super) fn about(mut self, what: &str) -> Self {
        self.about = Some(what.to_owned());
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(super) const fn latency(mut self, took: Duration) -> Self {
        self.latency = Some(took);
        self
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}
