//! The simulated Graph takes what is right, refuses what Meta would, and counts exactly.

use std::time::Duration;

use serde_json::{Value, json};
use wagate_simulate::graph::{Days, Graph, GraphLine, GraphSettings, HandClock, Outcome, run_graph};
use wagate_simulate::whatsapp::{Pace, PayloadOptions, WhatsappOptions};

use crate::crm::{ANY_PORT, ask, get};
use crate::gateway::{Gateway, yes};
use crate::graph_calls::{
    ANN, APP_SECRET, BOB, DAY_MS, LONG, NUMBER, START_MS, TOKEN, alone, bearer, behave, graph_to, post, read,
    said, send, settings, statuses, template, text, webhooks,
};
use crate::run;

#[test]
fn a_reply_is_taken_and_its_statuses_bring_the_outbox_id_back() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        graph.ears().heard(NUMBER, Some("12125550100"), Some("US.77"));
        let (status, answer) = said(&graph, &text("+1 212 555 0100", "m-1")).await;
        assert_eq!(status, 200);
        assert_eq!(answer["messaging_product"], "whatsapp");
        let contact = json!([{ "input": "+1 212 555 0100", "wa_id": "12125550100", "user_id": "US.77" }]);
        assert_eq!(answer["contacts"], contact);
        let wamid = answer["messages"][0]["id"].as_str().unwrap();
        assert!(wamid.starts_with("wamid."));

        assert!(graph.settle(LONG).await);
        let told = statuses(&gateway);
        let words: Vec<&str> = told.iter().map(|status| status["status"].as_str().unwrap()).collect();
        assert_eq!(words, ["sent", "delivered", "read"]);
        for status in &told {
            assert_eq!((&status["id"], &status["biz_opaque_callback_data"]), (&json!(wamid), &json!("m-1")));
            assert_eq!(status["recipient_id"], "12125550100");
            // The simulator's clock, which stands still.
            assert_eq!(status["timestamp"], "1795214595");
        }
        assert_eq!(told[0]["pricing"]["category"], "service");
        let ended = graph.stop().await;
        let webhooks = ended.webhooks.unwrap();
        assert_eq!((webhooks.webhooks, webhooks.acked, ended.observed.statuses.acknowledged), (3, 3, 3));
    });
}

#[test]
fn who_asks_and_for_what_is_checked_in_both_shapes() {
    run(async {
        let (graph, _) = alone();
        let path = format!("/v24.0/{NUMBER}/messages");
        let body = template(ANN, "m-1").to_string();
        let asked = async |path: &str, headers: &[(&str, &str)]| {
            read(&ask(graph.address(), post(path, headers, body.clone())).await.unwrap())
        };
        for headers in [&[("authorization", "Bearer wrong")][..], &[("authorization", "a-token")], &[]] {
            let (status, error) = asked(&path, headers).await;
            assert_eq!((status, &error["error"]["code"]), (401, &json!(190)), "{headers:?}");
        }
        let (status, error) = asked("/messages", &[("D360-API-KEY", "wrong")]).await;
        assert_eq!((status, &error["meta"]["success"]), (401, &json!(false)));
        assert_eq!(asked("/messages", &[("D360-API-KEY", TOKEN)]).await.0, 200);
        let right = [("authorization", "Bearer a-token")];
        assert_eq!(asked(&format!("/{NUMBER}/messages"), &right).await.0, 200);
        let (status, error) = asked("/v24.0/999/messages", &right).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));
        let observed = graph.observed();
        assert_eq!((observed.calls, observed.accepted), (7, 2));
        assert_eq!((observed.refused[&190], observed.refused[&100]), (4, 1));
    });
}

#[test]
fn what_meta_would_refuse_is_refused_and_still_counted_as_posted() {
    run(async {
        let (graph, _) = alone();
        let mut lame = text(ANN, "m-1");
        lame["text"] = json!({});
        let (status, answer) = said(&graph, &lame).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(131_008)));
        assert!(answer["error"]["error_data"]["details"].as_str().unwrap().contains("text.body"));
        let observed = graph.observed();
        assert_eq!((observed.posted, observed.accepted, observed.refused[&131_008]), (1, 0, 1));
        assert_eq!((graph.messages()[0].posted, graph.messages()[0].accepted), (1, 0));
    });
}

