//! The window is judged when a message goes: what has none is held or becomes its template, never a silent
//! 131047. And what a person may do with a message: look at it, take it back, say what became of it.

use serde_json::{Value, json};
use simulate::crm::Keep;
use simulate::graph::Graph;

use crate::harness::sending::{
    NUMBER, behave, graph_settings, letter, phone, secrets, start_graph, template, text,
};
use crate::harness::{Api, Appliance, Poster, Site, crm, eventually, run};

/// The steps of a message's history.
fn steps(message: &Value) -> Vec<&str> {
    message["history"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

#[test]
fn what_has_no_window_is_held_or_becomes_its_template() {
    run(async {
        let crm = crm(Keep::Everything, true);
        let mut site = Site::new(&crm);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let (api, poster) = (appliance.api.clone(), Poster::new(&site));
        let [ann, bob, cid, dan] = [0, 1, 2, 3].map(phone);

        // Held, until the customer writes.
        let held = api.queue("held", &text(&ann, "one")).await;
        let message = api.held(&held, "window_closed").await;
        assert!(
            message["reason"]["detail"].as_str().is_some_and(|said| said.contains("24 hours")),
            "{message:#}"
        );
        let behind = api.queue("behind", &text(&ann, "two")).await;
        api.held(&behind, "window_closed").await;
        let back = api.queue("back", &text(&ann, "three")).await;
        assert_eq!(api.take_back(&back).await, 200);
        assert_eq!(api.take_back(&back).await, 200, "asked once more");
        // A template goes meanwhile: it needs no window.
        let free = api.queue("free", &template(&cid)).await;
        api.until(&free, "read").await;
        assert_eq!(graph.observed().posted, 1);
        poster.wrote(&graph, &ann).await;
        let message = api.until(&held, "read").await;
        api.until(&behind, "read").await;
        let mut taken = steps(&message);
        // A status may well be quicker than the answer.
        taken.retain(|step| *step != "accepted");
        assert_eq!(taken, ["queued", "held", "queued", "sending", "sent", "delivered", "read"]);
        assert_eq!(
            (&message["attempts"], &message["fallback_used"]),
            (&1.into(), &false.into()),
            "{message:#}"
        );
        assert_eq!(message["wamid"], letter(&graph, &held).unwrap().wamids[0]);
        assert_eq!(message["history"][1]["reason"]["code"], "window_closed");
        assert!(message["window_closes_at"].is_string(), "{message:#}");
        assert_eq!(api.message(&back).await["status"], "cancelled");
        assert_eq!(letter(&graph, &back), None, "taken back and sent");
        assert_eq!(api.take_back(&held).await, 409);
        assert_eq!(api.resolve(&held, "sent").await.0, 409);

        // The fall-back goes at once where there is no window, and isn't used where there is one.
        let mut body = text(&bob, "with a fallback");
        body["fallback"] = template(&bob);
        body["fallback"].as_object_mut().unwrap().remove("to");
        let fell = api.queue("fell", &body).await;
        let message = api.until(&fell, "read").await;
        assert_eq!(
            (&message["fallback_used"], &message["attempts"]),
            (&true.into(), &1.into()),
            "{message:#}"
        );
        poster.wrote(&graph, &dan).await;
        body["to"] = json!(dan);
        let open = api.queue("open", &body).await;
        assert_eq!(api.until(&open, "read").await["fallback_used"], false);
        let observed = graph.observed();
        assert_eq!((observed.accepted, observed.taken_twice, &observed.refused), (5, 0, &[].into()));
        assert_eq!(api.list("open").await.iter().filter(|one| one["status"] != "read").count(), 0);
        appliance.stop().await;
    });
}

#[test]
fn whatsapps_word_on_a_window_is_believed() {
    run(async {
        let crm = crm(Keep::Everything, true);
        let mut site = Site::new(&crm);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let (api, poster) = (appliance.api.clone(), Poster::new(&site));
        let [ann, bob, cid] = [0, 1, 2].map(phone);
        // They wrote as far as the box knows, and Graph knows nothing of it: 131047 at once.
        let now = crate::harness::true_time();
        for who in [&ann, &bob, &cid] {
            poster.wrote_at(who, now).await;
        }
        behave(&graph, &["window,tells=at_once"]);
        let without = api.queue("without", &text(&ann, "without a fallback")).await;
        let mut body = text(&bob, "with a fallback");
        body["fallback"] = template(&bob);
        body["fallback"].as_object_mut().unwrap().remove("to");
        let with = api.queue("with", &body).await;
        let message = api.until(&with, "read").await;
        assert_eq!(message["fallback_used"], true, "{message:#}");
        let message = api.held(&without, "window_closed").await;
        // Asked once more before it was believed.
        assert_eq!(
            (&message["attempts"], &message["error"]["code"]),
            (&2.into(), &131_047.into()),
            "{message:#}"
        );
        assert_eq!(graph.observed().refused[&131_047], 4);
        let next = api.queue("next", &text(&ann, "behind it")).await;
        api.held(&next, "window_closed").await;
        graph.ears().heard(NUMBER, Some(ann.trim_start_matches('+')), None);
        poster.wrote_at(&ann, now + 1).await;
        api.until(&without, "read").await;
        api.until(&next, "read").await;

        // Told later, by a status: it failed, visibly, and the next one knows.
        behave(&graph, &[]);
        let failed = api.queue("failed", &text(&cid, "told later")).await;
        let message = api.until_over(&failed, "failed").await;
        assert_eq!(message["error"]["code"], 131_047, "{message:#}");
        assert!(message["error"]["advice"].as_str().is_some_and(|advice| !advice.is_empty()));
        let held = api.queue("held", &text(&cid, "behind it")).await;
        api.held(&held, "window_closed").await;
        assert_eq!(letter(&graph, &held), None);
        appliance.stop().await;
    });
}

#[test]
fn a_person_says_what_became_of_an_uncertain_message() {
    run(async {
        let crm = crm(Keep::Everything, true);
        let mut site = Site::new(&crm);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        behave(&graph, &["refuse,code=131000,next=3"]);
        let mut ids = Vec::new();
        for (customer, word) in ["sent", "failed", "resend"].into_iter().enumerate() {
            let id = api.queue(word, &template(&phone(customer))).await;
            api.until(&id, "uncertain").await;
            ids.push((id, word, api.queue(&format!("behind-{word}"), &opted(&api, customer).await).await));
        }
        assert_eq!(api.list("uncertain").await.len(), 3);
        eventually("the alarm is raised", async || {
            api.alarms().await.iter().any(|alarm| alarm.contains("nobody knows")).then_some(())
        })
        .await;
        assert_eq!(graph.observed().posted, 3, "the recipient of an uncertain message waits");
        assert_eq!(api.used("messages_per_day").await, 3, "an uncertain one keeps its unit");
        let mut taken = 0;
        for (id, word, behind) in &ids {
            let (status, message) = api.resolve(id, word).await;
            assert_eq!(status, 200, "{message:#}");
            let wanted = if *word == "resend" { api.until(id, "read").await } else { api.message(id).await };
            let standing = match *word {
                "sent" => "accepted",
                "failed" => "failed",
                _ => "read",
            };
            assert_eq!(wanted["status"], standing, "{wanted:#}");
            // The way out of waiting is the person's word, not the minute.
            crate::harness::within(std::time::Duration::from_secs(30), "the next one goes", async || {
                (api.message(behind).await["status"] == "read").then_some(())
            })
            .await;
            taken += 1 + u64::from(*word == "resend");
            assert_eq!(graph.observed().accepted, taken);
            assert_eq!(api.resolve(id, word).await.0, 409, "it isn't uncertain any more");
        }
        assert_eq!(
            api.post("/v1/messages/m-1/resolve", None, &json!({ "as": "sent" })).await.unwrap().0,
            404
        );
        assert_eq!(api.resolve(&ids[0].0, "perhaps").await.0, 422);
        assert_eq!(api.list("uncertain").await.len(), 0);
        // Three and one more for the one that was sent again, three behind them.
        assert_eq!(api.used("messages_per_day").await, 7);
        assert_sent_once(&api, &graph, &ids).await;
        eventually("the alarm goes", async || api.alarms().await.is_empty().then_some(())).await;
        appliance.stop().await;
    });
}

/// A template to a customer who agreed to messages, so that the second within a day may go.
async fn opted(api: &Api, customer: usize) -> Value {
    let to = phone(customer);
    let body = json!({ "opted_in": true, "proof": "signed at the counter" });
    let (status, answer) = api.put(&format!("/v1/contacts/{to}/opt-in"), &body).await;
    assert_eq!(status, 200, "{answer:#}");
    template(&to)
}

/// The CRM is told once of what went, and of what a person says went.
async fn assert_sent_once(api: &Api, graph: &Graph, ids: &[(String, &str, String)]) {
    let records = api.records("wagate.message.sent.v1").await;
    let told: Vec<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    for (id, word, behind) in ids {
        let times = |id: &str| told.iter().filter(|told| **told == id).count();
        assert_eq!((times(id), times(behind)), (usize::from(*word != "failed"), 1), "{word}");
        assert_eq!(letter(graph, id).unwrap().accepted, u32::from(*word == "resend"));
    }
}
