//! A wall clock that jumps while the box sends, by a day, by ten years, six years back: no unit is free, no window
//! opens, and sending goes on. `libfaketime` moves the clock; what Graph tells has the true time.

use std::sync::Arc;
use std::time::Duration;

use simulate::crm::Keep;
use simulate::graph::Graph;

use crate::harness::sending::{NUMBER, graph_settings, phone, secrets, start_graph, template, text};
use crate::harness::{Appliance, Faketime, Poster, Site, crm, eventually, run, true_time};

const DAY: i64 = 86_400;
const YEAR: i64 = 31_557_600;
const A_DAY: u64 = 20;
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
        let bodies: Vec<_> = (0..A_DAY).map(|place| template(&phone(500 + place as usize))).collect();
        let ids = api.queue_all("rest", &Arc::new(bodies)).await;
        taken(&graph, A_DAY).await;
        for (name, seconds) in [("ten years ahead", 10 * YEAR), ("six years back", -6 * YEAR)] {
            clock.set(&site, seconds);
            appliance.kill();
            appliance = Appliance::start(&site).await;
            appliance.secret_words = secrets();
            assert_eq!(api.status().await["sending"]["clock_trusted"], false, "{name}");
            assert_eq!(api.used("messages_per_day").await, A_DAY, "{name}: a start freed units");
            api.held(ids.last().unwrap(), "messages_per_day").await;
            let message = api.message(&too_late).await;
            assert_eq!(message["reason"]["code"], "window_closed", "{name}");
            assert_eq!(graph.observed().accepted, A_DAY, "{name}");
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
        assert_eq!((observed.accepted, observed.taken_twice), (A_DAY, 0));
        assert_eq!(observed.numbers[NUMBER].free_form_outside_window, 0);
        appliance.stop().await;
    });
}
