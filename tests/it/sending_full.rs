//! A start on a full disk with messages on their way: what became of them can't be noted, so nothing is sent, and
//! nothing of it is forgotten.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use simulate::Random;
use simulate::crm::{Behaviour, Keep};
use simulate::graph::{Graph, GraphSettings, Statuses};

use crate::disk::{Small, filler};
use crate::harness::sending::{
    behave, graph_settings, letter, phone, secrets, start_graph, status_of, template,
};
use crate::harness::{Api, Appliance, Poster, Site, crm, eventually, run, skip, true_time, within};

/// As many calls as one number has under way.
const UNDER_WAY: usize = 8;
/// A small webhook that is refused so often in a row, with a full disk each time, finds no place any more.
const REFUSED: usize = 2;

/// Takes all the room of the disk, and then that of the intake log.
async fn fill(site: &Site, small: &Small) {
    let poster = Poster::new(site);
    let mut random = Random::new(61);
    let mut refused = 0;
    let mut number = 0;
    within(Duration::from_secs(100), "nothing is taken any more", async || {
        small.fill();
        while poster.status(filler(&mut random)).await == 200 {}
        number += 1;
        let tiny = format!("{{\"tiny\": {number}}}");
        refused = if poster.status(tiny).await == 503 { refused + 1 } else { 0 };
        (refused >= REFUSED).then_some(())
    })
    .await;
}

/// The program is up, says that it can send nothing and why, takes no message, and calls nobody.
async fn stands_still(site: &Site, api: &Api, graph: &Graph, start: usize) {
    eventually("an alarm says that nothing can be sent", async || {
        api.alarms().await.iter().any(|alarm| alarm.contains("messages can't be sent")).then_some(())
    })
    .await;
    for place in 0..2 {
        let key = format!("full-{start}-{place}");
        let (status, answer) = api.post("/v1/messages", Some(&key), &template(&phone(90))).await.unwrap();
        assert_eq!(status, 503, "{answer:#}");
    }
    assert_eq!(Poster::new(site).status(format!("{{\"start\": {start}}}")).await, 503);
    assert_eq!(graph.observed().posted, UNDER_WAY as u64);
}

async fn status(poster: &Poster, graph: &Graph, id: &str) {
    let webhook = status_of(&letter(graph, id).unwrap(), "delivered", true_time());
    assert_eq!(poster.status(webhook.to_string()).await, 200);
}

#[test]
fn a_start_on_a_full_disk_sends_nothing_again_and_forgets_nothing() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        let Some(small) = Small::mount(&site, 40) else {
            return skip("the start on a full disk", "a tmpfs can only be mounted as root");
        };
        site.store = small.path().join("store");
        site.store_keys = "log_segment = \"5MiB\"\nlog_segments = 2".into();
        site.number_keys = "[numbers.limits]\nmessages_per_second = 200".into();
        // Statuses come when the test says so.
        let statuses = Statuses { lost: 100, ..Statuses::PLAIN };
        let settings = GraphSettings { statuses, ..graph_settings(&site) };
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        eventually("the box has looked around", async || (graph.observed().calls > 1).then_some(())).await;
        crm.behave(Behaviour::Down).await;
        behave(&graph, &["no_answer,taken=true,ms=60000,next=8"]);
        let bodies: Vec<Value> = (0..UNDER_WAY).map(|place| template(&phone(place))).collect();
        let ids = api.queue_all("way", &Arc::new(bodies)).await;
        eventually("they are on their way", async || {
            (graph.observed().posted == UNDER_WAY as u64).then_some(())
        })
        .await;
        // One waits for a place on the way, one also for its customer.
        let behind = [
            api.queue("behind", &template(&phone(0))).await,
            api.queue("other", &template(&phone(UNDER_WAY))).await,
        ];
        let (code, answer) = api.put(&format!("/v1/contacts/{}/opt-in", phone(0)), &consent()).await;
        assert_eq!(code, 200, "{answer:#}");
        fill(&site, &small).await;
        assert_eq!(api.list("uncertain").await.len(), 0, "they are on their way still");
        appliance.kill();

        for start in 0..2 {
            let mut appliance = Appliance::start(&site).await;
            appliance.secret_words = secrets();
            println!("full: ready again on the full disk after {:?}", appliance.ready_after);
            stands_still(&site, &api, &graph, start).await;
            appliance.kill();
        }
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        stands_still(&site, &api, &graph, 2).await;

        // There is room again.
        small.clear();
        crm.behave(Behaviour::Ok).await;
        let poster = Poster::new(&site);
        eventually("webhooks are taken", async || {
            (poster.status("{\"room\": 1}").await == 200).then_some(())
        })
        .await;
        let other = &behind[1];
        api.until(other, "accepted").await;
        let mut uncertain: Vec<String> = Vec::new();
        for message in api.list("uncertain").await {
            assert_eq!(message["reason"]["code"], "no_answer", "{message:#}");
            uncertain.push(message["id"].as_str().unwrap().to_owned());
        }
        uncertain.sort();
        let mut under_way = ids.clone();
        under_way.sort();
        assert_eq!(uncertain, under_way);
        // It outlives a kill now, and each is settled by its status.
        appliance.kill();
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        assert_eq!(api.list("uncertain").await.len(), UNDER_WAY);
        for id in &ids {
            status(&poster, &graph, id).await;
            let message = api.until(id, "delivered").await;
            assert_eq!(message["attempts"], 1, "{message:#}");
        }
        api.until(&behind[0], "accepted").await;
        let observed = graph.observed();
        assert_eq!((observed.taken_twice, observed.posted), (0, UNDER_WAY as u64 + 2));
        assert!(ids.iter().all(|id| letter(&graph, id).unwrap().posted == 1));
        assert_eq!(api.list("uncertain").await.len(), 0);
        eventually("the alarm goes", async || {
            let alarms = api.alarms().await;
            (!alarms.iter().any(|alarm| alarm.contains("can't be sent"))).then_some(())
        })
        .await;
        api.drained().await;
        appliance.stop().await;
    });
}

fn consent() -> Value {
    serde_json::json!({ "proof": "the form of the tests" })
}
