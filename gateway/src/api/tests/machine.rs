//! The machine below, and its firmware.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{SHOP, World};
use crate::app::fake_board::{FakeBoard, bundle};

/// Nothing here takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

const BUNDLE: [(&str, &str); 1] = [("content-type", "application/octet-stream")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to pass");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_taken_as_a_body_and_shown() {
    let board = FakeBoard::new();
    let world = World::on(&board);
    let before = world.get("/v1/update").await;
    assert_eq!((&before.json["version"], &before.json["job"]), (&json!("0.1.0"), &Value::Null));
    let answer = world.ask(Method::POST, "/v1/update", &BUNDLE, bundle("0.2.0", b"0123456789")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.json);
    assert_eq!(answer.json["job"]["stage"], "activated");
    assert_eq!(board.state().written, b"0123456789");
    until(|| board.state().reboots == ["update to 0.2.0"]).await;
    let after = world.get("/v1/update").await;
    assert_eq!(
        (&after.json["slots"][1]["state"], &after.json["slots"][1]["next"]),
        (&json!("trial"), &json!(true))
    );
    let status = world.get("/v1/status").await.json;
    assert_eq!((&status["machine"]["slot"], &status["update"]["version"]), (&json!("a"), &json!("0.2.0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_says_why_in_a_word() {
    let board = FakeBoard::new();
    let world = World::on(&board);
    let post = |headers: [(&'static str, &'static str); 1], body: Vec<u8>| {
        let world = &world;
        async move { world.ask(Method::POST, "/v1/update", &headers, body).await }
    };
    let forged = post(BUNDLE, bundle("forged", &[0; 100_000])).await;
    assert_eq!(
        (forged.status, &forged.json["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("unknown-key"))
    );
    let large =
        world.ask(Method::POST, "/v1/update", &[BUNDLE[0], ("content-length", "300000000")], "x").await;
    assert_eq!((large.status, &large.json["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too-large")));
    let kind = post([("content-type", "text/html")], b"x".to_vec()).await;
    assert_eq!(kind.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for bad in [
        json!({}),
        json!({ "url": "ftp://x/y" }),
        json!({ "url": 7 }),
        json!({ "url": "http://x/", "now": 1 }),
    ] {
        let answer = post(JSON, bad.to_string().into_bytes()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    assert_eq!(
        world.ask(Method::DELETE, "/v1/update", &[], Body::empty()).await.status,
        StatusCode::CONFLICT
    );
    let nothing = world.ask(Method::POST, "/v1/update/roll-back", &[], Body::empty()).await;
    assert_eq!((nothing.status, &nothing.json["code"]), (StatusCode::CONFLICT, &json!("nothing-there")));
    assert!(board.state().reboots.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_fetched_behind_the_answer_and_one_at_a_time() {
    let board = FakeBoard::new();
    let world = World::on(&board);
    // A server that takes the question and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/b", silent.local_addr().unwrap());
    let body = || json!({ "url": url, "reboot": false }).to_string();
    let answer = world.ask(Method::POST, "/v1/update", &JSON, body()).await;
    assert_eq!((answer.status, &answer.json["job"]["reboot"]), (StatusCode::ACCEPTED, &json!(false)));
    let second = world.ask(Method::POST, "/v1/update", &JSON, body()).await;
    assert_eq!((second.status, &second.json["code"]), (StatusCode::CONFLICT, &json!("busy")));
    for path in ["/v1/update/roll-back", "/v1/box/reboot", "/v1/box/factory-reset"] {
        let answer = world.post(path, json!({ "box": "wagate-7f3a" })).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{path}");
    }
    let ended = world.ask(Method::DELETE, "/v1/update", &[], Body::empty()).await;
    assert_eq!(ended.status, StatusCode::ACCEPTED);
    until(|| !world.side.updates.is_busy()).await;
    assert_eq!(world.get("/v1/update").await.json["job"]["stage"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_is_shown_started_anew_and_emptied_only_by_its_name() {
    let board = FakeBoard::new();
    let world = World::on(&board);
    let shown = world.get("/v1/box").await.json;
    assert_eq!(
        (&shown["machine"]["box_id"], &shown["clock"]["trusted"]),
        (&json!("wagate-7f3a"), &json!(false))
    );
    assert_eq!(world.get("/v1/box/log?lines=2").await.json, json!({ "lines": ["line 0", "line 1"] }));
    for bad in ["0", "2001", "x"] {
        assert_eq!(world.get(&format!("/v1/box/log?lines={bad}")).await.status, StatusCode::BAD_REQUEST);
    }
    for wrong in [json!({}), json!({ "box": "wagate-0000" })] {
        let answer = world.post("/v1/box/factory-reset", wrong).await;
        assert_eq!((answer.status, answer.pointers()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/box"]));
    }
    assert_eq!(board.state().resets, 0);
    let reset = world.post("/v1/box/factory-reset", json!({ "box": "wagate-7f3a" })).await;
    assert_eq!((reset.status, board.state().resets), (StatusCode::ACCEPTED, 1), "{}", reset.json);
    let reboot = world.ask(Method::POST, "/v1/box/reboot", &[], Body::empty()).await;
    assert_eq!(reboot.status, StatusCode::ACCEPTED);
    until(|| board.state().reboots.len() == 1).await;
}

#[tokio::test]
async fn a_machine_without_a_board_says_who_updates_it() {
    let world = World::new(&[SHOP]);
    for (method, path) in [
        (Method::GET, "/v1/update"),
        (Method::DELETE, "/v1/update"),
        (Method::POST, "/v1/update/roll-back"),
        (Method::GET, "/v1/box/log"),
        (Method::POST, "/v1/box/reboot"),
        (Method::POST, "/v1/box/factory-reset"),
    ] {
        let answer = world.ask(method, path, &[], Body::empty()).await;
        assert_eq!(
            (answer.status, &answer.json["code"]),
            (StatusCode::NOT_IMPLEMENTED, &json!("unsupported")),
            "{path}"
        );
        assert!(answer.json["detail"].as_str().unwrap().contains("package"), "{path}");
    }
    for headers in [BUNDLE, JSON] {
        let answer = world.ask(Method::POST, "/v1/update", &headers, "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    }
    let shown = world.get("/v1/box").await.json;
    assert_eq!((&shown["machine"], &shown["clock"]["servers"]), (&Value::Null, &Value::Null));
    assert_eq!(world.get("/v1/status").await.json["machine"], Value::Null);
}
