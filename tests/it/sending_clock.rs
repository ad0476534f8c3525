//! A wall clock that jumps while the box sends, by a day, by ten years, six years back: no unit is free, no window
//! opens, and sending goes on. `libfaketime` moves the clock; what Graph tells has the true time.

use std::sync::Arc;
use std::time::Duration;

use simulate::crm::Keep;
use simulate::graph::Graph;

use crate::harness::sending::{
    NUMBER, assert_pace, behave, graph_settings, phone, secrets, start_graph, template, text,
};
use crate::harness::{Appliance, Faketime, Poster, Site, crm, eventually, run, true_time};

const DAY: i64 = 86_400;
const YEAR: i64 = 31_557_600;
const A_DAY: usize = 20;
/// Jumps in seconds from the true time, with what is sent after each.
const JUMPS: [(&str, i64, usize); 4] = [
    ("a day ahead", DAY, 4),
    ("ten years ahead", 10 * YEAR, 4),
    ("six years back", -6 * YEAR, 4),
    ("to 1970", -1_795_000_000, 4),
];

async fn taken(graph: &Graph, wanted: u64) {
    eventually("messages go", async || (graph.observed().accepted == wanted).then_some(())).await;
    assert!(graph.settle(Duration::from_secs(20)).await);
}

#[test]
fn a_jump_of_the_clock_frees_no_unit_and_opens_no_window() {
    run(async {
        let crm = crm(Keep::Counters, false);
        let mut site = Site::new(&crm);
        let Some(mut clock) = Faketime::of(&mut site, "sending under a jumping clock") else { return };
        // Not the day of a test that runs at midnight.
        let hour_in_utc = true_time().rem_euclid(DAY) / 3_600;
        let zone = if hour_in_utc < 12 { "Etc/GMT-6" } else { "Etc/GMT+6" };
        site.number_keys = format!(
            "timezone = \"{zone}\"\n[numbers.limits]\nmessages_per_day = {A_DAY}\nunique_recipients_per_24h = 1000"
        );
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let poster = Poster::new(&site);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();

        // One customer's window has closed an hour ago; the pair rate and the push rule are their own.
        let late = phone(900);
        poster.wrote_at(&late, true_time() - DAY - 3_600).await;
        let too_late = api.queue("late", &text(&late, "too late")).await;
        api.held(&too_late, "window_closed").await;
        // Another got a template, and no more within 24 h without consent.
        let pushed = phone(901);
        api.queue("push-1", &template(&pushed)).await;
        taken(&graph, 1).await;
        let second = api.queue("push-2", &template(&pushed)).await;
        api.held(&second, "push_limit").await;

        let mut sent = 1;
        for (round, (name, seconds, count)) in JUMPS.into_iter().enumerate() {
            clock.set(&site, seconds);
            eventually("the box sees the jump", async || {
                (api.status().await["sending"]["clock_trusted"] == false).then_some(())
            })
            .await;
            let bodies: Vec<_> = (0..count).map(|place| template(&phone(100 * round + place))).collect();
            api.queue_all(name.split(' ').next().unwrap(), &Arc::new(bodies)).await;
            sent += count as u64;
            taken(&graph, sent).await;
            assert_eq!(api.used("messages_per_day").await, sent, "{name}: a jump freed units");
            assert_eq!(api.used("unique_recipients_per_24h").await, sent, "{name}: a jump freed recipients");
            for (id, why) in [(&too_late, "window_closed"), (&second, "push_limit")] {
                let message = api.message(id).await;
                assert_eq!(
                    (&message["status"], &message["reason"]["code"]),
                    (&"held".into(), &why.into()),
                    "{name}"
                );
            }
            println!("sending: {name}: {sent} sent");
        }
        // The day is used up under whatever clock, and after a start under it.
        let bodies: Vec<_> = (0..A_DAY).map(|place| template(&phone(500 + place))).collect();
        let ids = api.queue_all("rest", &Arc::new(bodies)).await;
        taken(&graph, A_DAY as u64).await;
        for (name, seconds) in [("ten years ahead", 10 * YEAR), ("six years back", -6 * YEAR)] {
            clock.set(&site, seconds);
            appliance.kill();
            appliance = Appliance::start(&site).await;
            appliance.secret_words = secrets();
            assert_eq!(api.status().await["sending"]["clock_trusted"], false, "{name}");
            assert_eq!(api.used("messages_per_day").await, A_DAY as u64, "{name}: a start freed units");
            api.held(ids.last().unwrap(), "messages_per_day").await;
            let message = api.message(&too_late).await;
            assert_eq!(message["reason"]["code"], "window_closed", "{name}");
            assert_eq!(graph.observed().accepted, A_DAY as u64, "{name}");
        }
        // Back to the truth, which the customer's word confirms: theirs is the open window.
        clock.set(&site, 0);
        poster.wrote(&graph, &late).await;
        eventually("the clock is believed", async || {
            (api.status().await["sending"]["clock_trusted"] == true).then_some(())
        })
        .await;
        api.held(&too_late, "messages_per_day").await;
        let observed = graph.observed();
        assert_eq!((observed.accepted, observed.taken_twice), (A_DAY as u64, 0));
        assert_eq!(observed.numbers[NUMBER].free_form_outside_window, 0);
        appliance.stop().await;
    });
}

