//! The day's limit: 2,000 messages against 1,000 a day. Graph sees exactly 1,000 by the end of the day, and with
//! ten kills never more, and at most 8 fewer for each; the rest goes out after the number's midnight, none twice,
//! none forgotten. `libfaketime` moves the day.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use simulate::Random;
use simulate::crm::{Crm, Keep};
use simulate::graph::{Days, Graph, GraphSettings, Statuses};

use crate::harness::sending::{
    NUMBER, assert_order, graph_settings, phone, secrets, start_graph, template, text,
};
use crate::harness::{
    Api, Appliance, Faketime, Ledger, Poster, Site, crm, eventually, run_within, seed, within,
};

const MESSAGES: usize = 2_000;
const A_DAY: u64 = 1_000;
/// Customers whose window is open; each fifth message is a text to one of them, the others are templates.
const WRITERS: usize = 40;
const KILLS: u64 = 10;
/// What a kill may cost.
const IN_FLIGHT: u64 = 8;
/// Hong Kong is so many hours ahead of UTC, the whole year.
const AHEAD_OF_UTC: i64 = 8;
const HOUR: i64 = 3_600;
/// For a day's messages, each of which waits for a disk that others use.
const A_DAY_WITHIN: Duration = Duration::from_secs(150);
/// Two days of them, and all around.
const WITHIN: Duration = Duration::from_secs(400);

/// A box in Hong Kong at eight in the evening, its CRM and its Graph.
fn evening(crm: &Crm, test: &str) -> Option<(Site, Faketime, Arc<Graph>)> {
    let mut site = Site::new(crm);
    let mut clock = Faketime::of(&mut site, test)?;
    clock.turn_to(&site, 20, AHEAD_OF_UTC);
    site.number_keys = format!(
        "timezone = \"Asia/Hong_Kong\"\n[numbers.limits]\nmessages_per_day = {A_DAY}\nmessages_per_second = 500\n\
         unique_recipients_per_24h = 5000"
    );
    let day_ms = 24 * HOUR * 1_000;
    let settings = GraphSettings {
        clock: Arc::new(clock.graph.clone()),
        days: Days::new(move |now_ms| (now_ms + AHEAD_OF_UTC * HOUR * 1_000).div_euclid(day_ms)),
        // In webhooks of many, so that a debug build has time for them.
        statuses: Statuses { batch: 100, batch_ms: 100, ..Statuses::PLAIN },
        ..graph_settings(&site)
    };
    let graph = start_graph(&mut site, settings);
    Some((site, clock, graph))
}

/// The customers of [`WRITERS`] write.
async fn open_windows(site: &Site, graph: &Graph, now: i64) {
    let poster = Poster::new(site);
    for writer in 0..WRITERS {
        graph.ears().heard(NUMBER, Some(phone(writer).trim_start_matches('+')), None);
        poster.wrote_at(&phone(writer), now).await;
    }
}

fn bodies() -> Arc<Vec<Value>> {
    let body = |place: usize| match place % 5 {
        0 => text(&phone(place / 5 % WRITERS), &place.to_string()),
        _ => template(&phone(WRITERS + place)),
    };
    Arc::new((0..MESSAGES).map(body).collect())
}

/// What Graph took on each day.
fn days(graph: &Graph) -> Vec<u64> {
    graph.observed().numbers[NUMBER].accepted_by_day.values().copied().collect()
}

/// Waits until the box has read every status, and gives the messages that nothing is known of.
async fn uncertain(api: &Api, graph: &Graph) -> Vec<String> {
    assert!(graph.settle(Duration::from_secs(30)).await, "statuses aren't taken");
    let known = graph.messages();
    let taken: BTreeSet<&str> =
        known.iter().filter(|letter| letter.accepted > 0).map(|letter| letter.outbox_id.as_str()).collect();
    eventually("statuses settle what Graph had taken", async || {
        let listed = api.list("uncertain").await;
        let ids: Vec<String> = listed.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        ids.iter().all(|id| !taken.contains(id.as_str())).then_some(ids)
    })
    .await
}

