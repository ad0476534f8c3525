//! Calls that look after a number: what Graph is asked, and how its answers are told apart.

use std::time::Duration;

use model::{Outcome, Refusal};
use serde_json::{Value, json};
use wagate_egress::graph::CanSend;
use wagate_egress::{Callbacks, Graph, Storage};

use crate::graph::{NUMBER, TOKEN, answer, at, closed, meta, provider, to};
use crate::raw::{Act, Raw, Then};

const URL: &str = "https://box.example.com/webhook";

/// What each of them comes to, as one word and a text.
async fn all(graph: &Graph) -> Vec<Result<String, Outcome>> {
    vec![
        graph.webhook_configuration(NUMBER).await.outcome.map(|found| format!("{found:?}")),
        graph.set_callback(NUMBER, Some((URL, "v3rify"))).await.outcome.map(|()| String::new()),
        graph.set_callback(NUMBER, None).await.outcome.map(|()| String::new()),
        graph.health(NUMBER).await.outcome.map(|found| format!("{found:?}")),
        graph.subscribed_apps("102290129340398").await.outcome.map(|found| format!("{found:?}")),
        graph.storage(NUMBER).await.outcome.map(|found| format!("{found:?}")),
        graph.token_info().await.outcome.map(|found| format!("{found:?}")),
    ]
}

#[tokio::test]
async fn each_is_asked_where_graph_has_it() {
    let bodies = [
        r#"{"webhook_configuration":{"phone_number":"https://box.example.com/webhook"},"id":"1"}"#,
        r#"{"success":true}"#,
        r#"{"success":true}"#,
        r#"{"health_status":{"can_send_message":"LIMITED","entities":[{"entity_type":"APP","id":"6",
            "can_send_message":"AVAILABLE"}]},"id":"1"}"#,
        r#"{"data":[{"whatsapp_business_api_data":{"id":"6","name":"wagate"}}]}"#,
        r#"{"storage_configuration":{"status":"NO_STORAGE_ENABLED","retention_minutes":60}}"#,
    ];
    let raw = Raw::start(move |place| answer("200 OK", bodies[place])).await;
    let graph = at(&raw);
    let callbacks = graph.webhook_configuration(NUMBER).await.outcome.unwrap();
    let expected = Callbacks { phone_number: Some(URL.into()), ..Callbacks::default() };
    assert_eq!(callbacks, expected);
    graph.set_callback(NUMBER, Some((URL, "v3rify"))).await.outcome.unwrap();
    graph.set_callback(NUMBER, None).await.outcome.unwrap();
    let health = graph.health(NUMBER).await.outcome.unwrap();
    assert_eq!((health.can_send, health.entities[0].id.as_deref()), (CanSend::Limited, Some("6")));
    let apps = graph.subscribed_apps("102290129340398").await.outcome.unwrap();
    assert_eq!((apps.len(), &apps[0].id[..], &apps[0].name[..]), (1, "6", "wagate"));
    let storage = graph.storage(NUMBER).await.outcome.unwrap();
    assert_eq!(storage, Storage::NoStorage { retention_minutes: Some(60) });

    let saw = raw.saw();
    let lines: Vec<&str> = saw.heads.iter().map(|head| head.lines().next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            &format!("GET /v24.0/{NUMBER}?fields=webhook_configuration HTTP/1.1")[..],
            &format!("POST /v24.0/{NUMBER} HTTP/1.1"),
            &format!("POST /v24.0/{NUMBER} HTTP/1.1"),
            &format!("GET /v24.0/{NUMBER}?fields=health_status HTTP/1.1"),
            "GET /v24.0/102290129340398/subscribed_apps HTTP/1.1",
            &format!("GET /v24.0/{NUMBER}/settings HTTP/1.1"),
        ]
    );
    assert!(saw.heads.iter().all(|head| head.contains(&format!("authorization: Bearer {TOKEN}"))));
    let posted: Vec<Value> = saw.bodies.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect();
    let set = json!({ "webhook_configuration": { "override_callback_uri": URL, "verify_token": "v3rify" } });
    assert_eq!(posted, [set, json!({ "webhook_configuration": { "override_callback_uri": "" } })]);
}

#[tokio::test]
async fn refused_unknown_and_not_sent_are_told_apart() {
    let refusing = Raw::start(|_| {
        let body = r#"{"error":{"code":100,"message":"(#100) Callback verification failed","type":"x"}}"#;
        answer("400 Bad Request", body)
    })
    .await;
    for outcome in all(&at(&refusing)).await {
        let Err(Outcome::Refused(Refusal { code, details, http, .. })) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((code, http), (Some(100), Some(400)));
        assert_eq!(details, "(#100) Callback verification failed");
    }
    for act in [
        answer("200 OK", "<html>Welcome to Shop WiFi</html>"),
        answer("200 OK", r#"{"success":false}"#),
        answer("200 OK", r#"{"data":7}"#),
        Act::new("", Then::Reset),
        Act::new("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"success\":true}", Then::Close),
    ] {
        let raw = Raw::start(move |_| act.clone()).await;
        for outcome in all(&at(&raw)).await {
            assert!(matches!(outcome, Err(Outcome::Unknown { .. })), "{outcome:?}");
        }
        assert_eq!(raw.saw().heads.len(), 7, "nothing is asked twice");
    }
    for outcome in all(&to(meta(&format!("http://{}", closed())))).await {
        assert!(matches!(outcome, Err(Outcome::NotSent { .. })), "{outcome:?}");
    }
    let silent = Raw::start(|_| Act::new("", Then::Hold)).await;
    let hasty = to(crate::graph::of(&silent).with_timeout(Duration::from_millis(200)));
    let outcome = hasty.health(NUMBER).await.outcome;
    assert_eq!(outcome, Err(Outcome::Unknown { reason: "no answer came in time".into() }));
}

#[tokio::test]
async fn what_only_meta_can_be_asked_goes_to_no_provider() {
    let raw = Raw::start(|_| answer("200 OK", r#"{"success":true}"#)).await;
    for outcome in all(&to(provider(&format!("http://{}", raw.address)))).await {
        let Err(Outcome::NotSent { reason }) = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("only Meta") || reason.contains("only a token"), "{reason}");
    }
    let graph = at(&raw);
    let long = format!("https://box.example.com/{}", "x".repeat(200));
    for (number, callback) in [(NUMBER, ""), (NUMBER, &long[..]), ("1/2", URL)] {
        let outcome = graph.set_callback(number, Some((callback, "v3rify"))).await.outcome;
        assert!(matches!(outcome, Err(Outcome::NotSent { .. })), "{outcome:?}");
    }
    assert!(matches!(graph.subscribed_apps("..").await.outcome, Err(Outcome::NotSent { .. })));
    assert_eq!(raw.saw().connections, 0);
}

#[tokio::test]
async fn no_secret_is_in_what_went_wrong() {
    let body = format!(r#"{{"error":{{"code":190,"message":"Malformed access token {TOKEN}"}}}}"#);
    let raw = Raw::start(move |_| answer("401 Unauthorized", &body)).await;
    for graph in [at(&raw), to(meta(&format!("http://{}", closed())))] {
        let printed = format!("{:?} {graph:?}", all(&graph).await);
        for secret in [TOKEN, "v3rify", "127.0.0.1", "box.example"] {
            assert!(!printed.contains(secret), "{secret}: {printed}");
        }
    }
}
