//! How fast it goes, as Graph saw it: calls in flight, messages a second, and to one customer.

use std::sync::Arc;
use std::time::Duration;

use simulate::crm::Keep;
use simulate::graph::GraphSettings;

use crate::harness::sending::{
    NUMBER, assert_order, assert_pace, behave, graph_settings, phone, secrets, start_graph, template, text,
};
use crate::harness::{Appliance, Poster, Site, crm, eventually, run_within, within};

/// A call may be late to arrive where a later one isn't, on two busy cores.
const LATE_MS: i64 = 3_000;
/// For a burst, each message of which waits for a disk that others use. Held back it would take 44 times 6 s.
const BURST_WITHIN: Duration = Duration::from_secs(120);
/// Messages that a customer may get at once, and then one every 6 s.
const BURST: usize = 45;

#[test]
fn calls_in_flight_and_messages_a_second_stay_within_their_limits() {
    run_within(Duration::from_secs(300), async {
        tokio::join!(
            no_more_than_eight_calls_are_under_way(),
            no_second_has_more_than_its_share(),
            a_customer_gets_a_burst_and_then_one_every_six_seconds(),
            a_stop_lets_calls_end(),
        );
    });
}

fn site(crm: &simulate::crm::Crm, per_second: u32) -> Site {
    let mut site = Site::new(crm);
    site.number_keys =
        format!("[numbers.limits]\nmessages_per_second = {per_second}\nunique_recipients_per_24h = 1000");
    site
}

async fn no_more_than_eight_calls_are_under_way() {
    const EACH: usize = 60;
    const OTHER: &str = "106540352242923";
    let crm = crm(Keep::Counters, true);
    let mut site = site(&crm, 500);
    site.numbers.push((OTHER.into(), "+15550783882".into()));
    let settings = graph_settings(&site);
    let graph = start_graph(&mut site, settings);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    behave(&graph, &["slow,ms=150"]);
    let bodies = (0..2 * EACH).map(|place| {
        let mut body = template(&phone(place));
        body["from"] = [NUMBER, OTHER][place % 2].into();
        body
    });
    appliance.api.queue_all("calls", &Arc::new(bodies.collect())).await;
    eventually("all of them go", async || (graph.observed().accepted == 2 * EACH as u64).then_some(())).await;
    let numbers = graph.observed().numbers;
    for number in [NUMBER, OTHER] {
        assert_eq!(numbers[number].most_at_once, 8, "{:?}", numbers[number]);
        assert_eq!(numbers[number].accepted_by_day.values().sum::<u64>(), EACH as u64);
    }
    appliance.stop().await;
}

async fn no_second_has_more_than_its_share() {
    const A_SECOND: usize = 20;
    const SECONDS: usize = 4;
    let crm = crm(Keep::Counters, true);
    let mut site = site(&crm, 20);
    let settings = graph_settings(&site);
    let graph = start_graph(&mut site, settings);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    let count = A_SECOND * SECONDS;
    let bodies: Vec<_> = (0..count).map(|place| template(&phone(place))).collect();
    appliance.api.queue_all("pace", &Arc::new(bodies)).await;
    eventually("all of them go", async || (graph.observed().accepted == count as u64).then_some(())).await;
    for seconds in 1..SECONDS {
        assert_pace(&graph, A_SECOND, seconds);
    }
    appliance.stop().await;
}

async fn a_customer_gets_a_burst_and_then_one_every_six_seconds() {
    let crm = crm(Keep::Counters, true);
    let mut site = site(&crm, 500);
    // It counts, and doesn't refuse: the box has to keep the rate by itself.
    let settings = GraphSettings { pair_rate: false, ..graph_settings(&site) };
    let graph = start_graph(&mut site, settings);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    let customer = phone(0);
    Poster::new(&site).wrote(&graph, &customer).await;
    let bodies: Vec<_> = (0..BURST + 2).map(|place| text(&customer, &place.to_string())).collect();
    let ids = appliance.api.queue_all("pair", &Arc::new(bodies)).await;
    within(BURST_WITHIN, "the burst goes", async || {
        (graph.observed().accepted >= BURST as u64).then_some(())
    })
    .await;
    // The neighbour isn't held up.
    let other = appliance.api.queue("neighbour", &template(&phone(1))).await;
    eventually("the neighbour gets theirs", async || {
        let sent = graph.messages();
        sent.iter().any(|letter| letter.outbox_id == other && letter.accepted == 1).then_some(())
    })
    .await;
    eventually("the rest goes", async || (graph.observed().accepted == BURST as u64 + 3).then_some(())).await;
    let mut times: Vec<i64> = graph
        .messages()
        .iter()
        .filter(|letter| letter.recipient == customer)
        .map(|letter| letter.first_ms)
        .collect();
    times.sort_unstable();
    assert_eq!(times.len(), ids.len());
    for (place, more) in [(BURST, 1), (BURST + 1, 2)] {
        let waited = times[place] - times[0];
        assert!(waited >= more * 6_000 - LATE_MS, "message {} came after {waited} ms", place + 1);
    }
    println!("pace: the burst took {} ms", times[BURST - 1] - times[0]);
    assert!(graph.settle(Duration::from_secs(10)).await);
    assert_order(&graph, &customer, &[]);
    appliance.stop().await;
}

/// Whoever switches the box off as it should be leaves nothing uncertain.
async fn a_stop_lets_calls_end() {
    const COUNT: usize = 40;
    let crm = crm(Keep::Counters, true);
    let mut site = site(&crm, 500);
    let settings = graph_settings(&site);
    let graph = start_graph(&mut site, settings);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    behave(&graph, &["slow,ms=400"]);
    let bodies: Vec<_> = (0..COUNT).map(|place| template(&phone(place))).collect();
    appliance.api.queue_all("stop", &Arc::new(bodies)).await;
    eventually("calls are under way", async || (graph.observed().posted >= 4).then_some(())).await;
    appliance.stop().await;
    let posted = graph.observed().posted;
    assert!(posted < COUNT as u64, "all were gone before the stop");
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = secrets();
    eventually("the rest goes", async || (graph.observed().accepted == COUNT as u64).then_some(())).await;
    assert_eq!(appliance.api.list("uncertain").await.len(), 0);
    let observed = graph.observed();
    assert_eq!((observed.posted, observed.taken_twice), (COUNT as u64, 0));
    appliance.stop().await;
}
