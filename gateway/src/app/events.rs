//! What changes, for those who want to hear of it at once: `GET /v1/events`.
//!
//! Events are small, name things by id, and are lost on whom is too slow: whoever needs all of them reads the
//! records, which are kept. Nothing is put together while nobody listens.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egress::Journal as _;
use model::{OutboxId, Sequence, Standing, WallTime};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};

use super::snapshot::Shown;

/// Events that wait for a slow reader; the oldest are lost on one that is slower.
const WAITING_MAX: usize = 256;
/// Readers at once: a console or two, the CRM, monitoring.
const READERS_MAX: i64 = 16;
/// How often the newest record and the backlog are looked at.
const RECORDS_EVERY: Duration = Duration::from_secs(1);

/// The names of events, as `?types=` has them.
pub const NAMES: [&str; 6] = ["endpoint", "alarm", "records", "message", "update", "certificate"];

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place among the events since the start, from 1.
    pub id: u64,
    /// One of [`NAMES`].
    pub name: &'static str,
    /// What has changed.
    pub data: Value,
}

/// A group that changed its endpoint, or an endpoint its state.
#[derive(Debug, Clone, Copy)]
pub struct EndpointEvent<'a> {
    /// `crm`, or `whatsapp/{phone_number_id}`.
    pub group: &'a str,
    /// The configured name of the endpoint.
    pub name: &'a str,
    /// The endpoint that the group went by before; only where it changed.
    pub from: Option<&'a str>,
    /// `closed`, `suspect`, `open` or `half_open`.
    pub state: &'a str,
    /// The group goes by it.
    pub active: bool,
    /// Why, in a few words.
    pub reason: &'a str,
    /// When.
    pub at: WallTime,
}

/// The way from those who change something to those who listen; clones share it.
#[derive(Debug, Clone)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: broadcast::Sender<Arc<Event>>,
    /// The id of the last event. Held while one is sent, so that ids come in order.
    last: Mutex<u64>,
    readers: Gauge,
    /// Somebody begins to listen.
    arrived: Notify,
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Inner {
            sender: broadcast::Sender::new(WAITING_MAX),
            last: Mutex::default(),
            readers: Gauge::default(),
            arrived: Notify::new(),
        }))
    }
}

impl Events {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("wagate_event_readers", "Readers of /v1/events", self.0.readers.clone());
    }

    /// Listens from now on; `None` while there are as many readers as there may be.
    #[must_use]
    pub fn listen(&self) -> Option<Listener> {
        let readers: &AtomicI64 = self.0.readers.inner();
        let one_more = |readers| (readers < READERS_MAX).then_some(readers + 1);
        readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        // The lock keeps an event from coming between the two.
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = Listener { receiver: self.0.sender.subscribe(), last: *last, events: self.clone() };
        drop(last);
        self.0.arrived.notify_one();
        Some(listener)
    }

    /// A group has changed its endpoint, or an endpoint its state.
    pub fn endpoint(&self, event: &EndpointEvent<'_>) {
        let EndpointEvent { group, name, from, state, active, reason, at } = event;
        let at = at.rfc3339_millis();
        self.say("endpoint", || {
            let mut data = json!({
                "group": group, "name": name, "state": state, "active": active, "reason": reason, "at": at
            });
            if let (Some(from), Some(data)) = (from, data.as_object_mut()) {
                data.insert("from".to_owned(), json!(from));
            }
            data
        });
    }

    /// An alarm has come, or has gone.
    pub(crate) fn alarm(&self, text: &str, raised: bool) {
        self.say("alarm", || json!({ "text": text, "raised": raised }));
    }

    /// Messages to customers stand otherwise than before.
    pub(crate) fn messages(&self, stood: &[(OutboxId, Standing)]) {
        for (id, standing) in stood {
            self.say("message", || json!({ "id": id.to_string(), "status": standing.as_str() }));
        }
    }

    /// An update of the firmware has come further, or has ended.
    pub(crate) fn update(&self, data: impl FnOnce() -> Value) {
        self.say("update", data);
    }

    /// An attempt to get a certificate has ended.
    pub(crate) fn certificate(&self, data: impl FnOnce() -> Value) {
        self.say("certificate", data);
    }

    fn records(&self, newest: Sequence, backlog: u64) {
        self.say("records", || json!({ "newest": newest.to_string(), "backlog": backlog }));
    }

    fn say(&self, name: &'static str, data: impl FnOnce() -> Value) {
        if self.0.sender.receiver_count() == 0 {
            return;
        }
        let data = data();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        // The last reader may have gone meanwhile.
        let _ = self.0.sender.send(Arc::new(Event { id: *last, name, data }));
    }

    /// Comes to pass when somebody listens.
    async fn heard(&self) {
        while self.0.sender.receiver_count() == 0 {
            self.0.arrived.notified().await;
        }
    }
}

/// A reader's place, given back when it is dropped.
#[derive(Debug)]
pub struct Listener {
    /// What is said.
    pub receiver: broadcast::Receiver<Arc<Event>>,
    /// The id of the last event before.
    pub last: u64,
    events: Events,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events.0.readers.dec();
    }
}

/// Says, for those who listen, how far the journal has come and what of it waits for the CRM, while that moves.
pub(crate) async fn watch_records(shown: Arc<Shown>, events: Events, stop: impl Future<Output = ()>) {
    let look = || (shown.journal.watch().borrow().newest, shown.store.pending());
    let moving = async {
        let mut said = None;
        loop {
            events.heard().await;
            let now = look();
            if said.replace(now) != Some(now) {
                events.records(now.0, now.1);
            }
            tokio::time::sleep(RECORDS_EVERY).await;
        }
    };
    tokio::select! {
        () = stop => {}
        () = moving => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let events = Events::default();
        let mut listeners: Vec<Listener> = (0..READERS_MAX).map(|_| events.listen().unwrap()).collect();
        assert!(events.listen().is_none());
        assert_eq!(events.0.readers.get(), READERS_MAX);
        listeners.pop();
        assert!(events.listen().is_some());
        drop(listeners);
        assert_eq!(events.0.readers.get(), 0);
    }

    #[test]
    fn nothing_is_put_together_for_nobody_and_ids_go_up_for_somebody() {
        let events = Events::default();
        events.say("alarm", || unreachable!("nobody listens"));
        let mut listener = events.listen().unwrap();
        assert_eq!(listener.last, 0);
        events.alarm("one", true);
        events.alarm("one", false);
        let heard = [(); 2].map(|()| listener.receiver.try_recv().unwrap());
        assert_eq!(heard.each_ref().map(|event| event.id), [1, 2]);
        assert_eq!(heard[1].data, json!({ "text": "one", "raised": false }));
        assert_eq!(events.listen().unwrap().last, 2);
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_the_oldest_and_is_told_how_many() {
        let events = Events::default();
        let mut listener = events.listen().unwrap();
        for count in 0..WAITING_MAX as u64 + 3 {
            events.records(Sequence(count), 0);
        }
        assert_eq!(listener.receiver.try_recv(), Err(broadcast::error::TryRecvError::Lagged(3)));
        assert_eq!(listener.receiver.try_recv().unwrap().id, 4);
    }
}
