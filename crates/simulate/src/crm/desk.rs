//! Whom the shop answers, with what, and what came of it: the CRM's own book of its replies.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::Kind;
use tokio::sync::mpsc;

use super::phrases;
use super::record::Record;

/// Replies that wait to be written; whoever asks then gets none, and is counted.
pub const REPLIES_WAITING_MAX: usize = 1_024;
/// Replies that are kept in the book; after that nobody is answered any more.
pub const REPLIES_MAX: usize = 1 << 16;
/// The longest record id that makes an `Idempotency-Key`, which may have 256 characters.
const RECORD_ID_MAX: usize = 200;

/// A reply to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its place among the replies, from 0.
    pub number: usize,
    /// `Idempotency-Key`: made of the record that it answers, so that nobody is answered twice.
    pub key: String,
    /// The phone with its `+`, or else the user id.
    pub to: String,
    /// The customer's name.
    pub name: Option<String>,
    /// What it says.
    pub text: &'static str,
    /// When the customer's message came.
    pub asked_at: Instant,
}

/// What came of a [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The reply.
    pub reply: Arc<Reply>,
    /// The gateway's name of it; `None` until it was queued.
    pub outbox_id: Option<String>,
    /// How often the gateway said 202 to it.
    pub queued: u32,
    /// The gateway gave the same reply another name.
    pub renamed: bool,
    /// The status with which the gateway refused it for good.
    pub refused: Option<u16>,
    /// Nothing more is done about it.
    pub closed: bool,
}

/// The book, and the way to who writes.
#[derive(Debug)]
pub(crate) struct Desk {
    book: Mutex<Vec<Written>>,
    to_write: mpsc::Sender<Arc<Reply>>,
}

