//! Who may ask what, and what is kept of it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use ingress::Peer;
use serde_json::json;

use super::super::needs::{Needed, Needs, On};
use super::super::routes;
use super::{SHOP, World};
use crate::app::audit::{AT_ONCE, Kept};
use crate::config::{Scope, Scopes};

/// A request with this token, from this address.
fn request(method: &Method, path: &str, token: &str, from: [u8; 4]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path.replace(['{', '}'], ""));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer::new(SocketAddr::from((from, 50_000))));
    request
}

const HERE: [u8; 4] = [127, 0, 0, 1];

#[tokio::test]
async fn every_route_asks_for_its_scope_and_the_document_says_which() {
    let document: serde_json::Value = serde_json::from_str(super::super::openapi::DOCUMENT).unwrap();
    let (needed, _) = Needed::of(routes());
    let world = World::new(&[SHOP]);
    // So that nothing streams on.
    world.stop.send_replace(true);
    let mut written = 0;
    for (path, method, needs) in needed.all() {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        let said = operation.get("security").unwrap_or(&document["security"]);
        let word = needs.scope().as_str();
        assert_eq!(*said, json!([{ "token": [word] }]), "{method} {path}");
        // What changes something of the box is written down, and nothing else of those with one scope is.
        let changes = *method != Method::GET && needs.scope() == Scope::Operate;
        assert_eq!(needs.is_audited(Scopes::of(&[needs.scope()])), changes, "{method} {path}");
        for (token, scope) in [("reader", Scope::Read), ("sender", Scope::Send), ("operator", Scope::Operate)]
        {
            let answer = world.send(request(method, path, token, HERE)).await;
            if scope == needs.scope() {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {token}");
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {token}");
                assert_eq!((&answer.json["scope"], &answer.json["client"]), (&json!(word), &json!(token)));
            }
        }
        let entries = world.side.audit.read(Some(written), 10).unwrap();
        assert_eq!(entries.len(), usize::from(changes), "{method} {path}: only what was let in");
        written += entries.len() as u64;
        if let [entry] = entries.as_slice() {
            assert_eq!(
                (entry.kept.client.as_str(), &entry.kept.action),
                ("operator", &format!("{method} {path}"))
            );
            assert!(entry.kept.status.is_some() && entry.kept.address == Some(HERE.into()));
        }
    }
    assert_eq!(needed.find("/v1/status", &Method::HEAD), Some(Needs::Read));
    assert_eq!(needed.find("/v1/status", &Method::POST), None);
}

