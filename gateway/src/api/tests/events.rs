//! `/v1/events` over real connections.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use model::WallTime;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{NOW, SHOP, World};
use crate::app::access::tests::api;
use crate::app::events::{EndpointEvent, Events};
use crate::app::when_true;
use crate::config::Scope;

/// Nothing here takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway's store side that listens.
struct Open {
    world: World,
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Open {
    async fn new() -> Self {
        let world = World::new(&[SHOP]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = ingress::Metrics::default().listener("api");
        let stop = when_true(world.stop.subscribe());
        let serving = tokio::spawn(super::super::serve(
            listener,
            ingress::Transport::Plain,
            metrics,
            world.side.clone(),
            stop,
        ));
        Self { world, address, serving }
    }

    fn events(&self) -> &Events {
        &self.world.side.events
    }

    /// Connects and asks.
    async fn ask(&self, query: &str) -> Reader {
        self.ask_with("right", query).await
    }

    async fn ask_with(&self, token: &str, query: &str) -> Reader {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head =
            format!("GET /v1/events{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Reader { stream, read: String::new(), seen: 0 }
    }

    /// The same, past the first event.
    async fn listen(&self, query: &str) -> Reader {
        let mut reader = self.ask(query).await;
        reader.until("event: hello\n").await;
        reader
    }
}

/// One who reads events.
struct Reader {
    stream: TcpStream,
    read: String,
    /// How much of it has been looked at.
    seen: usize,
}

impl Reader {
    /// Reads on until `text` has come, and gives what came before it.
    async fn until(&mut self, text: &str) -> String {
        let found = tokio::time::timeout(PATIENCE, async {
            let mut from = self.seen;
            loop {
                if let Some(at) = self.read[from..].find(text) {
                    return from + at;
                }
                from = self.read.len().saturating_sub(text.len()).max(self.seen);
                let mut bytes = vec![0; 64 * 1024];
                let count = self.stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "{text:?} isn't in {}", self.read);
                self.read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
        });
        let at = found.await.unwrap_or_else(|_| panic!("{text:?} isn't in {}", self.read));
        let before = self.read[self.seen..at].to_owned();
        self.seen = at + text.len();
        before
    }

    /// The data of the next event of this name.
    async fn data(&mut self, name: &str) -> Value {
        self.until(&format!("event: {name}\ndata: ")).await;
        serde_json::from_str(&self.until("\n\n").await).unwrap()
    }

    /// Reads until the other side ends.
    async fn end(mut self) -> String {
        let rest = self.stream.read_to_string(&mut self.read);
        tokio::time::timeout(PATIENCE, rest).await.expect("it doesn't end").unwrap();
        self.read
    }
}

fn switched(events: &Events, name: &str) {
    let group = "crm";
    let at = WallTime(NOW);
    let (from, state, reason) = (Some("primary"), "closed", "slow");
    events.endpoint(&EndpointEvent { group, name, from, state, active: true, reason, at });
}

#[tokio::test]
async fn a_reader_is_greeted_and_hears_what_changes_in_order() {
    let open = Open::new().await;
    let mut reader = open.ask("").await;
    let head = reader.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    let before = reader.until("event: hello\ndata: ").await;
    assert!(before.ends_with("retry: 3000\nid: 0\n"), "{before:?}");
    let hello: Value = serde_json::from_str(&reader.until("\n\n").await).unwrap();
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["newest"], "00000000000000000000");
    assert!(hello["now"].is_string());

    switched(open.events(), "backup");
    open.events().alarm("the disk is full", true);
    let id = model::OutboxId { place: 7, chance: 8 };
    open.events().messages(&[(id, model::Standing::Sending), (id, model::Standing::Accepted)]);
    let expected = json!({ "group": "crm", "name": "backup", "from": "primary", "state": "closed", "active": true,
        "reason": "slow", "at": "2026-11-20T12:00:00.000Z" });
    let before = reader.until("event: endpoint\ndata: ").await;
    assert!(before.ends_with("id: 1\n"), "{before:?}");
    assert_eq!(serde_json::from_str::<Value>(&reader.until("\n\n").await).unwrap(), expected);
    assert_eq!(reader.data("alarm").await, json!({ "text": "the disk is full", "raised": true }));
    assert_eq!(reader.data("message").await, json!({ "id": id.to_string(), "status": "sending" }));
    assert_eq!(reader.data("message").await, json!({ "id": id.to_string(), "status": "accepted" }));
    let (name, at) = ("primary", WallTime(NOW));
    open.events().endpoint(&EndpointEvent {
        group: "crm",
        name,
        from: None,
        state: "open",
        active: false,
        reason: "strikes",
        at,
    });
    let expected = json!({ "group": "crm", "name": name, "state": "open", "active": false, "reason": "strikes",
        "at": "2026-11-20T12:00:00.000Z" });
    assert_eq!(reader.data("endpoint").await, expected, "another endpoint isn't used, so it came from none");
}

#[tokio::test]
async fn only_what_is_wanted_comes_and_what_there_is_none_of_is_a_mistake() {
    let open = Open::new().await;
    let mut reader = open.listen("?types=alarm,records").await;
    switched(open.events(), "backup");
    open.events().alarm("one", false);
    let before = reader.until("event: alarm\n").await;
    assert!(!before.contains("endpoint") && before.contains("id: 2\n"), "{before:?}");
    for query in ["types=alarms", "types=", "types=alarm,,records", "typ=alarm"] {
        let refused = open.world.get(&format!("/v1/events?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn the_newest_record_and_the_backlog_are_said_when_they_move() {
    let open = Open::new().await;
    let mut reader = open.listen("?types=records").await;
    let shown = open.world.side.shown.clone();
    let stop = when_true(open.world.stop.subscribe());
    tokio::spawn(crate::app::events::watch_records(shown, open.events().clone(), stop));
    assert_eq!(reader.data("records").await, json!({ "newest": "00000000000000000000", "backlog": 0 }));
    let (store, items) = (open.world.store.clone(), records::digest(b"{"));
    let kept = tokio::task::spawn_blocking(move || store.append_and_wait(items, WallTime(NOW)));
    kept.await.unwrap().unwrap();
    assert_eq!(reader.data("records").await, json!({ "newest": "00000000000000000001", "backlog": 1 }));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_how_much_it_missed_and_goes_on() {
    let open = Open::new().await;
    let mut reader = open.listen("").await;
    // More than socket and channel hold, while it doesn't read.
    let long = "x".repeat(64 * 1024);
    for _ in 0..600 {
        open.events().alarm(&long, true);
        tokio::task::yield_now().await;
    }
    let missed = reader.data("lagged").await["missed"].as_u64().unwrap();
    assert!((1..600).contains(&missed), "{missed}");
    switched(open.events(), "backup");
    assert_eq!(reader.data("endpoint").await["name"], "backup");
}

#[tokio::test]
async fn the_seventeenth_is_asked_to_come_again_and_finds_the_place_of_who_left() {
    let open = Open::new().await;
    let mut readers = Vec::new();
    for _ in 0..16 {
        readers.push(open.listen("").await);
    }
    let refused = open.world.get("/v1/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "10");
    drop(readers.pop());
    let listens = tokio::time::timeout(PATIENCE, async {
        loop {
            // That nobody reads any more is seen by the second writing: nothing less than a comment a while later.
            open.events().alarm("one", true);
            let mut reader = open.ask("").await;
            if reader.until("\r\n").await.contains("200") {
                return;
            }
        }
    });
    listens.await.expect("the place is free again");
}

#[tokio::test]
async fn a_stop_ends_it_at_once() {
    let open = Open::new().await;
    let reader = open.listen("").await;
    let began = std::time::Instant::now();
    open.world.stop.send_replace(true);
    let read = reader.end().await;
    assert!(read.ends_with("\r\n0\r\n\r\n"), "it ends as it should: {read:?}");
    open.serving.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "the drain takes 10 s");
}

#[tokio::test]
async fn a_token_that_is_taken_away_is_heard_with_no_longer() {
    let open = Open::new().await;
    let mut stays = open.ask_with("next", "").await;
    let mut goes = open.ask_with("right", "").await;
    for reader in [&mut stays, &mut goes] {
        reader.until("event: hello\n").await;
    }
    // In another place than before, and beside another.
    open.world.side.access.replace(&api(&["fresh", "next"], &[]));
    // The end of the body: the connection may ask for something else.
    goes.until("\r\n0\r\n\r\n").await;
    switched(open.events(), "backup");
    assert_eq!(stays.data("endpoint").await["name"], "backup");
    open.world.side.access.replace(&api(&["fresh"], &[("next", &["next"], &[Scope::Send])]));
    // It isn't for reading any more.
    stays.until("\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn without_the_token_there_is_nothing_to_hear() {
    let open = Open::new().await;
    let mut stream = TcpStream::connect(open.address).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
