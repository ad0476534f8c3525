//! A Graph in trouble: each kind has its own remedy. Nothing is lost, nothing goes twice, order holds, and the CRM is
//! told of every message once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use simulate::crm::{Crm, Keep};
use simulate::graph::{Graph, GraphSettings, Statuses};

use crate::harness::sending::{
    NUMBER, assert_order, behave, graph_settings, letter, phone, secrets, send_to, start_graph, status_of,
    template, text,
};
use crate::harness::{Api, Appliance, Poster, Site, crm, eventually, port, run, true_time, within};

/// A box with a Graph, and customers who have written.
struct Stage {
    crm: Crm,
    site: Site,
    graph: Arc<Graph>,
    appliance: Appliance,
    api: Api,
}

impl Stage {
    async fn new(customers: usize, statuses: Statuses) -> Self {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.number_keys = "[numbers.limits]\nmessages_per_second = 200".into();
        let settings = GraphSettings { statuses, ..graph_settings(&site) };
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let poster = Poster::new(&site);
        for customer in 0..customers {
            poster.wrote(&graph, &phone(customer)).await;
        }
        // The first calls are the question about the token and the first probe: no trouble is to befall those.
        eventually("the box has looked around", async || (graph.observed().calls > 1).then_some(())).await;
        let api = appliance.api.clone();
        Self { crm, site, graph, appliance, api }
    }

    /// The CRM was told of these and no other messages, once each, and of their statuses.
    async fn end(self, sent: &[&String]) {
        let Self { crm, graph, appliance, api, .. } = self;
        assert!(graph.settle(Duration::from_secs(30)).await, "statuses aren't taken");
        let wanted: BTreeSet<&str> = sent.iter().map(|id| id.as_str()).collect();
        let mut told = Vec::new();
        eventually("the log tells of each", async || {
            told = api.records("wagate.message.sent.v1").await;
            (told.len() >= wanted.len()).then_some(())
        })
        .await;
        let ids: Vec<&str> = told.iter().map(|record| record["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), wanted.len(), "told twice, or of others: {ids:?}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), wanted);
        for record in &told {
            assert_eq!(record["data"]["sent"]["outbox_id"], record["id"], "{record:#}");
        }
        let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for record in api.records("wagate.message.status.v1").await {
            let status = &record["data"]["status"];
            let id = status["outbox_id"].as_str().unwrap_or_else(|| panic!("without our id: {record:#}"));
            words.entry(id.to_owned()).or_default().insert(status["status"].as_str().unwrap().to_owned());
        }
        assert!(wanted.iter().all(|id| words.contains_key(*id)), "without statuses: {words:?}");
        let observed = graph.observed();
        assert_eq!((observed.taken_twice, observed.without_outbox_id, observed.without_plus), (0, 0, 0));
        api.drained().await;
        assert!(crm.missing(&format!("/wagate/{NUMBER}"), wanted.iter().copied()).is_empty());
        crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
        appliance.stop().await;
        println!("trouble: {} sent", sent.len());
    }
}

#[test]
fn every_trouble_of_graph_has_its_remedy() {
    run(async {
        tokio::join!(
            what_is_refused_for_its_rate_waits_and_goes(),
            what_can_never_go_fails_visibly(),
            a_token_that_ends_stops_the_number_and_keeps_the_queue(),
            a_graph_that_is_not_there_loses_nothing(),
        );
    });
}

#[test]
fn what_was_posted_and_not_answered_is_settled_by_its_status() {
    run(async {
        tokio::join!(
            no_answer_in_time_is_settled_by_a_late_status(),
            a_broken_answer_is_settled_at_once(),
            statuses_in_any_order_are_taken(),
        );
    });
}