/// Every message was taken once and stands so, in order; the CRM knows of each. Customers wrote `written` times.
async fn assert_complete(
    ids: &[String],
    (sent_again, written): (&[String], usize),
    api: &Api,
    graph: &Graph,
    crm: &Crm,
) {
    let (observed, messages) = (graph.observed(), graph.messages());
    assert!(observed.exact);
    assert_eq!((observed.accepted, observed.taken_twice), (MESSAGES as u64, 0));
    assert!(observed.refused.is_empty(), "{:?}", observed.refused);
    assert_eq!(observed.numbers[NUMBER].free_form_outside_window, 0);
    assert!(observed.numbers[NUMBER].most_at_once <= IN_FLIGHT);
    let asked: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let seen: BTreeSet<&str> = messages.iter().map(|letter| letter.outbox_id.as_str()).collect();
    assert_eq!(asked.len(), MESSAGES, "an id was given twice");
    assert_eq!(asked, seen, "Graph got something else than what was queued");
    (0..WRITERS).for_each(|writer| assert_order(graph, &phone(writer), sent_again));
    assert!(graph.settle(Duration::from_secs(30)).await);
    eventually("all of them are read", async || {
        let open = api.list("open").await;
        open.iter().all(|one| one["status"] == "read").then_some(())
    })
    .await;
    for id in ids.iter().step_by(97) {
        assert_eq!(api.message(id).await["status"], "read");
    }
    api.drained().await;
    let ledger = Ledger::pull(api).await;
    let source = format!("/wagate/{NUMBER}");
    for id in ids {
        assert!(ledger.sequence(&source, id).is_some(), "{id} isn't in the log as sent");
    }
    // 3 statuses and one record of the box for each message, and what the customers wrote.
    assert_eq!(ledger.len(), 4 * MESSAGES + written);
    ledger.assert_delivered(crm);
}

#[test]
fn of_2000_messages_1000_go_today_and_the_rest_after_midnight() {
    run_within(WITHIN, async {
        let crm = crm(Keep::Counters, false);
        let Some((site, mut clock, graph)) = evening(&crm, "the day's limit") else { return };
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        open_windows(&site, &graph, clock.now()).await;
        let began = Instant::now();
        let ids = api.queue_all("plain", &bodies()).await;
        println!("sending: {MESSAGES} queued in {:?}", began.elapsed());
        within(A_DAY_WITHIN, "the day's messages go", async || {
            (graph.observed().accepted == A_DAY).then_some(())
        })
        .await;
        println!("sending: {A_DAY} taken by Graph after {:?}", began.elapsed());

        let waiting = api.held(ids.last().unwrap(), "messages_per_day").await;
        assert_eq!(waiting["not_before"].as_str().unwrap().get(11..), Some("16:00:00.000Z"), "{waiting:#}");
        assert_eq!(api.used("messages_per_day").await, A_DAY);
        // The clock alone is no day: it may be wrong.
        clock.turn_on(&site, 4 * HOUR + 60);
        eventually("the box sees that its clock jumped", async || {
            (api.status().await["sending"]["clock_trusted"] == false).then_some(())
        })
        .await;
        assert_eq!(api.used("messages_per_day").await, A_DAY);
        assert_eq!(days(&graph), [A_DAY]);
        // WhatsApp knows what day it is.
        Poster::new(&site).wrote_at(&phone(0), clock.now()).await;
        within(A_DAY_WITHIN, "the rest goes", async || {
            (graph.observed().accepted == MESSAGES as u64).then_some(())
        })
        .await;
        assert_eq!(days(&graph), [A_DAY, MESSAGES as u64 - A_DAY]);
        assert_eq!(api.list("uncertain").await.len(), 0);
        assert_complete(&ids, (&[], WRITERS + 1), &api, &graph, &crm).await;
        println!("sending: over after {:?}", began.elapsed());
        appliance.stop().await;
    });
}