#[tokio::test]
async fn both_tokens_of_a_rotation_work_and_nobody_elses() {
    let world = World::new(&[SHOP]);
    for (token, status) in [("right", 200), ("next", 200), ("wrong", 401), ("", 401), ("righ", 401)] {
        assert_eq!(
            world.send(request(&Method::GET, "/v1/status", token, HERE)).await.status,
            status,
            "{token}"
        );
    }
    for path in ["/v1/nothing", "/v2"] {
        assert_eq!(
            world.send(request(&Method::GET, path, "sender", HERE)).await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            world.send(request(&Method::GET, path, "wrong", HERE)).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let wrong_method = world.send(request(&Method::PUT, "/v1/status", "sender", HERE)).await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.side.audit.read(None, 10).unwrap(), [], "nothing of it was anybody's action");
}

#[tokio::test(start_paused = true)]
async fn guesses_are_slowed_by_address_and_a_right_token_gets_in_all_the_same() {
    let world = World::new(&[SHOP]);
    let ask = async |token: &str, from| world.send(request(&Method::GET, "/v1/status", token, from)).await;
    for _ in 0..50 {
        assert_eq!(ask("", HERE).await.status, StatusCode::UNAUTHORIZED, "no token is no guess");
    }
    let mut answers = Vec::new();
    for guess in 0..12 {
        answers.push(ask(&format!("guess-{guess}"), HERE).await.status.as_u16());
    }
    assert_eq!(answers, [[401; 10].as_slice(), &[429; 2]].concat());
    let refused = ask("guess", HERE).await;
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 6);
    assert_eq!(ask("guess", [127, 0, 0, 2]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("right", HERE).await.status, StatusCode::OK);
    assert!(world.side.shown.strangers.alarm().is_none(), "the fake has counters of its own");
    assert!(world.side.strangers.alarm().is_some());
}

#[tokio::test]
async fn what_was_done_is_listed_with_what_it_was_done_to_and_nothing_else_of_the_path() {
    let world = World::new(&[SHOP]);
    for (method, path) in [
        (Method::POST, format!("/v1/numbers/{SHOP}/resume")),
        (Method::POST, "/v1/numbers/85291234567/resume".to_owned()),
        (Method::POST, "/v1/messages/m-00000000000000000000000007/resolve".to_owned()),
        (Method::POST, "/v1/messages/wamid.HBgLODUyNjEyMzQ1Njc/resolve".to_owned()),
        (Method::POST, "/v1/deadletters/00000000000000001234/retry".to_owned()),
        (Method::DELETE, "/v1/quick-replies/ready".to_owned()),
        (Method::DELETE, "/v1/quick-replies/+85261234567".to_owned()),
        (Method::POST, "/v1/failover/take".to_owned()),
        // Spelled in another way they are the same, and as little of the rest is kept.
        (Method::POST, format!("/v1/numbers/%31{}/resume", &SHOP[1..])),
        (Method::DELETE, "/v1/deadletters/%30000000000000000%31234".to_owned()),
        (Method::DELETE, "/v1/quick-replies/%72eady".to_owned()),
        (Method::DELETE, "/v1/quick-replies/%2B85261234567".to_owned()),
    ] {
        world.send(request(&method, &path, "operator", HERE)).await;
    }
    let listed = world.send(request(&Method::GET, "/v1/audit", "operator", HERE)).await.json;
    let seen: Vec<(&str, Option<&str>)> = listed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["target"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("POST /v1/numbers/{phone_number_id}/resume", Some(SHOP)),
            ("POST /v1/numbers/{phone_number_id}/resume", None),
            ("POST /v1/messages/{id}/resolve", Some("m-00000000000000000000000007")),
            ("POST /v1/messages/{id}/resolve", None),
            ("POST /v1/deadletters/{id}/retry", Some("00000000000000001234")),
            ("DELETE /v1/quick-replies/{name}", Some("ready")),
            ("DELETE /v1/quick-replies/{name}", None),
            ("POST /v1/failover/take", None),
            ("POST /v1/numbers/{phone_number_id}/resume", Some(SHOP)),
            ("DELETE /v1/deadletters/{id}", Some("00000000000000001234")),
            ("DELETE /v1/quick-replies/{name}", Some("ready")),
            ("DELETE /v1/quick-replies/{name}", None),
        ]
    );
    assert_eq!(listed["next"], 12);
    let rest = world.send(request(&Method::GET, "/v1/audit?after=6&limit=1", "operator", HERE)).await.json;
    assert_eq!((&rest["entries"][0]["number"], &rest["next"]), (&json!(7), &json!(7)));
    let none = world.send(request(&Method::GET, "/v1/audit?after=12", "operator", HERE)).await.json;
    assert_eq!((&none["entries"], &none["next"]), (&json!([]), &json!(12)));
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done_but_for_what_mends_the_box() {
    let world = World::new(&[SHOP]);
    world.side.shown.store.close();
    let reply = "/v1/quick-replies/ready";
    let put = Request::put(reply).header("authorization", "Bearer right");
    let put = put.body(json!({ "type": "text", "text": { "body": "Hi" } }).to_string().into()).unwrap();
    let refused = world.send(put).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.json);
    assert_eq!(world.get(reply).await.status, StatusCode::NOT_FOUND, "nothing was done");
    // There is no board here, which the handler says: it was asked.
    assert_eq!(world.post("/v1/box/reboot", json!({})).await.status, StatusCode::NOT_IMPLEMENTED);
}

/// Its time goes on whenever nothing but the store is waited for.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_stuck_keeps_each_caller_waiting_once_and_what_mends_the_box_hardly() {
    let world = World::new(&[SHOP]);
    let (go_on, stuck) = std::sync::mpsc::sync_channel::<()>(1);
    let change = store::Change { key: b"x".to_vec(), value: None };
    let transaction = store::Transaction { changes: vec![change], ..store::Transaction::default() };
    // The writer answers from its own thread.
    world.store.transact(transaction, model::WallTime(super::NOW), Box::new(move |_| _ = stuck.recv()));
    let began = tokio::time::Instant::now();
    let asked = async |method: Method, path: &str| {
        let answer = world.send(request(&method, path, "operator", HERE)).await;
        (answer.status.as_u16(), began.elapsed().as_secs())
    };
    let ready = "/v1/quick-replies/ready";
    let answers = tokio::join!(
        asked(Method::DELETE, ready),
        asked(Method::DELETE, ready),
        asked(Method::DELETE, ready),
        asked(Method::POST, "/v1/box/reboot"),
    );
    assert_eq!(answers, ((503, 10), (503, 10), (503, 10), (501, 2)));
    // What was begun is written when it goes on, and its number is nobody else's.
    drop(go_on);
    tokio::time::resume();
    assert_eq!(asked(Method::POST, "/v1/box/reboot").await.0, 501);
    let entries = world.side.audit.read(None, 10).unwrap();
    let last = entries.last().unwrap();
    assert_eq!((last.kept.action.as_str(), last.kept.status), ("POST /v1/box/reboot", Some(501)));
    let before = &entries[..entries.len() - 1];
    assert!(!before.is_empty() && before.iter().all(|entry| entry.kept.status.is_none()), "{entries:?}");
    assert!(before.iter().all(|entry| entry.kept.action == "DELETE /v1/quick-replies/{name}"), "{entries:?}");
}