#[test]
fn probes_and_the_token_are_answered() {
    run(async {
        let (graph, _) = alone();
        let asked = async |path: &str| read(&ask(graph.address(), bearer(get(path))).await.unwrap());
        let (status, number) = asked(&format!("/v24.0/{NUMBER}?fields=health_status,quality_rating")).await;
        assert_eq!((status, &number["health_status"]["can_send_message"]), (200, &json!("AVAILABLE")));
        assert_eq!((&number["quality_rating"], number.get("throughput")), (&json!("GREEN"), None));
        let (_, token) = asked(&format!("/v24.0/debug_token?input_token={TOKEN}")).await;
        assert_eq!(token["data"]["is_valid"], true);
        assert_eq!(token["data"]["issued_at"], START_MS / 1_000);
        assert_eq!(asked("/debug_token?input_token=other").await.1["data"]["is_valid"], false);
        assert_eq!(asked("/health_status").await.1["health_status"]["can_send_message"], "AVAILABLE");
        // Trouble with messages spares them, a bad token doesn't.
        behave(&graph, &["refuse,code=131056"]);
        assert_eq!(asked(&format!("/{NUMBER}")).await.0, 200);
        behave(&graph, &["refuse,code=190"]);
        assert_eq!(asked(&format!("/{NUMBER}")).await.0, 401);
        assert_eq!((graph.observed().calls, graph.observed().posted), (6, 0));
    });
}

#[test]
fn a_file_is_uploaded_and_a_message_marked_as_read() {
    run(async {
        let (graph, _) = alone();
        let form = "--x\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
                    Content-Type: image/png\r\n\r\nPNG\r\n--x--\r\n";
        for path in [format!("/v24.0/{NUMBER}/media"), "/media".to_owned()] {
            let request = post(&path, &[("content-type", "multipart/form-data; boundary=x")], form);
            let (status, answer) = read(&ask(graph.address(), bearer(request)).await.unwrap());
            assert_eq!(status, 200);
            let mut image = text(ANN, "m-1");
            (image["type"], image["image"]) = (json!("image"), json!({ "id": answer["id"] }));
            assert_eq!(said(&graph, &image).await.0, 200);
        }
        let mut mark = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A" });
        mark["typing_indicator"] = json!({ "type": "text" });
        assert_eq!(said(&graph, &mark).await, (200, json!({ "success": true })));
        let observed = graph.observed();
        assert_eq!((observed.uploads, observed.marks, observed.accepted, observed.calls), (2, 1, 2, 5));
    });
}

#[test]
fn calls_at_a_time_are_counted_and_those_that_left_are_over() {
    run(async {
        let (graph, _) = alone();
        behave(&graph, &["no_answer,taken=true,ms=600000,next=5"]);
        let address = graph.address();
        let hanging: Vec<_> = (0..5)
            .map(|number| {
                let message = template(&format!("+121255501{number:02}"), &format!("m-{number}"));
                tokio::spawn(async move { send(address, &message).await })
            })
            .collect();
        while graph.observed().posted < 5 {
            tokio::task::yield_now().await;
        }
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
        // Each of these comes after one of the others was noticed to have left, in the end alone.
        let observed = graph.observed();
        assert_eq!((observed.most_at_once, observed.numbers[NUMBER].most_at_once), (5, 5));
        assert_eq!(said(&graph, &template(BOB, "m-9")).await.0, 200);
        assert!(graph.observed().most_at_once <= 6);
    });
}

#[test]
fn users_with_a_username_have_no_phone() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["business_scoped"]);
        let mut message = template(ANN, "m-1");
        message["recipient"] = message.as_object_mut().unwrap().remove("to").unwrap();
        message["recipient"] = json!("US.13491208655302741918");
        let (_, answer) = said(&graph, &message).await;
        let contact = json!([{ "input": "US.13491208655302741918", "user_id": "US.13491208655302741918" }]);
        assert_eq!(answer["contacts"], contact);
        assert!(graph.settle(LONG).await);
        for status in statuses(&gateway) {
            assert!(status.get("recipient_id").is_none());
            assert_eq!(status["recipient_user_id"], "US.13491208655302741918");
        }
        assert_eq!(graph.order(NUMBER, "US.13491208655302741918"), ["m-1"]);
    });
}

