//! Taking over webhooks and giving them back, at a simulated Graph that does the handshake.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use axum::http::StatusCode;
use egress::GraphEndpoint;
use serde_json::{Value, json};
use simulate::graph::{Behaviour, Graph, GraphSettings};
use simulate::whatsapp::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Answer, CAFE, SHOP, VERIFY_TOKEN, World, number};
use crate::app::inbound::{Inbound, Parts};
use crate::app::sending::Ways;
use crate::config::{Secret, Standby};

/// A public side that knows nothing but the handshake: its URL, and how often it was asked.
pub(super) async fn public_side(token: &'static str) -> (String, Arc<AtomicUsize>) {
    public_side_with(token, || {}).await
}

/// The same; does something else before it answers.
async fn public_side_with(
    token: &'static str,
    meanwhile: impl Fn() + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut portion) = (Vec::new(), [0; 4096]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let got = stream.read(&mut portion).await.unwrap();
                assert!(got > 0, "the question breaks off");
                head.extend_from_slice(&portion[..got]);
            }
            count.fetch_add(1, Ordering::Relaxed);
            meanwhile();
            let head = String::from_utf8(head).unwrap();
            let query = head.split(' ').nth(1).and_then(|path| path.split_once('?')).unwrap().1;
            let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)).unwrap();
            let (status, body) = match value("hub.verify_token=") == token {
                true => ("200 OK", value("hub.challenge=")),
                false => ("403 Forbidden", ""),
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

pub(super) fn graph() -> Graph {
    let settings = GraphSettings {
        token: Some("secret".to_owned()),
        numbers: vec![SHOP.to_owned()],
        ..GraphSettings::new("127.0.0.1:0".parse().unwrap())
    };
    Graph::start(settings).unwrap()
}

fn ways(graph: &Graph, path: &str) -> Ways {
    Ways::single(SHOP, GraphEndpoint::new("meta", &graph.url(), None, Some("secret"), path).unwrap())
}

pub(super) fn world(graph: &Graph, public_url: &str) -> World {
    World::at([(SHOP, number())], ways(graph, "/{phone_number_id}/messages"), Some(public_url))
}

fn behave(graph: &Graph, behaviour: &str) {
    graph.behave(&[behaviour.parse::<Behaviour>().unwrap()]);
}

/// Another one over the store of `world`, as after a restart.
pub(super) fn inbound(world: &World, graph: &Graph, public_url: &str, standby: Option<&Standby>) -> Inbound {
    let ways = ways(graph, "/{phone_number_id}/messages");
    let parts = Parts {
        verify_token: Arc::new(RwLock::new(Secret::new(VERIFY_TOKEN.to_owned()))),
        routes: ways.routes(),
        sending: world.sending.clone(),
        store: Arc::clone(&world.store),
    };
    Inbound::of(Some(public_url.parse().unwrap()), vec![SHOP.to_owned()], standby, parts).unwrap()
}

/// Sets the number's override as Meta's dashboard would.
fn set(graph: &Graph, url: Option<&str>) {
    let target = url.map(|url| (url.to_owned(), Target::parse(url).unwrap()));
    graph.redirects().set_number(SHOP, target);
}

pub(super) fn overridden(graph: &Graph) -> Option<String> {
    graph.redirects().number_url(SHOP)
}

async fn take(world: &World) -> Value {
    deed(&world.post("/v1/failover/take", json!({})).await)
}

async fn give_back(world: &World, force: bool) -> Value {
    deed(&world.post("/v1/failover/give-back", json!({ "numbers": [SHOP], "force": force })).await)
}

fn deed(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    let deed = answer.json["numbers"][0].clone();
    assert_eq!((&answer.json["done"], &deed["number"]), (&deed["done"], &json!(SHOP)));
    deed
}

async fn shown(world: &World) -> Value {
    let answer = world.get("/v1/failover").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json["numbers"][0].clone()
}

async fn calls(world: &World) -> u64 {
    world.get("/v1/quota").await.json["quotas"][1]["used"].as_u64().unwrap()
}

#[tokio::test]
async fn what_was_there_before_is_kept_and_comes_back() {
    let (graph, (ours, asked)) = (graph(), public_side(VERIFY_TOKEN).await);
    let (theirs, _) = public_side(VERIFY_TOKEN).await;
    let world = world(&graph, &ours);
    set(&graph, Some(&theirs));
    let before = shown(&world).await;
    assert_eq!((&before["in_force"], &before["ours"]), (&json!(theirs), &json!(false)));
    assert_eq!((&before["taken_at"], &before["before"]), (&Value::Null, &Value::Null));
    assert_eq!(world.side.inbound.alarms(), [] as [&str; 0]);

    let calls_before = calls(&world).await;
    let taken = take(&world).await;
    assert_eq!((&taken["what"], &taken["done"]), (&json!("taken"), &json!(true)), "{taken}");
    assert_eq!(calls(&world).await - calls_before, 3, "it looks, sets, and looks again");
    assert_eq!((overridden(&graph), asked.load(Ordering::Relaxed)), (Some(ours.clone()), 1));
    let held = shown(&world).await;
    assert_eq!((&held["in_force"], &held["ours"]), (&json!(ours), &json!(true)));
    assert_eq!(held["before"], theirs);
    assert!(held["taken_at"].is_string(), "{held}");
    let [alarm] = &world.side.inbound.alarms()[..] else { panic!("one alarm") };
    assert!(alarm.contains(SHOP) && alarm.contains("give-back") && !alarm.contains("http"), "{alarm}");

    // Once more changes nothing, least of all what is kept; nor does a restart.
    assert_eq!(take(&world).await["what"], "already_ours");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let again = inbound(&world, &graph, &ours, None);
    assert_eq!(again.view().await["numbers"][0], shown(&world).await);

    let given = give_back(&world, false).await;
    assert_eq!(given["what"], "given_back", "{given}");
    assert_eq!(overridden(&graph), Some(theirs));
    assert_eq!(shown(&world).await["taken_at"], Value::Null);
    assert_eq!(give_back(&world, false).await["what"], "not_taken");
}

#[tokio::test]
async fn without_an_override_before_giving_back_removes_it() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let world = world(&graph, &ours);
    graph.setup(|setup| setup.app_callback = Some("https://app.example/webhook".to_owned()));
    assert_eq!(take(&world).await["what"], "taken");
    assert_eq!(shown(&world).await["before"], Value::Null);
    let given = give_back(&world, false).await;
    assert_eq!((&given["what"], overridden(&graph)), (&json!("given_back"), None));
    assert!(given["detail"].as_str().unwrap().contains("https://app.example/webhook"), "{given}");

    // The app's own address has become this box: who gives back has nobody to give to, and is told so.
    assert_eq!(take(&world).await["what"], "taken");
    graph.setup(|setup| setup.app_callback = Some(ours.clone()));
    let given = give_back(&world, false).await;
    assert_eq!((&given["what"], overridden(&graph)), (&json!("given_back"), None));
    assert!(given["detail"].as_str().unwrap().contains("nobody to give them back to"), "{given}");
    // And who takes then has nothing to take, and keeps nothing.
    assert_eq!(take(&world).await["what"], "already_ours");
    assert_eq!(give_back(&world, false).await["what"], "not_taken");
}

