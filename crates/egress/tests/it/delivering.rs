//! What the contract says about deliveries, tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::signature::standard_webhooks::SigningSecret;
use tokio::sync::oneshot;
use wagate_egress::{Mode, Settlement, Status};

use crate::crm::{Crm, Reply, Seen};
use crate::journal::Memory;
use crate::running::{REQUEST_TIMEOUT, settings, start, start_hasty};

pub(crate) fn lane(id: &str) -> &str {
    id.split(':').next().unwrap()
}

/// The CRM took these, in this order; those of a lane must stand in the order of their sequence.
pub(crate) fn assert_order(accepted: &[String]) {
    let mut first = BTreeSet::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for id in accepted.iter().filter(|id| first.insert((*id).clone())) {
        let sequence: u64 = id.split(':').nth(1).unwrap().parse().unwrap();
        let before = last.insert(lane(id), sequence);
        assert!(before.is_none_or(|before| before < sequence), "{id} came late");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_per_contact_holds_in_any_weather() {
    for mode in [Mode::Realtime, Mode::Batch { every: Duration::from_millis(20), size: 7 }] {
        let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&accepted);
        let mut dice = 11_u64;
        let crm = Crm::start(move |seen: &Seen| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let status = match (dice >> 33) % 40 {
                0..=2 => 500,
                3 => 503,
                4 | 5 => 429,
                6 => 408,
                7 => 401,
                8 => 302,
                9 => 0,
                10 | 11 => 409,
                _ => 200,
            };
            if matches!(status, 200 | 409) || (status == 0 && dice.is_multiple_of(2)) {
                log.lock().unwrap().extend(seen.ids.iter().cloned());
            }
            Reply { hangs: status == 0, ..Reply::status(status.max(200)) }
        })
        .await;
        let journal = Memory::new();
        for n in 0..200 {
            journal.append(&format!("c{}", n % 20));
        }
        let mut settings = settings(mode);
        settings.lanes.tries = 1_000;
        let running = start_hasty(&journal, &crm.url(), settings);
        for n in 0..50 {
            journal.append(&format!("c{}", n % 20));
            tokio::task::yield_now().await;
        }
        journal.left(0).await;
        running.stop().await;
        let accepted = accepted.lock().unwrap();
        assert_eq!(accepted.iter().collect::<BTreeSet<_>>().len(), 250);
        assert_order(&accepted);
        assert!(journal.settled().values().all(|settlement| *settlement == Settlement::Delivered));
    }
}

#[tokio::test]
async fn a_request_is_signed_and_says_what_it_holds() {
    let crm = Crm::start(|_: &Seen| Reply::status(204)).await;
    let journal = Memory::new();
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    let secret = SigningSecret::parse("whsec_c2VjcmV0").unwrap();
    let old = SigningSecret::parse("old").unwrap();
    running.secrets.replace(vec![secret.clone(), old.clone()]);
    journal.append("a");
    journal.left(0).await;
    let seen = crm.seen().remove(0);
    assert_eq!(seen.path, "/wagate");
    assert_eq!(seen.header("content-type"), "application/cloudevents+json");
    assert_eq!(seen.header("user-agent"), "wagate/1.2.3");
    assert_eq!((seen.header("webhook-id"), seen.header("idempotency-key")), ("a:2", "a:2"));
    assert_eq!(&seen.body[..], b"\"a:2\"");
    let timestamp: i64 = seen.header("webhook-timestamp").parse().unwrap();
    for secret in [&secret, &old] {
        assert!(secret.verify("a:2", timestamp, &seen.body, seen.header("webhook-signature")));
    }
    running.secrets.replace(Vec::new());
    journal.append("a");
    journal.left(0).await;
    assert!(!crm.seen()[1].headers.contains_key("webhook-signature"), "unsigned without a secret");
    running.stop().await;
}

