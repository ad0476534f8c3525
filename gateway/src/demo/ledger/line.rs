//! What the list of a demo is made of.

use std::time::Duration;

use simulate::Item;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) enum Line {
    Row(Row),
    Note(Note),
}

/// One message or status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) struct Row {
    /// Since the start.
    pub(in crate::demo) sent_at: Duration,
    pub(in crate::demo) item: Item,
    pub(in crate::demo) on_disk: OnDisk,
    pub(in crate::demo) in_crm: InCrm,
    /// The CRM was away, or catching up, at some time between: its latency isn't the gateway's.
    pub(super) held_up: bool,
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