#[tokio::test]
async fn who_hangs_up_leaves_an_entry_without_an_outcome() {
    let world = World::new(&[SHOP]);
    let nothing_more = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
    let asked = Request::post("/v1/failover/take").header("authorization", "Bearer right");
    let asked = world.send(asked.body(Body::from_stream(nothing_more)).unwrap());
    let begun = async {
        while world.side.audit.read(None, 1).unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        answer = asked => panic!("answered with {}", answer.status),
        () = begun => {}
    }
    let entries = world.side.audit.read(None, 10).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].kept.status, entries[0].kept.client.as_str()), (None, "api.token"));
}

#[test]
fn a_target_is_of_its_kind_or_none() {
    let numbers = [(SHOP.to_owned(), String::new())].into_iter().collect();
    let target = |on: On, given| on.target(given, &numbers);
    assert_eq!(target(On::Number, SHOP).as_deref(), Some(SHOP));
    for (on, given) in [
        (On::Number, "1"),
        (On::Letter, "+85261234567"),
        (On::Message, "m-7"),
        (On::Box, "1"),
        (On::Reply, "+852"),
        (On::Reply, "a/b"),
    ] {
        assert_eq!(target(on, given), None, "{on:?} {given}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_pushes_out_of_the_audit_log_what_others_did_and_nobody_is_kept_from_mending() {
    let world = World::new(&[SHOP]);
    let ask =
        async |method, path: &str, token: &str| world.send(request(&method, path, token, HERE)).await.status;
    let reply = "/v1/quick-replies/hello";
    for _ in 0..AT_ONCE.get() {
        world.side.audit.charge(&"operator".into()).unwrap();
    }
    let refused = world.send(request(&Method::DELETE, reply, "operator", HERE)).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    assert_eq!(refused.json["client"], "operator");
    assert_eq!(world.side.audit.read(None, 10).unwrap(), [], "nor is that on the disk");
    // To mend, which pushes nothing out either, and to look.
    assert_ne!(ask(Method::DELETE, "/v1/update", "operator").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.side.audit.read(None, 10).unwrap(), []);
    assert_eq!(ask(Method::GET, "/v1/audit", "operator").await, StatusCode::OK);
    // Others have their own, and time gives it back. From here on the disk has the time that it takes.
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    for token in ["right", "operator"] {
        assert_eq!(ask(Method::DELETE, reply, token).await, StatusCode::NOT_FOUND, "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_person_takes_back_is_in_the_audit_log_and_one_that_a_program_does_is_not() {
    let world = World::new(&[SHOP]);
    let message = "m-00000000000000000000000007";
    let cancel = async |token: &str| {
        let request = request(&Method::DELETE, &format!("/v1/messages/{message}"), token, HERE);
        world.send(request).await.status
    };
    // Past what a client may have written it is done all the same: 404 is the handler's.
    for _ in 0..AT_ONCE.get() {
        world.side.audit.charge(&"api.token".into()).unwrap();
    }
    assert_eq!(cancel("right").await, StatusCode::NOT_FOUND);
    assert_eq!(cancel("sender").await, StatusCode::NOT_FOUND);
    assert_eq!(world.side.audit.read(None, 10).unwrap(), []);
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(cancel("right").await, StatusCode::NOT_FOUND);
    let entries = world.side.audit.read(None, 10).unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    let Kept { client, action, target, status, .. } = &entry.kept;
    assert_eq!((client.as_str(), action.as_str()), ("api.token", "DELETE /v1/messages/{id}"));
    assert_eq!((target.as_deref(), *status), (Some(message), Some(404)));
}