/// A box without a battery: it starts in 1970, and WhatsApp is the first who knows what time it is.
#[test]
fn a_box_that_learns_the_time_gives_nothing_up_and_pushes_to_nobody_twice() {
    run(async {
        let crm = crm(Keep::Counters, false);
        let mut site = Site::new(&crm);
        let Some(mut clock) = Faketime::of(&mut site, "sending from 1970") else { return };
        clock.set(&site, -true_time() + 60);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        let (ann, bob) = (phone(0), phone(1));
        let waits = api.queue("waits", &text(&ann, "until she writes")).await;
        api.held(&waits, "window_closed").await;
        // Meta tells nothing yet, and the message is out.
        behave(&graph, &["statuses,sent_ms=600000"]);
        let pushed = api.queue("pushed", &template(&bob)).await;
        api.until(&pushed, "accepted").await;
        let again = api.queue("again", &template(&bob)).await;
        api.held(&again, "push_limit").await;

        Poster::new(&site).wrote(&graph, &ann).await;
        api.until(&waits, "accepted").await;
        let message = api.message(&again).await;
        let stands = (&message["status"], &message["reason"]["code"]);
        assert_eq!(
            stands,
            (&"held".into(), &"push_limit".into()),
            "56 years in a moment are no day: {message:#}"
        );
        assert_eq!(api.used("unique_recipients_per_24h").await, 1);
        appliance.kill();
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        api.held(&again, "push_limit").await;
        assert_eq!(graph.observed().accepted, 2);
        appliance.stop().await;
    });
}

#[test]
fn a_correction_of_the_clock_makes_no_second_longer() {
    const A_SECOND: usize = 20;
    run(async {
        let crm = crm(Keep::Counters, false);
        let mut site = Site::new(&crm);
        let Some(mut clock) = Faketime::of(&mut site, "the pace under a corrected clock") else { return };
        site.number_keys =
            format!("[numbers.limits]\nmessages_per_second = {A_SECOND}\nunique_recipients_per_24h = 1000");
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        let customer = phone(900);
        Poster::new(&site).wrote(&graph, &customer).await;
        let mut bodies: Vec<_> = (0..3 * A_SECOND).map(|place| template(&phone(place))).collect();
        bodies.extend((0..48).map(|place| text(&customer, &place.to_string())));
        let count = bodies.len() as u64;
        let queueing = tokio::spawn(async move { api.queue_all("pace", &Arc::new(bodies)).await });
        // As far as a clock is followed without anybody's word, in steps.
        for step in 1..=6 {
            eventually("messages go", async || (graph.observed().accepted >= 8 + step * 3).then_some(()))
                .await;
            clock.set(&site, i64::try_from(step).unwrap() * 9);
        }
        queueing.await.unwrap();
        eventually("all but the pair rate's go", async || {
            (graph.observed().accepted >= count - 3).then_some(())
        })
        .await;
        assert_pace(&graph, A_SECOND, 1);
        let messages = graph.messages();
        let burst = messages.iter().filter(|letter| letter.recipient == customer);
        let mut times: Vec<i64> = burst.map(|letter| letter.first_ms).collect();
        times.sort_unstable();
        let early = times.get(45).map(|time| time - times[0]);
        assert!(early.is_none_or(|waited| waited >= 5_000), "the burst was paid back by a jump: {early:?}");
        appliance.stop().await;
    });
}
