//! The store side as its callers see it: real routes and a real store, over an outbox that makes no calls.
//! Every answer is held against the OpenAPI document.

mod access;
mod downloads;
mod events;
mod failover;
mod machine;
mod people;
mod queue;
mod refusals;
mod rest;
mod routes;
mod standby;
mod uploads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use model::{Fact, Outcome, Says, Sequence, WallTime};
use outbox::{Number, Settings};
use policy::sending::{Micros, RateCard, Zone};
use serde_json::{Value, json};
use store::Store;
use tokio::sync::watch;

use super::endpoints::EndpointView;
use super::{Downloads, Side, Uploads};
use crate::app::access::Access;
use crate::app::access::tests::api;
use crate::app::audit::Audit;
use crate::app::events::Events;
use crate::app::fake;
use crate::app::fake_board::FakeBoard;
use crate::app::inbound::{Inbound, Parts};
use crate::app::machine::Machine;
use crate::app::sending::fake::{Fake, called};
use crate::app::sending::{Sending, Ways, fake as outbox_fake};
use crate::app::strangers::Strangers;
use crate::config::{Scope, Secret};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000_000;
const HOUR: i64 = 3_600_000;
/// Two numbers of one store.
const SHOP: &str = "106540352242922";
const CAFE: &str = "106540352242923";
/// What Meta shows in its handshake.
const VERIFY_TOKEN: &str = "words-of-the-dashboard";
const CUSTOMER: &str = "+85261234567";

/// Clients with a token each, which is their name.
const CLIENTS: &[(&str, &[&str], &[Scope])] = &[
    ("reader", &["reader"], &[Scope::Read]),
    ("sender", &["sender"], &[Scope::Send]),
    ("operator", &["operator"], &[Scope::Operate]),
];

struct World {
    service: TowerToHyperService<Router>,
    side: Side,
    stop: watch::Sender<bool>,
    sending: Sending,
    outbox: Fake,
    /// Facts so far.
    learned: AtomicU64,
    store: Arc<Store>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl Answer {
    /// The pointers of what is wrong with a body.
    fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array();
        errors.into_iter().flatten().filter_map(|error| error["pointer"].as_str()).collect()
    }

    fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.json)).to_owned()
    }
}

fn number() -> Number {
    Number {
        zone: Zone::new("Asia/Hong_Kong").unwrap(),
        portfolio: "default".to_owned(),
        messages_per_day: 1_000,
        calls_per_day: 10_000,
        recipients_per_day: 250,
        per_second: 80,
        batch_above: 0.8,
        batch_every_ms: HOUR / 4,
        endpoints: 1,
    }
}

fn endpoints() -> Vec<EndpointView> {
    let group = format!("whatsapp/{SHOP}");
    let at = Some("2026-11-20T12:00:00.000Z".to_owned());
    let view = |name: &str, state, active, strikes, latency_ms, last_probe_at| EndpointView {
        group: group.clone(),
        name: name.to_owned(),
        state,
        active,
        strikes,
        latency_ms,
        last_probe_at,
    };
    vec![view("meta", "open", false, 3, Some(1_830), at), view("backup", "closed", true, 0, None, None)]
}

fn card() -> RateCard {
    let market = json!({ "marketing": "0.07", "utility": "0.01", "authentication": "0.01" });
    let card = json!({ "valid_from": "2026-10-01", "currency": "USD", "other": market });
    serde_json::from_value(card).unwrap()
}

impl World {
    fn new(numbers: &[&str]) -> Self {
        Self::with(numbers, Ways::none())
    }

    fn with(numbers: &[&str], ways: Ways) -> Self {
        Self::of(numbers.iter().map(|id| (*id, number())), ways)
    }

