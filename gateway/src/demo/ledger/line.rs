//! What the list of a demo is made of.

use std::sync::Arc;
use std::time::Duration;

use simulate::Item;
use simulate::crm::{Reply, Tick};

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) enum Line {
    Row(Row),
    Reply(Sent),
    Note(Note),
}

impl Line {
    /// Whether it may go when there are too many.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Row(row) => row.is_over(),
            Self::Reply(sent) => sent.is_over(),
            Self::Note(_) => true,
        }
    }
}

/// One message of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) struct Row {
    /// Since the start.
    pub(in crate::demo) sent_at: Duration,
    pub(in crate::demo) item: Item,
    pub(in crate::demo) on_disk: OnDisk,
    pub(in crate::demo) in_crm: InCrm,
}

/// What WhatsApp knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) enum OnDisk {
    Asked,
    Acknowledged(Duration),
    /// It comes again.
    Failed(String),
}

/// What the CRM knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum InCrm {
    NotYet,
    Arrived(Duration),
    /// A copy of what was sent before, so there is nothing to hand on.
    Known,
    /// The event was missed.
    Unseen,
}

impl Row {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.on_disk, OnDisk::Acknowledged(_)) && self.in_crm != InCrm::NotYet
    }
}

/// One reply of the CRM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) struct Sent {
    /// When the CRM first posted it, since the start.
    pub(in crate::demo) posted_at: Duration,
    pub(in crate::demo) reply: Arc<Reply>,
    /// What the CRM knows of its queueing.
    pub(in crate::demo) on_disk: OnDisk,
    /// How far it got; nothing while it is on its way to WhatsApp.
    pub(in crate::demo) tick: Option<Tick>,
    /// From the first posting to when WhatsApp took it.
    pub(in crate::demo) accepted: Option<Duration>,
    /// From the first posting to the last tick.
    pub(in crate::demo) latest: Option<Duration>,
    /// Its name in the outbox.
    pub(super) outbox_id: Option<Arc<str>>,
    /// Events were missed, so it may have got further.
    pub(in crate::demo) unseen: bool,
}

impl Sent {
    /// Whether the customer has it, or never will.
    fn is_over(&self) -> bool {
        self.unseen || self.tick.is_some_and(|tick| tick >= Tick::Delivered)
    }

    /// Whether nothing more can happen to it.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self.tick, Some(Tick::Read | Tick::Failed))
    }
}

/// Something that the demo wants to be noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) struct Note {
    pub(in crate::demo) at: Duration,
    pub(in crate::demo) mood: Mood,
    pub(in crate::demo) text: String,
}

/// How a note is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Mood {
    Good,
    Trouble,
    Bad,
}