#[test]
fn statuses_come_a_thousand_at_a_time() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let clock = HandClock::new(START_MS);
        let graph = graph_to(&gateway, &clock);
        behave(&graph, &["statuses,batch=1000,batch_ms=600000"]);
        for number in 0..334 {
            clock.turn_on(20);
            let to = format!("+1{}55501{:02}", 212 + number / 100, number % 100);
            assert_eq!(said(&graph, &template(&to, &format!("m-{number}"))).await.0, 200);
        }
        while webhooks(&gateway).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(webhooks(&gateway)[0].len(), 1_000);
        // The last two of 1,002 are told once nothing more is collected.
        behave(&graph, &[]);
        assert!(graph.settle(LONG).await);
        assert_eq!(statuses(&gateway).len(), 1_002);
        assert_eq!(graph.observed().statuses.told, 1_002);
    });
}

#[test]
fn days_limits_and_order_are_counted_by_a_clock_of_the_test() {
    run(async {
        let clock = HandClock::new(START_MS);
        let days = Days::new(|now_ms| (now_ms + 8 * 3_600_000).div_euclid(DAY_MS));
        let graph = Graph::start(GraphSettings { days, ..settings(&clock) }).unwrap();
        // 06:43 in Hong Kong; two to Ann, one to Bob, and one that is posted twice.
        for (to, id) in [(ANN, "m-1"), (ANN, "m-2"), (BOB, "m-3"), (ANN, "m-1")] {
            assert_eq!(said(&graph, &template(to, id)).await.0, 200);
        }
        clock.turn_on(18 * 3_600_000);
        assert_eq!(said(&graph, &template("2125550101", "m-4")).await.0, 200);
        clock.turn_on(6 * 3_600_000);
        assert_eq!(said(&graph, &template("+12125550102", "m-5")).await.0, 200);

        let observed = graph.observed();
        let number = &observed.numbers[NUMBER];
        let days: Vec<_> = number.accepted_by_day.iter().map(|(day, count)| (day.as_str(), *count)).collect();
        assert_eq!(days, [("2026-11-21", 4), ("2026-11-22", 2)]);
        assert_eq!(number.calls_by_day["2026-11-21"], 4);
        assert_eq!((number.most_in_a_second, number.most_to_one_recipient), (4, 3));
        assert_eq!((number.most_of_pair_burst, number.pushes), (3, 6));
        // The phone without + is another one; Ann and Bob of the first second are 24 h ago by now.
        assert_eq!((observed.unique_recipients_most, observed.unique_recipients), (3, 2));
        assert_eq!((observed.without_plus, observed.taken_twice, observed.exact), (1, 1, true));
        assert_eq!(graph.order(NUMBER, ANN), ["m-1", "m-2"]);
        let letter = &graph.messages()[0];
        assert_eq!((letter.outbox_id.as_str(), letter.posted, letter.accepted), ("m-1", 2, 2));
        assert_eq!((letter.first_ms, letter.wamids.len()), (START_MS, 2));
    });
}

#[test]
fn the_limits_of_meta_are_kept() {
    run(async {
        let (graph, clock) = alone();
        for number in 1..=46 {
            let (status, answer) = said(&graph, &template(ANN, &format!("m-{number}"))).await;
            let code = if number <= 45 { Value::Null } else { json!(131_056) };
            assert_eq!((status == 200, &answer["error"]["code"]), (number <= 45, &code));
        }
        for number in 0..36 {
            let status = said(&graph, &template(&format!("+130555501{number:02}"), "n")).await;
            assert_eq!(status.0 == 200, number < 35, "{number}");
        }
        clock.turn_on(6_000);
        assert_eq!(said(&graph, &template(ANN, "m-47")).await.0, 200);
        let observed = graph.observed();
        assert_eq!((observed.refused[&131_056], observed.refused[&130_429]), (1, 1));
        let number = &observed.numbers[NUMBER];
        assert_eq!((number.most_in_a_second, number.most_posted_in_a_second), (80, 82));
    });
}

