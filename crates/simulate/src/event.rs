//! What the stand-ins tell while they work, for a live view.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::crm::{Complaint, Reply};

/// How many events wait for a slow viewer; the oldest are then skipped, and the viewer is told.
pub const EVENTS_WAITING_MAX: usize = 1_024;

/// One message or status in a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The `id` that its record must have: the wamid, or `wamid:status`.
    pub id: Box<str>,
    /// What it is.
    pub what: What,
    /// Which of the simulated contacts, counted from 0.
    pub contact: u32,
    /// The contact's own running number, from 1, over messages and statuses alike. A message
    /// carries it in its text, `… #17`.
    pub counter: u32,
    /// The contact's name.
    pub name: Arc<str>,
    /// The text or caption without the running number; empty for a status.
    pub text: &'static str,
    /// True for a copy of an item that was sent before.
    pub repeat: bool,
}

/// What an [`Item`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A customer's message, by its `type`.
    Message(&'static str),
    /// A status of one of the store's messages, by its word.
    Status(&'static str),
}

/// Something happened in a stand-in.
#[derive(Debug, Clone)]
pub enum Event {
    /// WhatsApp began to send a webhook.
    Sent {
        /// What it holds.
        items: Arc<[Item]>,
        /// The size of the body.
        bytes: usize,
        /// 1 for the first time, more for repetitions.
        attempt: u32,
    },
    /// The webhook was answered; with 200 it is acknowledged.
    Answered {
        /// What it holds.
        items: Arc<[Item]>,
        /// The HTTP status.
        status: u16,
        /// From the sending of this attempt to the answer.
        after: Duration,
    },
    /// The webhook got no answer: no connection, or it broke, or time ran out.
    Unanswered {
        /// What it holds.
        items: Arc<[Item]>,
        /// Why, for people.
        why: String,
    },
    /// A record arrived in the CRM and was taken.
    Arrived {
        /// The record.
        arrival: Arc<Arrival>,
        /// Since WhatsApp first sent it, where that is known ([`crate::Journeys`]).
        after: Option<Duration>,
    },
    /// The CRM saw a delivery that isn't as it should be.
    Complained(Complaint),
    /// The CRM began to post a reply to the gateway.
    Replying {
        /// Which.
        reply: Arc<Reply>,
    },
    /// The gateway has queued the reply.
    Queued {
        /// Which.
        reply: Arc<Reply>,
        /// The gateway's name of it.
        outbox_id: Arc<str>,
        /// From the posting to the 202.
        after: Duration,
    },
    /// The gateway hasn't queued the reply.
    Unqueued {
        /// Which.
        reply: Arc<Reply>,
        /// Why, for people.
        why: String,
        /// It isn't tried again.
        given_up: bool,
    },
}

/// A record as the CRM saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrival {
    /// The record's `id`.
    pub id: String,
    /// The record's `type`.
    pub kind: String,
    /// The record's `sequence`.
    pub sequence: u64,
    /// `data.contact.id`.
    pub contact_id: Option<String>,
    /// The contact's name, else its phone, else nothing.
    pub name: Option<String>,
    /// The text, or a word for what came instead; of a status its word.
    pub text: Option<String>,
    /// The outbox id of the store's message that it is about, where there is one.
    pub outbox_id: Option<String>,
    /// False for a repetition.
    pub first: bool,
}

/// The sending end of a stream of [`Event`]s; costs nothing while nobody listens.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(EVENTS_WAITING_MAX))
    }
}

impl Events {
    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Tells the listeners, if there are any.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // Fails only when the last listener has just gone.
            let _ = self.0.send(event());
        }
    }
}
