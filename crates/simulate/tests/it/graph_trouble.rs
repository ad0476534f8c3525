//! The simulated Graph refuses, is slow, doesn't answer, and tells statuses late, twice and in disorder, as it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wagate_simulate::graph::HandClock;

use crate::crm::ask;
use crate::gateway::{Gateway, Reaction, yes};
use crate::graph_calls::{
    ANN, DAY_MS, LONG, NUMBER, START_MS, alone, bearer, behave, graph_to, post, said, send, statuses,
    template, text,
};
use crate::run;

#[test]
fn outside_the_window_free_form_fails_later_or_at_once() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let clock = HandClock::new(START_MS);
        let graph = graph_to(&gateway, &clock);
        assert_eq!(said(&graph, &text(ANN, "m-1")).await.0, 200);
        assert!(graph.settle(LONG).await);
        let told = statuses(&gateway);
        assert_eq!((told.len(), &told[0]["status"]), (1, &json!("failed")));
        assert_eq!(told[0]["errors"][0]["code"], 131_047);
        assert_eq!(told[0]["biz_opaque_callback_data"], "m-1");

        behave(&graph, &["window,tells=at_once"]);
        assert_eq!(said(&graph, &text(ANN, "m-2")).await.1["error"]["code"], 131_047);
        graph.ears().heard(NUMBER, Some("12125550100"), None);
        clock.turn_on(DAY_MS - 1);
        assert_eq!(said(&graph, &text(ANN, "m-3")).await.0, 200);
        clock.turn_on(1);
        assert_eq!(said(&graph, &text(ANN, "m-4")).await.0, 400);
    });
}

#[test]
fn every_refusal_comes_as_often_as_it_was_asked_for() {
    run(async {
        let (graph, _) = alone();
        for (code, status) in [
            (131_047, 400),
            (131_056, 400),
            (130_429, 400),
            (190, 401),
            (131_049, 400),
            (131_026, 400),
            (500, 500),
            (503, 503),
        ] {
            behave(&graph, &[&format!("refuse,code={code},next=2,retry_after_s=7")]);
            for _ in 0..2 {
                let (got, answer) = said(&graph, &template(ANN, "m-1")).await;
                assert_eq!(got, status);
                // A load balancer says nothing that could be read.
                let wanted = match code {
                    500 => json!(131_000),
                    503 => Value::Null,
                    code => json!(code),
                };
                assert_eq!(answer["error"]["code"], wanted);
            }
            assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200, "{code}");
        }
        let observed = graph.observed();
        assert_eq!((observed.posted, observed.accepted), (24, 8));
        assert_eq!(observed.refused.values().sum::<u64>(), 16);
        assert_eq!((observed.refused[&131_000], observed.refused[&503]), (2, 2));
    });
}

#[test]
fn what_times_out_after_it_was_taken_is_told_by_its_statuses_alone() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["no_answer,taken=true,next=1", "half_answer,next=1"]);
        let silent = send(graph.address(), &template(ANN, "m-1")).await.unwrap_err();
        assert!(silent.starts_with("head: "), "{silent}");
        let half = send(graph.address(), &template(ANN, "m-2")).await.unwrap_err();
        assert!(half.starts_with("body: "), "{half}");
        assert!(graph.settle(LONG).await);
        let told = statuses(&gateway);
        for id in ["m-1", "m-2"] {
            let held = told.iter().filter(|status| status["biz_opaque_callback_data"] == id);
            assert_eq!(held.count(), 3);
        }
        assert_eq!((graph.observed().accepted, graph.observed().unanswered), (2, 2));
    });
}

#[test]
fn what_times_out_before_it_was_taken_is_not_there() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["no_answer,taken=false,next=1"]);
        assert!(send(graph.address(), &template(ANN, "m-1")).await.is_err());
        assert_eq!((graph.observed().posted, graph.observed().ignored, graph.observed().accepted), (1, 1, 0));
        assert_eq!(graph.observed().statuses.planned, 0);
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        let letters = graph.messages();
        assert_eq!((letters[0].posted, letters[0].accepted, letters.len()), (2, 1, 1));
        assert_eq!(graph.observed().taken_twice, 0);
    });
}

#[test]
fn a_slow_answer_is_right_all_the_same() {
    run(async {
        let (graph, _) = alone();
        behave(&graph, &["slow,ms=30"]);
        let start = std::time::Instant::now();
        assert_eq!(said(&graph, &template(ANN, "m-1")).await.0, 200);
        assert!(start.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn duplicates_and_disorder_come_as_asked_for() {
    run(async {
        let gateway = Gateway::start(yes).await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["statuses,duplicate=100,disorder=100"]);
        said(&graph, &template(ANN, "m-1")).await;
        assert!(graph.settle(LONG).await);
        let told = statuses(&gateway);
        let words: Vec<&str> = told.iter().map(|status| status["status"].as_str().unwrap()).collect();
        let first = |word| words.iter().position(|told| *told == word).unwrap();
        assert!(first("read") < first("delivered") && first("delivered") < first("sent"), "{words:?}");
        for word in ["sent", "delivered", "read"] {
            assert_eq!(words.iter().filter(|told| **told == word).count(), 2);
        }
    });
}

#[test]
fn an_early_status_is_there_before_the_answer() {
    run(async {
        let answered = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&answered);
        let gateway = Gateway::start(move |number, _, _| {
            assert!(number > 0 || !seen.load(Ordering::SeqCst));
            Reaction::Answer(200, Bytes::new())
        })
        .await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["statuses,early=100,delivered_ms=600000"]);
        said(&graph, &template(ANN, "m-1")).await;
        answered.store(true, Ordering::SeqCst);
        assert_eq!(statuses(&gateway)[0]["status"], "sent");
    });
}

#[test]
fn a_status_that_the_gateway_refuses_comes_again() {
    run(async {
        let gateway =
            Gateway::start(|number, _, _| Reaction::Answer(if number < 2 { 503 } else { 200 }, Bytes::new()))
                .await;
        let graph = graph_to(&gateway, &HandClock::new(START_MS));
        behave(&graph, &["statuses,unread=100"]);
        said(&graph, &template(ANN, "m-1")).await;
        assert!(graph.settle(LONG).await);
        assert_eq!((statuses(&gateway).len(), graph.observed().statuses.acknowledged), (4, 2));
    });
}

#[test]
fn throttling_is_told_in_headers() {
    run(async {
        let (graph, _) = alone();
        behave(&graph, &["throttle,regain_minutes=12"]);
        let request = post(&format!("/{NUMBER}/messages"), &[], template(ANN, "m-1").to_string());
        let answer = ask(graph.address(), bearer(request)).await.unwrap();
        let usage =
            |name: &str| -> Value { serde_json::from_slice(answer.headers()[name].as_bytes()).unwrap() };
        assert_eq!((answer.status().as_u16(), &usage("x-app-usage")["call_count"]), (200, &json!(95)));
        let business = usage("x-business-use-case-usage");
        let (_, uses) = business.as_object().unwrap().iter().next().unwrap();
        assert_eq!(uses[0]["estimated_time_to_regain_access"], 12);
    });
}