    fn of<'n>(numbers: impl IntoIterator<Item = (&'n str, Number)>, ways: Ways) -> Self {
        Self::at(numbers, ways, None)
    }

    /// One that Meta reaches at `public_url`.
    fn at<'n>(
        numbers: impl IntoIterator<Item = (&'n str, Number)>,
        ways: Ways,
        public_url: Option<&str>,
    ) -> Self {
        Self::over(numbers, ways, public_url, Machine::new(None))
    }

    /// One on a box.
    fn on(board: &FakeBoard) -> Self {
        let machine = Machine::new(Some(Arc::new(board.clone())));
        Self::over([(SHOP, number())], Ways::none(), None, machine)
    }

    fn over<'n>(
        numbers: impl IntoIterator<Item = (&'n str, Number)>,
        ways: Ways,
        public_url: Option<&str>,
        machine: Machine,
    ) -> Self {
        let numbers: Vec<(&str, Number)> = numbers.into_iter().collect();
        let ids = numbers.iter().map(|(id, _)| (*id).to_owned()).collect();
        let phones: Vec<_> =
            numbers.iter().map(|(id, _)| ((*id).to_owned(), "+85291234567".to_owned())).collect();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            numbers: numbers.into_iter().map(|(id, number)| (id.to_owned(), number)).collect(),
            send_again_after_ms: [None; 3],
            history_ms: 180 * 24 * HOUR,
            rates: Some(card()),
        };
        let (sending, outbox) = outbox_fake::start(settings, NOW);
        let shown = fake::shown(folder.path(), machine);
        let store = Arc::clone(&shown.store);
        let stop = watch::Sender::new(false);
        let parts = Parts {
            verify_token: Arc::new(RwLock::new(Secret::new(VERIFY_TOKEN.to_owned()))),
            routes: ways.routes(),
            sending: sending.clone(),
            store: Arc::clone(&store),
        };
        let inbound = Inbound::of(public_url.map(|url| url.parse().unwrap()), ids, None, parts).unwrap();
        let updates = shown.updates.clone();
        let side = Side {
            shown,
            access: Access::new(&api(&["right", "next"], CLIENTS)),
            strangers: Strangers::default(),
            audit: Audit::open(Arc::clone(&store)).unwrap(),
            numbers: Arc::new(phones.into_iter().collect()),
            sending: sending.clone(),
            downloads: Downloads::new(ways.clone()),
            uploads: Uploads::new(ways),
            low_water: Micros(20_000_000),
            registry: Arc::default(),
            events: Events::default(),
            endpoints: Arc::new(endpoints),
            inbound,
            updates,
            stopped: stop.subscribe(),
        };
        let service = TowerToHyperService::new(super::router(side.clone()));
        Self { service, side, stop, sending, outbox, learned: AtomicU64::new(0), store, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.service.call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 4 << 20).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        let answer = Answer { status: head.status, headers: head.headers, json };
        routes::is_as_documented(&method, &path, &answer);
        answer
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("authorization", "Bearer right");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Body::empty()).await
    }

    async fn put(&self, path: &str, json: Value) -> Answer {
        self.ask(Method::PUT, path, &[], json.to_string()).await
    }

    async fn post(&self, path: &str, json: Value) -> Answer {
        self.ask(Method::POST, path, &[], json.to_string()).await
    }

    /// Queues a message under a key.
    async fn queue(&self, key: &str, message: &Value) -> Answer {
        self.ask(Method::POST, "/v1/messages", &[("idempotency-key", key)], message.to_string()).await
    }

    async fn learn(&self, number: &str, contact: Option<u128>, at_ms: i64, says: Says) {
        let number = Some(number.to_owned());
        let sequence = Sequence(1 + self.learned.fetch_add(1, Ordering::Relaxed));
        let fact = Fact { sequence, at: Some(WallTime(at_ms)), number, contact, says };
        self.sending.ask(move |turn| turn.learn(fact)).await.unwrap();
    }

    /// The customer has written an hour ago; gives the contact.
    async fn wrote_to(&self, number: &str) -> u128 {
        let aliases = records::aliases_of(&model::Address::Phone(CUSTOMER.to_owned()));
        let (sender, met) = tokio::sync::oneshot::channel();
        self.store.meet(vec![aliases], WallTime(NOW), Box::new(|met| _ = sender.send(met)));
        let contact = met.await.unwrap().unwrap()[0].to_bits().unwrap();
        self.learn(number, Some(contact), NOW - HOUR, Says::Inbound { wamid: "wamid.in".to_owned() }).await;
        contact
    }

    /// Ends the call that is under way.
    async fn answered(&self, outcome: Outcome) {
        let called = called(self.outbox.call(), outcome);
        self.sending.ask(move |turn| turn.called(called)).await.unwrap();
    }
}

fn text(body: &str) -> Value {
    json!({ "to": CUSTOMER, "type": "text", "text": { "body": body } })
}

fn accepted() -> Outcome {
    Outcome::Accepted { wamid: Some("wamid.out".to_owned()), wa_id: None, user_id: None, pacing: None }
}