impl Desk {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Arc<Reply>>) {
        let (to_write, waiting) = mpsc::channel(REPLIES_WAITING_MAX);
        (Self { book: Mutex::default(), to_write }, waiting)
    }

    fn book(&self) -> MutexGuard<'_, Vec<Written>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a customer answered, if the record is one's message that waits for it.
    pub(crate) fn read(&self, record: &Record<'_>, at: Instant) {
        if Kind::from_event_type(&record.kind) != Some(Kind::MessageReceived) {
            return;
        }
        let usable =
            record.id.len() <= RECORD_ID_MAX && record.id.bytes().all(|byte| byte.is_ascii_graphic());
        let (Some(to), Some(words), true) = (record.address(), record.summary(), usable) else { return };
        let name = record.name();
        let Some(text) = phrases::answer(&words, name.as_deref()) else { return };
        let mut book = self.book();
        if book.len() >= REPLIES_MAX {
            return;
        }
        let key = format!("reply-{}", record.id);
        let reply = Arc::new(Reply { number: book.len(), key, to, name, text, asked_at: at });
        // In the book only if it will be written.
        if self.to_write.try_send(Arc::clone(&reply)).is_ok() {
            book.push(Written {
                reply,
                outbox_id: None,
                queued: 0,
                renamed: false,
                refused: None,
                closed: false,
            });
        }
    }

    fn note(&self, reply: &Reply, note: impl FnOnce(&mut Written)) {
        if let Some(written) = self.book().get_mut(reply.number) {
            note(written);
        }
    }

    /// The gateway has queued it under this name.
    pub(crate) fn queued(&self, reply: &Reply, outbox_id: &str) {
        self.note(reply, |written| {
            written.queued += 1;
            match &written.outbox_id {
                Some(before) => written.renamed |= before != outbox_id,
                None => written.outbox_id = Some(outbox_id.to_owned()),
            }
        });
    }

    /// The gateway doesn't take it, now or ever.
    pub(crate) fn refused(&self, reply: &Reply, status: u16) {
        self.note(reply, |written| written.refused = Some(status));
    }

    /// Nothing more is done about it.
    pub(crate) fn close(&self, reply: &Reply) {
        self.note(reply, |written| written.closed = true);
    }

    pub(crate) fn written(&self) -> Vec<Written> {
        self.book().clone()
    }

    /// How many were queued, and whether none is still to be written.
    pub(crate) fn state(&self) -> (usize, bool) {
        let book = self.book();
        // Newest first, since those are the open ones.
        let idle = book.iter().rev().all(|written| written.closed);
        let names: HashSet<&str> = book.iter().filter_map(|written| written.outbox_id.as_deref()).collect();
        (names.len(), idle)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::crm::conversation::tests::{record, sent};

    fn received(id: &str, contact: &Value, text: &str) -> String {
        let data = json!({ "contact": contact, "message": { "id": id, "type": "text", "text": text } });
        record("received", id, 1, &data)
    }

    fn read(desk: &Desk, json: &str) {
        desk.read(&Record::parse(json).unwrap().0, Instant::now());
    }

    #[test]
    fn customers_are_answered_once_each_by_phone_or_else_by_user_id() {
        let (desk, mut waiting) = Desk::new();
        let by_phone = json!({ "id": "c-A", "name": "Lucía", "phone": "+12125550100", "user_id": "MX.1" });
        let by_id = json!({ "id": "c-B", "name": "Joe", "phone": null, "user_id": "US.2" });
        read(&desk, &received("wamid.A", &by_phone, "¿Tienen envío a domicilio? #1"));
        read(&desk, &received("wamid.B", &by_id, "Do you deliver on Sundays? #2"));
        let (one, two) = (waiting.try_recv().unwrap(), waiting.try_recv().unwrap());
        assert_eq!((one.to.as_str(), one.text), ("+12125550100", "Sí, llega en dos días."));
        assert_eq!((two.to.as_str(), two.key.as_str(), two.number), ("US.2", "reply-wamid.B", 1));
        assert_eq!(desk.state(), (0, false));
    }

    #[test]
    fn thanks_own_messages_and_strangers_without_an_address_get_no_answer() {
        let (desk, mut waiting) = Desk::new();
        let contact = json!({ "id": "c-A", "name": "Joe", "phone": "+12125550100" });
        read(&desk, &received("wamid.A", &contact, "ok #1"));
        read(&desk, &received("wamid.B", &json!({ "id": "c-B" }), "Do you deliver on Sundays?"));
        read(&desk, &received(&"x".repeat(300), &contact, "Do you deliver on Sundays?"));
        read(&desk, &sent(2));
        assert!(waiting.try_recv().is_err());
        assert_eq!(desk.state(), (0, true));
    }

    #[test]
    fn the_book_says_what_came_of_each() {
        let (desk, mut waiting) = Desk::new();
        let contact = json!({ "id": "c-A", "name": "Joe", "phone": "+12125550100" });
        for id in ["wamid.A", "wamid.B", "wamid.C"] {
            read(&desk, &received(id, &contact, "Do you deliver on Sundays?"));
        }
        let [one, two, three] = [(); 3].map(|()| waiting.try_recv().unwrap());
        desk.queued(&one, "o-1");
        desk.queued(&one, "o-1");
        desk.queued(&two, "o-2");
        desk.queued(&two, "o-3");
        desk.refused(&three, 422);
        assert_eq!(desk.state(), (2, false));
        for reply in [&one, &two, &three] {
            desk.close(reply);
        }
        assert_eq!(desk.state(), (2, true));
        let book: Vec<_> =
            desk.written().iter().map(|written| (written.queued, written.renamed, written.refused)).collect();
        assert_eq!(book, [(2, false, None), (2, true, None), (0, false, Some(422))]);
    }

    #[test]
    fn more_than_can_be_written_is_left_out() {
        let (desk, waiting) = Desk::new();
        let contact = json!({ "id": "c-A", "phone": "+12125550100" });
        for number in 0..REPLIES_WAITING_MAX + 5 {
            read(&desk, &received(&format!("wamid.{number}"), &contact, "[image]"));
        }
        assert_eq!(desk.written().len(), REPLIES_WAITING_MAX);
        drop(waiting);
    }
}
