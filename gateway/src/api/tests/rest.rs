//! Quick replies, forecasts, money.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{CAFE, SHOP, World};

#[tokio::test]
async fn every_endpoint_is_shown_as_the_contract_has_it() {
    let shown = World::new(&[SHOP]).get("/v1/endpoints").await;
    assert_eq!(shown.status, StatusCode::OK);
    let group = format!("whatsapp/{SHOP}");
    let expected = json!({ "endpoints": [
        { "group": group, "name": "meta", "state": "open", "active": false, "strikes": 3, "latency_ms": 1_830,
          "last_probe_at": "2026-11-20T12:00:00.000Z" },
        { "group": group, "name": "backup", "state": "closed", "active": true, "strikes": 0, "latency_ms": null,
          "last_probe_at": null },
    ] });
    assert_eq!(shown.json, expected);
}

#[tokio::test]
async fn quick_replies_are_kept_and_previewed() {
    let world = World::new(&[SHOP]);
    let reply =
        json!({ "type": "text", "text": { "body": "Dear ${lead.first_name}, see you at ${time|noon}." } });
    let kept = world.put("/v1/quick-replies/visit", reply.clone()).await;
    assert_eq!(
        kept.json,
        json!({ "name": "visit", "fields": ["lead.first_name", "time"], "message": reply })
    );
    let all = world.get("/v1/quick-replies").await.json;
    assert_eq!(all["quick_replies"], json!([kept.json]));
    assert_eq!(world.get("/v1/quick-replies/visit").await.json, kept.json);

    let path = "/v1/quick-replies/visit/preview";
    let filled = world.post(path, json!({ "fields": { "lead": { "first_name": "Ana" } } })).await.json;
    assert_eq!(filled["message"]["text"]["body"], "Dear Ana, see you at noon.");
    assert_eq!((&filled["missing"], &filled["errors"]), (&json!([]), &json!([])));
    let empty = world.post(path, json!({})).await.json;
    assert_eq!((&empty["message"], &empty["missing"]), (&Value::Null, &json!(["lead.first_name"])));
    let odd = world.post(path, json!({ "fields": { "Lead": "Ana" } })).await;
    assert_eq!((odd.status, odd.pointers()), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/fields/Lead"]));

    // Meta's limits hold for the filled text.
    let long = json!({ "type": "interactive", "interactive": { "type": "cta_url" } });
    assert_eq!(world.put("/v1/quick-replies/long", long).await.status, StatusCode::OK);
    let long = world.post("/v1/quick-replies/long/preview", json!({})).await.json;
    assert!(!long["errors"].as_array().unwrap().is_empty());

    let addressed = json!({ "to": "+85261234567", "text": { "body": "Hello" } });
    assert_eq!(world.put("/v1/quick-replies/x", addressed).await.pointers(), ["/to"]);
    let open = json!({ "text": { "body": "${name" } });
    assert_eq!(world.put("/v1/quick-replies/x", open).await.pointers(), ["/text/body"]);
    let name = world.put("/v1/quick-replies/two%20words", reply).await;
    assert_eq!(name.status, StatusCode::UNPROCESSABLE_ENTITY);
    let broken = world.ask(Method::PUT, "/v1/quick-replies/x", &[], "{").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    for (path, status) in [("visit", StatusCode::NO_CONTENT), ("visit", StatusCode::NOT_FOUND)] {
        let path = format!("/v1/quick-replies/{path}");
        assert_eq!(world.ask(Method::DELETE, &path, &[], "").await.status, status);
    }
    assert_eq!(world.get("/v1/quick-replies/visit").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_campaign_is_forecast_against_each_limit() {
    let world = World::new(&[SHOP]);
    let answer = world.post("/v1/forecast", json!({ "customers": 1_000 })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    assert_eq!((&answer.json["messages"], &answer.json["from"]), (&json!(3_000), &json!(SHOP)));
    let limits = answer.json["limits"].as_array().unwrap();
    let uses: Vec<_> = limits.iter().map(|limit| (&limit["name"], &limit["would_use"])).collect();
    let expected = json!([
        ["messages_per_day", 3_000],
        ["api_calls_per_day", 3_000],
        ["unique_recipients_per_24h", 1_000]
    ]);
    assert_eq!(json!(uses), expected);
    // 250 customers in 24 hours.
    assert!(limits[2]["days"].as_u64().unwrap() >= 4, "{}", limits[2]);
    assert_eq!(answer.json["cost"], json!({ "amount": "70.000000", "currency": "USD" }));
    let known =
        world.post("/v1/forecast", json!({ "customers": 1_000, "open_windows": 900, "interactions": 1 }));
    assert_eq!(known.await.json["limits"][2]["would_use"], 100);

    for (plan, pointer) in [
        (json!({ "customers": 1, "interactions": 0 }), "/interactions"),
        (json!({ "customers": 1, "category": "gossip" }), "/category"),
        (json!({ "customers": 1, "from": CAFE }), "/from"),
        (json!({ "customers": 1, "recipients": { "HK": 1 } }), "/recipients"),
        (json!({ "customers": -1 }), "/customers"),
        (json!({ "customers": 10_000_000_001_u64 }), "/customers"),
        (json!({ "customers": 1, "open_windows": 1.5 }), "/open_windows"),
        (json!({ "customers": 1, "recipients": [] }), "/recipients"),
        (json!({ "customers": 1, "recipients": { "852": "all" } }), "/recipients/852"),
        (json!([]), ""),
    ] {
        let answer = world.post("/v1/forecast", plan.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{plan}");
        assert_eq!(answer.pointers(), [pointer], "{plan}");
    }
    let text = world.post("/v1/forecast", json!({ "customers": "1000" })).await.json;
    let said = "must be a whole number from 0 to 10000000000, not a text";
    assert_eq!(text["errors"], json!([{ "pointer": "/customers", "detail": said }]));
    let mistyped = world.post("/v1/forecast", json!({ "customer": 1 })).await;
    assert_eq!(mistyped.pointers(), ["/customer", "/customers"]);
    assert!(mistyped.json["errors"][0]["detail"].as_str().unwrap().ends_with("did you mean \"customers\"?"));
    let several = World::new(&[SHOP, CAFE]);
    assert_eq!(several.post("/v1/forecast", json!({ "customers": 1 })).await.pointers(), ["/from"]);
}

#[tokio::test]
async fn amounts_and_dates_are_checked() {
    let world = World::new(&[SHOP]);
    let none = world.get("/v1/balance").await.json;
    assert_eq!((&none["amount"], &none["is_low"]), (&Value::Null, &json!(false)));
    // The configuration's mark, until somebody names another.
    let first = world.put("/v1/balance", json!({ "amount": "20" })).await.json;
    assert_eq!((&first["low_water"], &first["is_low"]), (&json!("20.000000"), &json!(true)));
    world.put("/v1/balance", json!({ "amount": "50", "low_water": "10.5" })).await;
    let kept = world.put("/v1/balance", json!({ "amount": "60" })).await.json;
    assert_eq!((&kept["amount"], &kept["low_water"]), (&json!("60.000000"), &json!("10.500000")));
    assert_eq!(world.put("/v1/balance", json!({ "amount": "a lot" })).await.pointers(), ["/amount"]);
    assert_eq!(world.put("/v1/balance", json!({ "amount": 60 })).await.pointers(), ["/amount"]);
    for query in ["from=yesterday", "from=2026-11-20&to=2026-11-19", "from=2020-01-01&to=2026-01-01", "day=1"]
    {
        let answer = world.get(&format!("/v1/costs?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}