#[tokio::test]
async fn what_meta_refuses_changes_nothing_and_is_said_plainly() {
    let (graph, (deaf, _)) = (graph(), public_side("another-token").await);
    let world = world(&graph, &deaf);
    set(&graph, Some("https://a.example/webhook"));
    let taken = take(&world).await;
    let detail = taken["detail"].as_str().unwrap();
    assert_eq!(taken["what"], "failed");
    assert!(detail.contains(&format!("could not reach this box at {deaf}")), "{detail}");
    assert_eq!(overridden(&graph).as_deref(), Some("https://a.example/webhook"));
    assert_eq!(shown(&world).await["before"], Value::Null, "nothing is kept of what didn't succeed");
    behave(&graph, "refuse,code=190");
    let detail = take(&world).await["detail"].as_str().unwrap().to_owned();
    graph.behave(&[]);
    assert!(detail.contains("Put a valid one"), "{detail}");
    let (ours, _) = public_side(VERIFY_TOKEN).await;
    let world = super::failover::world(&graph, &ours);
    assert_eq!(take(&world).await["what"], "taken");
    // Nobody is behind the address that it was.
    set(&graph, Some(&ours));
    let given = give_back(&world, false).await;
    let detail = given["detail"].as_str().unwrap();
    assert!(detail.contains("https://a.example/webhook") && detail.contains("by hand"), "{detail}");
    assert_eq!((&given["what"], overridden(&graph)), (&json!("failed"), Some(ours)));
    assert_eq!(shown(&world).await["before"], "https://a.example/webhook", "it is still known");
}

