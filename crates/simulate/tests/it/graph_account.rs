//! What is set up at Meta is told, and a callback is only taken once it has passed the handshake.

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use wagate_simulate::graph::{App, Graph, GraphSettings, HandClock, Setup, Storage, Token};

use crate::crm::{ask, get};
use crate::gateway::{Gateway, Reaction, yes};
use crate::graph_calls::{
    ANN, LONG, NUMBER, START_MS, alone, bearer, behave, graph_to, post, read, said, settings, statuses,
    template, webhooks,
};
use crate::run;

const WABA: &str = "102290129340398";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn told(graph: &Graph, path: &str) -> (u16, Value) {
    read(&ask(graph.address(), bearer(get(path))).await.unwrap())
}

async fn set(graph: &Graph, path: &str, body: &Value) -> (u16, Value) {
    read(&ask(graph.address(), bearer(post(path, &JSON, body.to_string()))).await.unwrap())
}

/// What a box does: the challenge back for the right token, 200 for webhooks.
fn as_a_box(_: usize, head: &Parts, _: &Bytes) -> Reaction {
    let query = head.uri.query().unwrap_or_default();
    let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key));
    match (head.method.as_str(), value("hub.mode="), value("hub.verify_token=")) {
        ("POST", _, _) => Reaction::Answer(200, Bytes::new()),
        ("GET", Some("subscribe"), Some("right")) => {
            Reaction::Answer(200, Bytes::from(value("hub.challenge=").unwrap_or_default().to_owned()))
        }
        _ => Reaction::Answer(403, Bytes::new()),
    }
}

fn override_by(url: &str, verify_token: &str) -> Value {
    json!({ "webhook_configuration": { "override_callback_uri": url, "verify_token": verify_token } })
}

#[test]
fn health_is_told_for_each_entity_and_in_sum() {
    run(async {
        let (graph, _) = alone();
        let health = async || told(&graph, &format!("/v24.0/{NUMBER}?fields=health_status")).await.1;
        let all = health().await;
        assert_eq!(all["health_status"]["can_send_message"], "AVAILABLE");
        let entities = all["health_status"]["entities"].as_array().unwrap();
        let kinds: Vec<&Value> = entities.iter().map(|entity| &entity["entity_type"]).collect();
        assert_eq!(kinds, ["PHONE_NUMBER", "WABA", "BUSINESS", "APP"]);
        assert_eq!((&entities[0]["id"], &entities[1]["id"]), (&json!(NUMBER), &json!(WABA)));
        assert!(entities.iter().all(|entity| entity.get("errors").is_none()));

        behave(&graph, &["health,says=limited", "health,says=blocked,entity=business,next=1"]);
        let all = health().await;
        let entities = &all["health_status"]["entities"];
        assert_eq!(all["health_status"]["can_send_message"], "BLOCKED");
        assert_eq!(
            (&entities[0]["can_send_message"], &entities[2]["can_send_message"]),
            (&json!("LIMITED"), &json!("BLOCKED"))
        );
        assert!(entities[2]["errors"][0]["possible_solution"].is_string());
        assert!(entities[1].get("errors").is_none());
        assert_eq!(health().await["health_status"]["can_send_message"], "LIMITED");
        // Messages are another matter, and a sick edge gives no health at all.
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        behave(&graph, &["health,says=blocked", "refuse,code=503"]);
        assert_eq!(told(&graph, &format!("/{NUMBER}?fields=health_status")).await.0, 503);
    });
}

#[test]
fn a_number_s_webhooks_follow_an_override_that_passed_the_handshake() {
    run(async {
        let home = Gateway::start(yes).await;
        let standby = Gateway::start(as_a_box).await;
        let graph = graph_to(&home, &HandClock::new(START_MS));
        graph.setup(|setup| setup.app_callback = Some(home.url()));
        let path = format!("/v24.0/{NUMBER}");
        let configured = async || {
            let (_, mut told) = told(&graph, &format!("{path}?fields=webhook_configuration")).await;
            assert_eq!(told["id"], NUMBER);
            told["webhook_configuration"].take()
        };
        assert_eq!(configured().await, json!({ "application": home.url() }));

        // What doesn't pass changes nothing: another token, nobody there, no URL, one that is too long.
        let wrong = set(&graph, &path, &override_by(&standby.url(), "wrong")).await;
        assert_eq!((wrong.0, &wrong.1["error"]["code"]), (400, &json!(2_200)));
        assert!(wrong.1["error"]["message"].as_str().unwrap().contains("403"), "{wrong:?}");
        for (url, code) in [
            ("http://127.0.0.1:1/webhook", 2_200),
            ("nowhere", 2_200),
            (format!("{}?{}", standby.url(), "x".repeat(200)).as_str(), 100),
        ] {
            assert_eq!(
                set(&graph, &path, &override_by(url, "right")).await.1["error"]["code"],
                code,
                "{url}"
            );
        }
        assert_eq!(set(&graph, &path, &json!({})).await.1["error"]["code"], 100);
        assert_eq!(configured().await, json!({ "application": home.url() }));

        let right = override_by(&standby.url(), "right");
        assert_eq!(set(&graph, &path, &right).await, (200, json!({ "success": true })));
        assert_eq!(configured().await, json!({ "application": home.url(), "phone_number": standby.url() }));
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        assert!(graph.settle(LONG).await);
        standby.received.lock().unwrap().retain(|(head, _)| head.method == "POST");
        assert_eq!((statuses(&standby).len(), statuses(&home).len()), (3, 0));

        assert_eq!(set(&graph, &path, &override_by("", "")).await.0, 200);
        assert_eq!(configured().await, json!({ "application": home.url() }));
        assert_eq!(said(&graph, &template(ANN, "m-2")).await.0, 200);
        assert!(graph.settle(LONG).await);
        assert_eq!((statuses(&standby).len(), statuses(&home).len()), (3, 3));
    });
}