async fn what_is_refused_for_its_rate_waits_and_goes() {
    let stage = Stage::new(3, Statuses::PLAIN).await;
    let (api, graph) = (&stage.api, &stage.graph);
    let [ann, bob, cid] = [0, 1, 2].map(phone);
    // The pair rate holds one customer back, and nobody else.
    behave(graph, &["refuse,code=131056,next=3"]);
    let first = api.queue("first", &text(&ann, "one")).await;
    // Its next try is 16 s away: time for others on a busy machine, too.
    eventually("it is refused three times", async || {
        (graph.observed().refused.get(&131_056) == Some(&3)).then_some(())
    })
    .await;
    let second = api.queue("second", &text(&ann, "two")).await;
    let other = api.queue("other", &text(&bob, "three")).await;
    api.until(&other, "read").await;
    let waiting = api.message(&first).await;
    assert_eq!((&waiting["status"], &waiting["reason"]["code"]), (&"queued".into(), &"pair_rate".into()));
    assert_eq!(graph.observed().accepted, 1);
    let message = api.until(&first, "read").await;
    assert_eq!(message["attempts"], 4, "{message:#}");
    api.until(&second, "read").await;
    assert_order(graph, &ann, &[]);
    assert_eq!(graph.order(NUMBER, &ann), [first.as_str(), &second]);
    // 4^0, 4^1 and 4^2 s.
    let seen = letter(graph, &first).unwrap();
    let waited = seen.last_ms - seen.first_ms;
    assert!(waited >= 21_000, "{waited}");

    // The throughput slows the whole number; no message fails for it, and a unit is taken once.
    behave(graph, &["refuse,code=130429,retry_after_s=8,next=1"]);
    let slow = api.queue("slow", &text(&bob, "four")).await;
    eventually("it is refused", async || graph.observed().refused.get(&130_429).copied()).await;
    let behind = api.queue("behind", &text(&cid, "five")).await;
    api.held(&behind, "throttled").await;
    assert_eq!(api.way().await["blocked"]["reason"], "throttled");
    api.until(&slow, "read").await;
    api.until(&behind, "read").await;
    let seen = letter(graph, &slow).unwrap();
    assert!(seen.last_ms - seen.first_ms >= 8_000, "Retry-After isn't honoured: {seen:?}");
    // A refused try is a call and no message; so is a probe, of which a slow call brings one more.
    eventually("the units are right", async || {
        let units = (api.used("messages_per_day").await, api.used("api_calls_per_day").await);
        (units == (5, graph.observed().calls)).then_some(())
    })
    .await;
    assert!(graph.observed().calls >= 5 + 4, "each refusal is a call");

    // Refused all at once it was refused once: it waits for seconds, not for the two minutes of eight in a row. All
    // eight are on their way before the first answer comes.
    behave(graph, &["refuse,code=130429,ms=4000,next=8"]);
    let bodies: Vec<Value> = (0..16).map(|place| template(&phone(100 + place))).collect();
    let together = api.queue_all("together", &Arc::new(bodies)).await;
    eventually("what was refused together goes", async || {
        (graph.observed().accepted == 5 + 16).then_some(())
    })
    .await;
    assert_eq!(graph.observed().refused[&130_429], 1 + 8);
    assert_eq!(api.alarms().await, [""; 0]);
    let sent = [first, second, other, slow, behind].into_iter().chain(together).collect::<Vec<_>>();
    stage.end(&sent.iter().collect::<Vec<_>>()).await;
}

async fn what_can_never_go_fails_visibly() {
    let stage = Stage::new(4, Statuses::PLAIN).await;
    let (api, graph) = (&stage.api, &stage.graph);
    behave(graph, &["refuse,code=131026,next=1"]);
    let refused = api.queue("refused", &text(&phone(0), "one")).await;
    let message = api.until_over(&refused, "failed").await;
    assert_eq!(
        (&message["error"]["code"], &message["error"]["class"]),
        (&131_026.into(), &"permanent".into())
    );
    assert_eq!(api.used("messages_per_day").await, 0, "what surely wasn't sent takes no unit");
    behave(graph, &["fail,code=131026,next=1"]);
    let later = api.queue("later", &text(&phone(1), "two")).await;
    let message = api.until_over(&later, "failed").await;
    assert_eq!(message["reason"]["code"], "failed_later", "{message:#}");
    // An error of Meta's own may have sent it.
    behave(graph, &["refuse,code=500,next=1"]);
    let doubtful = api.queue("doubtful", &text(&phone(2), "three")).await;
    let message = api.until(&doubtful, "uncertain").await;
    assert_eq!(
        (&message["attempts"], &message["error"]["code"]),
        (&1.into(), &131_000.into()),
        "{message:#}"
    );
    behave(graph, &["refuse,code=503,next=1"]);
    let busy = api.queue("busy", &text(&phone(3), "four")).await;
    api.until(&busy, "uncertain").await;
    assert_eq!(api.used("messages_per_day").await, 3);
    assert_eq!(graph.observed().posted, 4, "none of them is tried again by itself");
    for id in [&doubtful, &busy] {
        assert_eq!(api.resolve(id, "failed").await.0, 200);
    }
    // It was taken, and failed then.
    stage.end(&[&later]).await;
}