#[tokio::test]
async fn what_somebody_else_has_set_meanwhile_is_not_undone_by_the_way() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let (theirs, _) = public_side(VERIFY_TOKEN).await;
    let world = world(&graph, &ours);
    set(&graph, Some(&theirs));
    assert_eq!(take(&world).await["what"], "taken");
    set(&graph, Some("https://third.example/webhook"));
    let refused = give_back(&world, false).await;
    let detail = refused["detail"].as_str().unwrap();
    assert_eq!((&refused["what"], &refused["done"]), (&json!("changed"), &json!(false)));
    assert!(detail.contains("https://third.example/webhook") && detail.contains(&theirs), "{detail}");
    assert_eq!(overridden(&graph).as_deref(), Some("https://third.example/webhook"));
    assert_eq!(give_back(&world, true).await["what"], "given_back");
    assert_eq!(overridden(&graph), Some(theirs.clone()));

    // Who has given it back by hand has given it back.
    assert_eq!(take(&world).await["what"], "taken");
    set(&graph, Some(&theirs));
    assert_eq!(give_back(&world, false).await["what"], "given_back");
}

/// What was begun and whose end isn't known is found out the next time, and what was before is still known.
#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up() {
    let graph = Arc::new(graph());
    let (theirs, _) = public_side(VERIFY_TOKEN).await;
    let told = Arc::clone(&graph);
    // The edge falls ill between the change and the look at it.
    let (ours, asked) = public_side_with(VERIFY_TOKEN, move || behave(&told, "refuse,code=500")).await;
    let world = world(&graph, &ours);
    set(&graph, Some(&theirs));
    let taken = take(&world).await;
    graph.behave(&[]);
    assert_eq!((&taken["what"], overridden(&graph)), (&json!("failed"), Some(ours.clone())));
    assert!(taken["detail"].as_str().unwrap().contains("isn't known"), "{taken}");
    assert_eq!(shown(&world).await["taken_at"], Value::Null);
    assert_eq!(take(&world).await["what"], "taken");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "it was only looked up");
    assert_eq!(shown(&world).await["before"], theirs);
    assert_eq!(give_back(&world, false).await["what"], "given_back");
    assert_eq!(overridden(&graph), Some(theirs));

    // Before anything was changed a sick edge costs nothing.
    behave(&graph, "refuse,code=503");
    assert_eq!(take(&world).await["what"], "failed");
    graph.behave(&[]);
    assert_eq!((shown(&world).await["before"].clone(), calls(&world).await), (Value::Null, 11));
}

#[tokio::test]
async fn what_can_t_be_tried_is_refused_before_meta_is_asked() {
    let graph = graph();
    let path = "/{phone_number_id}/messages";
    let nameless = World::at([(SHOP, number())], ways(&graph, path), None);
    let answer = nameless.post("/v1/failover/take", json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.json["detail"].as_str().unwrap().contains("public_url"), "{}", answer.json);
    let view = nameless.get("/v1/failover").await.json;
    assert_eq!((&view["public_url"], &view["standby"]), (&Value::Null, &Value::Null));

    let ours = "https://b.example/webhook";
    let numbers = || [(SHOP, number()), (CAFE, number())];
    let world = World::at(numbers(), ways(&graph, path), Some(ours));
    for body in [json!({ "numbers": [CAFE] }), json!({ "numbers": ["7"] })] {
        for path in ["/v1/failover/take", "/v1/failover/give-back"] {
            let answer = world.post(path, body.clone()).await;
            assert_eq!(
                (answer.status, answer.pointers()),
                (StatusCode::UNPROCESSABLE_ENTITY, vec!["/numbers"])
            );
        }
    }
    for body in [json!({ "numbers": [] }), json!({ "numbers": SHOP }), json!({ "number": SHOP })] {
        let answer = world.post("/v1/failover/take", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.json);
    }
    // A provider can't be asked.
    let provider = World::at([(SHOP, number())], ways(&graph, "/messages"), Some(ours));
    for path in ["/v1/failover/take", "/v1/failover/give-back"] {
        assert_eq!(provider.post(path, json!({})).await.status, StatusCode::CONFLICT);
    }
    assert_eq!(calls(&world).await, 0);
}

#[tokio::test]
async fn without_units_nothing_is_asked() {
    let (graph, (ours, _)) = (graph(), public_side(VERIFY_TOKEN).await);
    let few = outbox::Number { calls_per_day: 2, ..number() };
    let world = World::at([(SHOP, few)], ways(&graph, "/{phone_number_id}/messages"), Some(&ours));
    for _ in 0..4 {
        let _ = shown(&world).await;
    }
    assert!(calls(&world).await <= 2);
    let taken = take(&world).await;
    assert_eq!((&taken["what"], overridden(&graph)), (&json!("failed"), None));
    assert!(shown(&world).await["error"].is_string());
}