#[test]
fn what_failed_at_one_url_is_sent_again_to_the_other() {
    run(async {
        let home = Gateway::start(|_, _, _| Reaction::Answer(503, Bytes::new())).await;
        let standby = Gateway::start(as_a_box).await;
        let graph = graph_to(&home, &HandClock::new(START_MS));
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        while webhooks(&home).is_empty() {
            tokio::task::yield_now().await;
        }
        let right = override_by(&standby.url(), "right");
        assert_eq!(set(&graph, &format!("/{NUMBER}"), &right).await.0, 200);
        assert!(graph.settle(LONG).await);
        standby.received.lock().unwrap().retain(|(head, _)| head.method == "POST");
        assert_eq!(statuses(&standby).len(), 3);
    });
}

#[test]
fn an_override_of_the_account_holds_for_numbers_without_one() {
    run(async {
        let home = Gateway::start(yes).await;
        let (all, one) = (Gateway::start(as_a_box).await, Gateway::start(as_a_box).await);
        let clock = HandClock::new(START_MS);
        let graph = graph_to(&home, &clock);
        let apps = format!("/v24.0/{WABA}/subscribed_apps");
        let body = json!({ "override_callback_uri": all.url(), "verify_token": "right" });
        assert_eq!(set(&graph, &apps, &body).await, (200, json!({ "success": true })));
        let listed = told(&graph, &apps).await.1;
        assert_eq!(listed["data"][0]["override_callback_uri"], all.url());
        let about = told(&graph, &format!("/{NUMBER}?fields=webhook_configuration")).await.1;
        assert_eq!(about["webhook_configuration"], json!({ "whatsapp_business_account": all.url() }));
        said(&graph, &template(ANN, "m-1")).await;
        assert!(graph.settle(LONG).await);
        set(&graph, &format!("/{NUMBER}"), &override_by(&one.url(), "right")).await;
        said(&graph, &template(ANN, "m-2")).await;
        assert!(graph.settle(LONG).await);
        for gateway in [&all, &one] {
            gateway.received.lock().unwrap().retain(|(head, _)| head.method == "POST");
            assert_eq!(statuses(gateway).len(), 3);
        }
        assert_eq!(statuses(&home).len(), 0);
        // Without a URL it goes back to the app's own.
        assert_eq!(set(&graph, &apps, &json!({})).await.0, 200);
        assert!(told(&graph, &apps).await.1["data"][0].get("override_callback_uri").is_none());
    });
}

#[test]
fn subscriptions_storage_and_the_token_are_told_as_they_are_set_up() {
    run(async {
        let other = App { id: "77".into(), name: "Another".into(), override_callback_uri: None };
        let token = Token {
            expires_at_s: 1_800_000_000,
            scopes: vec!["whatsapp_business_messaging".into()],
            granular_scopes: vec![("whatsapp_business_messaging".into(), vec![WABA.into()])],
            is_valid: None,
        };
        let setup = Setup {
            app_id: "4711".into(),
            subscribed: false,
            other_apps: vec![other],
            storage: Storage::NoStorage,
            token,
            ..Setup::default()
        };
        let clock = HandClock::new(START_MS);
        let graph = Graph::start(GraphSettings { setup, ..settings(&clock) }).unwrap();
        let apps = format!("/{WABA}/subscribed_apps");
        let ids = async || {
            let listed = told(&graph, &apps).await.1;
            let listed = listed["data"].as_array().unwrap().clone();
            let id = |app: &Value| app["whatsapp_business_api_data"]["id"].as_str().unwrap().to_owned();
            listed.iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(ids().await, ["77"]);
        assert_eq!(set(&graph, &apps, &json!({})).await.0, 200);
        assert_eq!(ids().await, ["4711", "77"]);
        assert_eq!(told(&graph, "/999/subscribed_apps").await.1["error"]["code"], 100);

        let stored = async || {
            told(&graph, &format!("/v24.0/{NUMBER}/settings")).await.1["storage_configuration"].take()
        };
        assert_eq!(stored().await, json!({ "status": "no_storage_enabled", "retention_minutes": 60 }));
        graph.setup(|setup| setup.storage = Storage::InCountry { region: "DE".into() });
        let wanted = json!({ "status": "in_country_storage_enabled", "data_localization_region": "DE" });
        assert_eq!(stored().await, wanted);
        graph.setup(|setup| setup.storage = Storage::Default);
        assert_eq!(stored().await, json!({ "status": "default" }));

        let token = async || told(&graph, "/v24.0/debug_token?input_token=a-token").await.1["data"].take();
        let about = token().await;
        assert_eq!((&about["app_id"], &about["expires_at"]), (&json!("4711"), &json!(1_800_000_000)));
        assert_eq!((&about["is_valid"], about.get("error")), (&json!(true), None));
        assert_eq!(about["scopes"], json!(["whatsapp_business_messaging"]));
        let granular = json!([{ "scope": "whatsapp_business_messaging", "target_ids": [WABA] }]);
        assert_eq!(about["granular_scopes"], granular);
        graph.setup(|setup| setup.token.is_valid = Some(false));
        assert_eq!(
            (&token().await["is_valid"], &token().await["error"]["code"]),
            (&json!(false), &json!(190))
        );
    });
}