#[test]
fn commands_come_in_on_a_port_of_their_own() {
    run(async {
        let (graph, _) = alone();
        let control = graph.control_address().unwrap();
        let told = async |path: &str, kind: &str, body: &str| {
            let request = post(path, &[("content-type", kind)], body.to_owned());
            ask(control, request).await.unwrap().status().as_u16()
        };
        let json = "application/json";
        let two = r#"[{"kind":"refuse","code":131049,"next":1},{"kind":"business_scoped"}]"#;
        assert_eq!(told("/behave", json, two).await, 200);
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.1["error"]["code"], 131_049);
        assert!(said(&graph, &template(ANN, "m-1")).await.1["contacts"][0].get("wa_id").is_none());
        assert_eq!(told("/behave", json, r#"{"kind":"window","tells":"at_once"}"#).await, 200);
        assert_eq!(said(&graph, &text(ANN, "m-2")).await.0, 400);
        assert_eq!(told("/heard", json, r#"{"phone":"12125550100"}"#).await, 200);
        assert_eq!(said(&graph, &text(ANN, "m-2")).await.0, 200);
        // What a strange page in a browser could send is refused, and so is nonsense.
        assert_eq!(told("/behave", "text/plain", r#"{"kind":"ok"}"#).await, 415);
        assert_eq!(told("/behave", json, r#"{"kind":"sulk"}"#).await, 400);
        assert_eq!(told("/heard", json, "{}").await, 400);
        assert_eq!(told("/elsewhere", json, "{}").await, 404);
        assert_eq!(ask(control, get("/behave")).await.unwrap().status(), 405);

        let seen = read(&ask(control, get("/observed")).await.unwrap()).1;
        assert_eq!(
            (&seen["posted"], &seen["accepted"], &seen["refused"]["131049"]),
            (&json!(4), &json!(2), &json!(1))
        );
        let messages = read(&ask(control, get("/observed/messages")).await.unwrap()).1;
        assert_eq!(messages["messages"][0]["outbox_id"], "m-1");
        assert_eq!(
            (&messages["messages"][0]["posted"], &messages["messages"][0]["accepted"]),
            (&json!(2), &json!(1))
        );
        // The store can't switch anything.
        assert_eq!(ask(graph.address(), post("/behave", &[], "{}")).await.unwrap().status(), 401);
    });
}

#[test]
fn the_command_plays_both_halves_and_those_who_wrote_can_be_answered() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let customers = WhatsappOptions {
            url: gateway.url(),
            app_secret: model::signature::hub::AppSecret::new(APP_SECRET),
            verify_token: None,
            pace: Pace::Saturate,
            count: Some(30),
            run_for: None,
            connections: 2,
            drain: Duration::from_secs(1),
            payloads: PayloadOptions { contacts: 1, statuses_percent: 0, ..PayloadOptions::default() },
            heard_by: None,
        };
        let (opened, open) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let settings = GraphSettings {
            behave: vec!["window,tells=at_once".parse().unwrap()],
            ..GraphSettings::new(ANY_PORT)
        };
        let command = tokio::spawn(async move {
            let stop = async {
                let _ = ended.await;
            };
            let (mut opened, mut postings) = (Some(opened), Vec::new());
            let report = run_graph(settings, customers, stop, |line| match line {
                GraphLine::Listening { url, .. } => opened.take().unwrap().send(url).unwrap(),
                GraphLine::Posted(posting) => postings.push(posting),
                GraphLine::Customers(_) | GraphLine::Skipped(_) => {}
            });
            let report = report.await.unwrap();
            (report, postings)
        });
        let url = open.await.unwrap();
        let address = url.trim_start_matches("http://").trim_end_matches("/v24.0").parse().unwrap();
        // The only customer is the first of the fictional numbers.
        while send(address, &text(ANN, "m-1")).await.unwrap().0 != 200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(send(address, &text(BOB, "m-2")).await.unwrap().0, 400);
        end.send(()).unwrap();
        let (report, postings) = command.await.unwrap();
        let (last, before) = postings.split_last().unwrap();
        assert_eq!(
            (last.outcome, last.to.as_str(), last.words.as_deref()),
            (Outcome::Refused(131_047), BOB, Some("Hi"))
        );
        let taken = before.last().unwrap();
        assert_eq!((taken.outcome, taken.outbox_id.as_deref()), (Outcome::Accepted, Some("m-1")));
        assert!(report.customers.is_complete());
        assert_eq!((report.graph.observed.accepted, report.graph.webhooks.is_none()), (1, true));
    });
}
