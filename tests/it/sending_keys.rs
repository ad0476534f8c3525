//! `Idempotency-Key` over `kill -9`: whoever asks again with the same key gets the same message, and every 202 that
//! was given holds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::OutboxId;
use simulate::Random;
use simulate::crm::Keep;

use crate::harness::sending::{assert_order, graph_settings, phone, secrets, start_graph, text};
use crate::harness::{Appliance, Poster, Site, crm, eventually, run, seed};

const KEYS: usize = 400;
const CUSTOMERS: usize = 20;
const KILLS: usize = 6;
const CALLERS: usize = 8;

#[test]
fn a_key_has_one_message_whenever_the_program_is_killed() {
    run(async {
        let mut random = Random::new(seed("keys"));
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.number_keys = "[numbers.limits]\nmessages_per_second = 500".into();
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        // Nobody has written, so that all of them stay where they can be counted.
        let body = |place: usize| text(&phone(place % CUSTOMERS), &place.to_string());
        let answered = Arc::new(AtomicUsize::new(0));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let (api, answered) = (api.clone(), Arc::clone(&answered));
            callers.spawn(async move {
                let mut ids = Vec::new();
                for place in (caller..KEYS).step_by(CALLERS) {
                    ids.push((place, api.queue_surely(&format!("key-{place}"), &body(place)).await));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                ids
            });
        }
        for kill in 1..=KILLS {
            let more = usize::try_from(5 + random.below(45)).unwrap();
            // The last one may come when all have their answers.
            let until = (answered.load(Ordering::Relaxed) + more).min(KEYS);
            let moment = Duration::from_micros(random.below(10_000));
            eventually("messages are queued", async || {
                (answered.load(Ordering::Relaxed) >= until).then_some(())
            })
            .await;
            tokio::time::sleep(moment).await;
            appliance.kill();
            println!("keys: kill {kill} after {} answers", answered.load(Ordering::Relaxed));
            appliance = Appliance::start(&site).await;
            appliance.secret_words = secrets();
        }
        let mut ids: Vec<(usize, String)> = callers.join_all().await.into_iter().flatten().collect();
        ids.sort_unstable();

        let unique: BTreeSet<&str> = ids.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(unique.len(), KEYS, "two keys got one message");
        let open = api.list("open").await;
        let listed: BTreeSet<&str> = open.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(open.len(), KEYS, "a key has more than one message, or none");
        assert_eq!(listed, unique);
        assert!(open.iter().all(|one| one["reason"]["code"] == "window_closed"), "{:#}", open[0]);
        for (place, id) in ids.iter().step_by(7) {
            let key = format!("key-{place}");
            assert_eq!(&api.queue(&key, &body(*place)).await, id, "asked again");
            let (status, answer) = api.post("/v1/messages", Some(&key), &body(place + 1)).await.unwrap();
            assert_eq!(status, 409, "another message under the same key: {answer:#}");
        }
        assert_eq!(api.list("open").await.len(), KEYS);
        assert_eq!(graph.observed().posted, 0);

        // They write: all of it goes, in the order of the queue.
        let poster = Poster::new(&site);
        for customer in 0..CUSTOMERS {
            poster.wrote(&graph, &phone(customer)).await;
        }
        eventually("all of them go", async || (graph.observed().accepted == KEYS as u64).then_some(())).await;
        let observed = graph.observed();
        assert_eq!((observed.taken_twice, observed.posted), (0, KEYS as u64));
        let sent = graph.messages();
        assert!(sent.iter().all(|letter| unique.contains(letter.outbox_id.as_str())));
        (0..CUSTOMERS).for_each(|customer| assert_order(&graph, &phone(customer), &[]));
        // One caller's messages to one customer were queued one after the other.
        let places: Vec<u64> = ids
            .iter()
            .filter(|(place, _)| place % 40 == 0)
            .map(|(_, id)| OutboxId::parse(id).unwrap().place)
            .collect();
        assert!(places.is_sorted(), "{places:?}");
        appliance.stop().await;
    });
}