#[tokio::test]
async fn a_batch_says_so_and_is_signed_as_a_whole() {
    let crm = Crm::start(|_: &Seen| Reply::status(200)).await;
    let journal = Memory::new();
    for lane in ["a", "b", "a"] {
        journal.append(lane);
    }
    let running = start(&journal, &crm.url(), settings(Mode::Batch { every: REQUEST_TIMEOUT, size: 100 }));
    let secret = SigningSecret::parse("s").unwrap();
    running.secrets.replace(vec![secret.clone()]);
    journal.left(0).await;
    running.stop().await;
    let [seen] = &crm.seen()[..] else { panic!("one request") };
    assert_eq!(seen.header("content-type"), "application/cloudevents-batch+json");
    assert_eq!(&seen.body[..], br#"["a:2","b:4","a:6"]"#);
    let (id, timestamp) = (seen.header("webhook-id"), seen.header("webhook-timestamp").parse().unwrap());
    assert_eq!(id.len(), 64);
    assert!(secret.verify(id, timestamp, &seen.body, seen.header("webhook-signature")));
}

#[tokio::test]
async fn what_is_refused_five_times_becomes_a_dead_letter_and_its_lane_goes_on() {
    for status in [400, 404, 413, 302] {
        let crm = Crm::start(move |seen: &Seen| {
            if seen.ids != ["a:2"] {
                return Reply::status(200);
            }
            let headers = vec![("location", "/elsewhere".to_owned())];
            Reply { headers, body: "no such customer", ..Reply::status(status) }
        })
        .await;
        let journal = Memory::new();
        let bad = journal.append("a");
        journal.append("a");
        journal.append("b");
        let running = start(&journal, &crm.url(), settings(Mode::Realtime));
        journal.left(0).await;
        let settled = journal.settled();
        let Settlement::DeadLetter { reason, status: last, attempts } = &settled[&bad] else {
            panic!("{status} is no dead letter");
        };
        assert_eq!((*last, *attempts), (Some(status), 5));
        assert!(
            reason.starts_with(&status.to_string()) && reason.ends_with(": no such customer"),
            "{reason}"
        );
        assert_eq!(settled.values().filter(|settlement| **settlement == Settlement::Delivered).count(), 2);
        assert!(crm.seen().iter().all(|seen| seen.path == "/wagate"), "no redirect is followed");
        assert_eq!(running.status.borrow().dead_letters, 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_batch_is_split_until_the_culprit_stands_alone() {
    for status in [422, 500] {
        let crm = Crm::start(move |seen: &Seen| {
            Reply::status(if seen.ids.iter().any(|id| lane(id) == "c33") { status } else { 200 })
        })
        .await;
        let journal = Memory::new();
        for n in 0..50 {
            journal.append(&format!("c{n}"));
        }
        let mut settings = settings(Mode::Batch { every: REQUEST_TIMEOUT, size: 50 });
        settings.lanes.alone_for = Duration::from_millis(500);
        let running = start(&journal, &crm.url(), settings);
        journal.left(1).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !journal.settled().values().any(|settlement| *settlement != Settlement::Delivered) {
            assert!(Instant::now() < deadline, "none is held the only one");
            // Others must get through for it to be held the only one.
            journal.append("d");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        journal.left(0).await;
        let settled = journal.settled();
        let dead: Vec<_> = settled.iter().filter(|(_, s)| **s != Settlement::Delivered).collect();
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].0.0, 68, "the record of c33");
        running.stop().await;
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let mut count = 0;
    let crm = Crm::start(move |_: &Seen| {
        count += 1;
        let headers = vec![("retry-after", "1".to_owned())];
        if count == 1 { Reply { headers, ..Reply::status(429) } } else { Reply::status(200) }
    })
    .await;
    let journal = Memory::new();
    journal.append("a");
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    crm.saw(1).await;
    for lane in ["b", "c"] {
        journal.append(lane);
    }
    journal.left(0).await;
    running.stop().await;
    let seen = crm.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(1), "nothing came before its time");
}

#[tokio::test]
async fn a_crm_that_hangs_costs_a_timeout_and_no_shutdown_waits_for_it() {
    let crm =
        Crm::start(|seen: &Seen| Reply { hangs: lane(&seen.ids[0]) == "a", ..Reply::status(200) }).await;
    let journal = Memory::new();
    journal.append("a");
    journal.append("b");
    let running = start_hasty(&journal, &crm.url(), settings(Mode::Realtime));
    journal.left(1).await;
    // From now on there is nothing but the one that hangs.
    crm.saw(crm.seen().len() + 2).await;
    let of_a: Vec<_> = crm.seen().into_iter().filter(|seen| lane(&seen.ids[0]) == "a").collect();
    assert!(of_a[1].at.duration_since(of_a[0].at) >= REQUEST_TIMEOUT);
    assert_eq!(
        running.status.borrow().last_error.as_deref().map(|error| error.contains("127.0.0.1")),
        Some(false)
    );
    let metrics = running.metrics();
    let unanswered = r#"wagate_deliveries_total{endpoint="primary",result="no_answer"} "#;
    let count = metrics.lines().find_map(|line| line.strip_prefix(unanswered)?.parse().ok());
    assert!(count.is_some_and(|count: u64| count > 0), "{metrics}");
    let before = Instant::now();
    running.stop().await;
    assert!(before.elapsed() < Duration::from_secs(5), "the drain has an end");
    assert_eq!(journal.settled().len(), 1, "what wasn't answered stays undelivered");
}

#[tokio::test]
async fn what_is_answered_during_the_drain_is_settled() {
    let (enter, entered) = oneshot::channel();
    let mut enter = Some(enter);
    let crm = Crm::start(move |_: &Seen| {
        enter.take().map(|enter| enter.send(()));
        Reply::status(200)
    })
    .await;
    let journal = Memory::new();
    journal.append("a");
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    entered.await.unwrap();
    running.stop().await;
    assert_eq!(journal.settled().len(), 1);
}

#[tokio::test]
async fn when_a_crm_comes_back_the_first_success_wakes_every_lane() {
    let address = Crm::start(|_: &Seen| Reply::status(200)).await.address;
    let journal = Memory::new();
    for n in 0..300 {
        journal.append(&format!("c{n}"));
    }
    let url = format!("http://{address}/wagate");
    let mut settings = settings(Mode::Realtime);
    settings.lanes.backoff.max = Duration::from_millis(200);
    let mut running = start(&journal, &url, settings);
    running.status.wait_for(|status| status.consecutive_failures >= 12).await.unwrap();
    assert!(running.status.borrow().paused.is_some());
    let refused = r#"wagate_deliveries_total{endpoint="primary",result="no_connection"}"#;
    assert!(running.metrics().contains(refused));
    let crm = Crm::start_at(address, |_: &Seen| Reply::status(200)).await;
    journal.left(0).await;
    let seen = crm.seen();
    assert_eq!(seen.len(), 300);
    let all = seen[299].at.duration_since(seen[0].at);
    assert!(all < Duration::from_secs(10), "with a wait each it would take a minute: {all:?}");
    assert!(running.status.borrow_and_update().paused.is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_crm_that_shuts_us_out_raises_an_alarm_until_it_lets_us_in() {
    let mut count = 0;
    let crm = Crm::start(move |_: &Seen| {
        count += 1;
        Reply::status(if count <= 4 { 401 } else { 200 })
    })
    .await;
    let journal = Memory::new();
    journal.append("a");
    let mut running = start(&journal, &crm.url(), settings(Mode::Realtime));
    running.status.wait_for(Status::paused_by_auth).await.unwrap();
    assert!(running.metrics().contains("wagate_delivery_paused 3"));
    for lane in ["b", "c", "d"] {
        journal.append(lane);
    }
    journal.left(0).await;
    running.status.wait_for(|status| !status.paused_by_auth()).await.unwrap();
    assert!(running.metrics().contains("wagate_delivery_paused 0"));
    let seen = crm.seen();
    let trials = seen[..5].windows(2).map(|pair| pair[1].at.duration_since(pair[0].at));
    assert!(trials.into_iter().all(|wait| wait >= Duration::from_millis(55)), "one trial at a time");
    assert_eq!(seen.len(), 8);
    running.stop().await;
}

#[tokio::test]
async fn a_journal_that_fails_is_read_again_and_a_retried_dead_letter_comes_late() {
    let crm = Crm::start(|_: &Seen| Reply::status(409)).await;
    let journal = Memory::new();
    journal.fail_reads(3);
    let old = journal.append("a");
    journal.append("a");
    let running = start(&journal, &crm.url(), settings(Mode::Realtime));
    journal.left(0).await;
    journal.retry("a", old);
    journal.left(0).await;
    let ids: Vec<_> = crm.seen().into_iter().flat_map(|seen| seen.ids).collect();
    assert_eq!(ids, ["a:2", "a:4", "a:2"]);
    assert!(
        running.metrics().contains("wagate_delivery_seconds_count 2"),
        "what was retried says nothing of speed"
    );
    running.stop().await;
}