#[test]
fn ten_kills_cost_8_messages_of_the_day_each_and_none_goes_twice() {
    run_within(WITHIN, async {
        let mut random = Random::new(seed("sending"));
        let began = Instant::now();
        let crm = crm(Keep::Counters, false);
        let Some((site, mut clock, graph)) = evening(&crm, "the day's limit with kills") else { return };
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        open_windows(&site, &graph, clock.now()).await;
        let api = appliance.api.clone();
        let queueing = tokio::spawn({
            let api = api.clone();
            async move { api.queue_all("kills", &bodies()).await }
        });
        for kill in 1..=KILLS {
            let (more, moment) = (10 + random.below(70), Duration::from_micros(random.below(20_000)));
            let posted = graph.observed().posted;
            eventually("messages go out", async || (graph.observed().posted >= posted + more).then_some(()))
                .await;
            // Somewhere within a turn, a sync, a call.
            tokio::time::sleep(moment).await;
            appliance.kill();
            appliance = Appliance::start(&site).await;
            appliance.secret_words = secrets();
            println!(
                "sending: kill {kill}, {} taken, ready in {:?}",
                graph.observed().accepted,
                appliance.ready_after
            );
        }
        let ids = queueing.await.unwrap();
        within(A_DAY_WITHIN, "the day is used up", async || {
            let (way, used) = (api.way().await, api.used("messages_per_day").await);
            (used == A_DAY && way["sending"] == 0).then_some(())
        })
        .await;
        let taken = graph.observed().accepted;
        let lost = uncertain(&api, &graph).await;
        println!(
            "sending: {taken} taken on the first day, {} uncertain, after {:?}",
            lost.len(),
            began.elapsed()
        );
        assert!(taken <= A_DAY, "more than the day's limit: {taken}");
        assert!(taken >= A_DAY - KILLS * IN_FLIGHT, "a kill cost more than what was in flight: {taken}");
        assert_eq!(lost.len() as u64, A_DAY - taken, "each unit went or is uncertain");

        // Off for the night: a start believes a clock that is less than a week ahead.
        let mut appliance = next_day(&site, &mut clock, appliance, 5 * HOUR).await;
        within(A_DAY_WITHIN, "all but the uncertain ones go", async || {
            (graph.observed().accepted == (MESSAGES - lost.len()) as u64).then_some(())
        })
        .await;
        assert_eq!(uncertain(&api, &graph).await, lost, "stopping or starting made others uncertain");
        for id in &lost {
            let (status, answer) = api.resolve(id, "resend").await;
            assert_eq!(status, 200, "{answer:#}");
        }
        if let Some(id) = lost.last() {
            // It may be a second message, so it takes a second unit: of the day after.
            api.held(id, "messages_per_day").await;
        }
        appliance = next_day(&site, &mut clock, appliance, 24 * HOUR).await;
        // The windows of the first day have closed.
        open_windows(&site, &graph, clock.now()).await;
        eventually("they go, too", async || (graph.observed().accepted == MESSAGES as u64).then_some(()))
            .await;
        let days = days(&graph);
        println!("sending: taken day by day {days:?}, after {:?}", began.elapsed());
        assert!(days.iter().all(|taken| *taken <= A_DAY), "{days:?}");
        assert_complete(&ids, (&lost, 2 * WRITERS), &api, &graph, &crm).await;
        println!("sending: over after {:?}", began.elapsed());
        appliance.stop().await;
    });
}

/// The box is switched off, and on again so many seconds later.
async fn next_day(site: &Site, clock: &mut Faketime, appliance: Appliance, later: i64) -> Appliance {
    appliance.stop().await;
    clock.turn_on(site, later);
    let mut appliance = Appliance::start(site).await;
    appliance.secret_words = secrets();
    within(Duration::from_secs(10), "the box tells its limits", async || {
        (appliance.api.ask(Method::GET, "/v1/quota").await.ok()?.status() == 200).then_some(())
    })
    .await;
    appliance
}