async fn a_token_that_ends_stops_the_number_and_keeps_the_queue() {
    const QUEUED: usize = 30;
    let crm = crm(Keep::Counters, true);
    let mut site = Site::new(&crm);
    let settings = GraphSettings { token: Some("anotherToken".into()), ..graph_settings(&site) };
    let graph = start_graph(&mut site, settings);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    let api = appliance.api.clone();
    let poster = Poster::new(&site);
    for customer in 0..3 {
        poster.wrote(&graph, &phone(customer)).await;
    }
    let bodies: Vec<Value> = (0..QUEUED).map(|place| text(&phone(place % 3), &place.to_string())).collect();
    let ids = api.queue_all("token", &Arc::new(bodies)).await;
    eventually("the alarm is raised", async || {
        api.alarms().await.iter().any(|alarm| alarm.contains("190")).then_some(())
    })
    .await;
    let stopped = &api.status().await["sending"]["stopped"][0];
    assert_eq!((&stopped["code"], &stopped["number"]), (&190.into(), &NUMBER.into()), "{stopped:#}");
    for id in [&ids[0], &ids[QUEUED - 1]] {
        api.held(id, "stopped").await;
    }
    let calls = graph.observed().calls;
    assert!(calls <= 10, "what was in flight, the question about the token, a probe, and no more: {calls}");
    assert_eq!((api.list("open").await.len(), graph.observed().accepted), (QUEUED, 0));
    // It outlives a crash.
    appliance.kill();
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    api.held(&ids[0], "stopped").await;
    let calls = graph.observed().calls;
    site.put("graph_token", b"anotherToken");
    appliance.signal(Signal::HUP);
    eventually("the queue goes", async || (graph.observed().accepted == QUEUED as u64).then_some(())).await;
    assert!(graph.observed().calls > calls);
    assert_eq!(graph.observed().taken_twice, 0);
    (0..3).for_each(|customer| assert_order(&graph, &phone(customer), &[]));
    eventually("the alarm goes", async || {
        (!api.alarms().await.iter().any(|alarm| alarm.contains("190"))).then_some(())
    })
    .await;
    api.drained().await;
    appliance.stop().await;
}

async fn a_graph_that_is_not_there_loses_nothing() {
    let crm = crm(Keep::Counters, true);
    let mut site = Site::new(&crm);
    let address = format!("127.0.0.1:{}", port());
    send_to(&mut site, &format!("http://{address}/v24.0"));
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    let api = appliance.api.clone();
    let bodies: Vec<Value> = (0..10).map(|place| template(&phone(place))).collect();
    let ids = api.queue_all("refused", &Arc::new(bodies)).await;
    // How often a message is tried before the probes are left to it, nobody promised.
    eventually("it is given up for now", async || {
        api.alarms().await.iter().any(|alarm| alarm.contains("no endpoint works")).then_some(())
    })
    .await;
    let open = api.list("open").await;
    assert!(open.iter().all(|one| matches!(one["status"].as_str(), Some("queued" | "held" | "sending"))));
    assert_eq!(open.len(), ids.len());
    let settings = GraphSettings { listen: address.parse().unwrap(), ..graph_settings(&site) };
    let graph = Graph::start(settings).unwrap();
    eventually("all of them go", async || (graph.observed().accepted == ids.len() as u64).then_some(()))
        .await;
    // What never left is no call and no message of the day; the probes that found it back are calls.
    eventually("the units are right", async || {
        let units = (api.used("messages_per_day").await, api.used("api_calls_per_day").await);
        (units == (10, graph.observed().calls)).then_some(())
    })
    .await;
    // Away in the middle, and back.
    graph.stop().await;
    let more = api.queue("more", &template(&phone(10))).await;
    eventually("it is tried", async || {
        (api.message(&more).await["attempts"].as_u64() > Some(0)).then_some(())
    })
    .await;
    let settings = GraphSettings { listen: address.parse().unwrap(), ..graph_settings(&site) };
    let graph = Graph::start(settings).unwrap();
    api.until(&more, "read").await;
    assert_eq!((graph.observed().accepted, api.list("uncertain").await.len()), (1, 0));
    appliance.stop().await;
}

