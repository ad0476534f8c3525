//! `GET /v1/events` of a box, with the time at which each event came.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::Api;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: Instant,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Everything that a box says from the opening on, until the box ends or this is dropped.
pub(crate) struct Feed {
    events: Arc<Mutex<Vec<Event>>>,
    reader: JoinHandle<()>,
}

impl Feed {
    pub(crate) async fn open(api: &Api) -> Self {
        let mut answer = api.events().await.unwrap();
        assert_eq!(answer.status(), 200);
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            while let Ok(Some(bytes)) = answer.chunk().await {
                let at = Instant::now();
                read.extend_from_slice(&bytes);
                while let Some(end) = read.windows(2).position(|pair| pair == b"\n\n") {
                    let frame: Vec<u8> = read.drain(..end + 2).collect();
                    kept.lock().unwrap().extend(event(&String::from_utf8_lossy(&frame), at));
                }
            }
        });
        Self { events, reader }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// When a group first went by this endpoint, of all that came after `since`.
    pub(crate) fn went_by(&self, group: &str, endpoint: &str, since: Instant) -> Option<Instant> {
        self.endpoints(group)
            .find(|event| event.at >= since && event.data["name"] == endpoint && event.data["active"] == true)
            .map(|event| event.at)
    }

    /// What was said of the endpoints of a group.
    pub(crate) fn endpoints(&self, group: &str) -> impl Iterator<Item = Event> {
        let events = self.events().into_iter();
        let group = group.to_owned();
        events.filter(move |event| event.name == "endpoint" && event.data["group"] == *group)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn event(frame: &str, at: Instant) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = frame.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    Some(Event { at, name: field("event")?, data: serde_json::from_str(&field("data")?).ok()? })
}