async fn no_answer_in_time_is_settled_by_a_late_status() {
    // Nothing comes but what the test says.
    let stage = Stage::new(2, Statuses { lost: 100, ..Statuses::PLAIN }).await;
    let (api, graph) = (&stage.api, &stage.graph);
    behave(graph, &["no_answer,taken=true,ms=40000,next=1"]);
    let silent = api.queue("silent", &text(&phone(0), "one")).await;
    eventually("it is posted", async || letter(graph, &silent)).await;
    let behind = api.queue("behind", &text(&phone(0), "two")).await;
    let other = api.queue("other", &text(&phone(1), "three")).await;
    api.until(&other, "accepted").await;
    let message = api.until(&silent, "uncertain").await;
    assert_eq!(message["reason"]["code"], "no_answer", "{message:#}");
    // Held for a moment with the whole number, which had no answer; then queued.
    let waits = api.message(&behind).await["status"].clone();
    assert!(waits == "queued" || waits == "held", "nobody overtakes an uncertain message: {waits}");
    // The status comes, and what waited for it goes.
    let poster = Poster::new(&stage.site);
    let status = async |id: &String, word: &str| {
        let letter = letter(graph, id).unwrap();
        assert_eq!(poster.status(status_of(&letter, word, true_time()).to_string()).await, 200);
    };
    status(&silent, "delivered").await;
    let message = api.until(&silent, "delivered").await;
    assert_eq!(message["wamid"], letter(graph, &silent).unwrap().wamids[0]);
    within(Duration::from_secs(30), "the next one goes", async || {
        (api.message(&behind).await["status"] == "accepted").then_some(())
    })
    .await;
    // Behind a status that says more, one that says less changes nothing.
    status(&silent, "sent").await;
    for id in [&behind, &other] {
        status(id, "read").await;
        api.until(id, "read").await;
    }
    assert_eq!(api.message(&silent).await["status"], "delivered");
    assert_eq!(graph.order(NUMBER, &phone(0)), [silent.as_str(), &behind]);
    assert_eq!(letter(graph, &silent).unwrap().posted, 1);
    let ids = [&silent, &behind, &other];
    stage.end(&ids).await;
}

async fn a_broken_answer_is_settled_at_once() {
    let stage = Stage::new(4, Statuses { sent_ms: 200, ..Statuses::PLAIN }).await;
    let (api, graph) = (&stage.api, &stage.graph);
    behave(graph, &["half_answer,next=2", "no_answer,taken=true,next=2"]);
    let bodies: Vec<Value> = (0..16).map(|place| text(&phone(place % 4), &place.to_string())).collect();
    let ids = api.queue_all("broken", &Arc::new(bodies)).await;
    for id in &ids {
        let message = api.until(id, "read").await;
        assert_eq!(message["attempts"], 1, "{message:#}");
    }
    assert_eq!(graph.observed().unanswered, 4);
    assert_eq!(api.list("uncertain").await.len(), 0);
    (0..4).for_each(|customer| assert_order(graph, &phone(customer), &[]));
    let sent: Vec<&String> = ids.iter().collect();
    stage.end(&sent).await;
}

async fn statuses_in_any_order_are_taken() {
    let statuses = Statuses {
        sent_ms: 30,
        delivered_ms: 60,
        read_ms: 60,
        early: 30,
        duplicate: 30,
        disorder: 40,
        ..Statuses::PLAIN
    };
    let stage = Stage::new(20, statuses).await;
    let (api, graph) = (&stage.api, &stage.graph);
    // Half of them by user id alone.
    let bodies = |name: &str| {
        let bodies = (0..60).map(|place| text(&phone(place % 20), &format!("{name} {place}")));
        Arc::new(bodies.collect::<Vec<_>>())
    };
    let mut ids = api.queue_all("known", &bodies("known")).await;
    eventually("half of them go", async || (graph.observed().accepted == 60).then_some(())).await;
    behave(graph, &["business_scoped"]);
    ids.extend(api.queue_all("scoped", &bodies("scoped")).await);
    for id in &ids {
        let message = api.until(id, "read").await;
        let history = message["history"].as_array().unwrap();
        let ranks: Vec<usize> = history
            .iter()
            .map(|step| {
                let words = ["queued", "sending", "accepted", "sent", "delivered", "read"];
                words.iter().position(|word| step["status"] == *word).unwrap()
            })
            .collect();
        assert!(ranks.is_sorted(), "a message went back: {message:#}");
    }
    (0..20).for_each(|customer| assert_order(graph, &phone(customer), &[]));
    let sent: Vec<&String> = ids.iter().collect();
    stage.end(&sent).await;
}
