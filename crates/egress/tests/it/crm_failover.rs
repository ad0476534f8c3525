//! A CRM with two endpoints, one of which is sick.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::Record;
use policy::failover::Settings as Health;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::task::JoinHandle;
use wagate_egress::crm::{GROUP, Probe};
use wagate_egress::{ClientSettings, Clients, Endpoint, Endpoints, Mode, Settings, Settlement, Watched};

use crate::crm::{Crm, Reply, Seen};
use crate::delivering::{assert_order, lane};
use crate::journal::Memory;
use crate::raw::{Act, Raw, Then};
use crate::running::{Running, patient, settings, start_at};
use crate::tls::acceptor;

/// Longer than three strikes take, which are half a second apart.
const THREE_STRIKES: Duration = Duration::from_secs(2);
const A_WHILE: Duration = Duration::from_secs(30);

/// Whose answers come when the machine gets to it: only what fails is a strike.
fn health() -> Health {
    Health {
        recheck: Duration::from_millis(50),
        normal: Duration::from_secs(8),
        slow: Duration::from_secs(10),
        ..Health::default()
    }
}

fn impatient() -> Health {
    Health { normal: Duration::from_millis(200), slow: Duration::from_millis(300), ..health() }
}

fn endpoint(name: &str, url: &str) -> Endpoint {
    Endpoint::new(name, url).unwrap()
}

fn pair(primary: &str, backup: &str) -> Vec<Endpoint> {
    vec![endpoint("primary", primary), endpoint("backup", backup)]
}

/// A delivery, and the loop of probes.
struct Stage {
    running: Running,
    watched: Watched,
    probing: JoinHandle<()>,
}

impl Stage {
    fn new(journal: &Arc<Memory>, list: Vec<Endpoint>, health: Health, settings: Settings) -> Self {
        Self::with(journal, list, health, settings, patient())
    }

    fn with(
        journal: &Arc<Memory>,
        list: Vec<Endpoint>,
        health: Health,
        settings: Settings,
        client: ClientSettings,
    ) -> Self {
        let names = list.iter().map(|endpoint| endpoint.name().to_owned()).collect();
        let watched = Watched::new(GROUP.to_owned(), names, health, None);
        let clients = Clients::new(client.clone()).unwrap();
        let probes = list.iter().map(|endpoint| Probe::new(endpoint, None, &clients).unwrap());
        let probes: Vec<_> = probes.map(Arc::new).collect();
        let endpoints = Endpoints::new(list, watched.clone()).unwrap();
        let render = |record: &Record| format!("\"{}\"", record.item.id).into_bytes();
        let running = start_at(journal, &endpoints, settings, Arc::new(render), client);
        let group = watched.clone();
        let probing = tokio::spawn(async move {
            let probe = |place: usize| {
                let probe = Arc::clone(&probes[place]);
                async move { probe.ask().await }
            };
            group.run(Duration::from_secs(5).min(health.slow * 2), probe, |_| {}).await;
        });
        Self { running, watched, probing }
    }

    async fn active(&self, place: usize) {
        let mut standing = self.watched.standing();
        let there = standing.wait_for(|standing| standing.active == place);
        tokio::time::timeout(A_WHILE, there).await.expect("it stays where it is").unwrap();
    }

    /// So many records of each result and endpoint.
    fn count(&self, endpoint: &str, result: &str) -> u64 {
        let line = format!("wagate_deliveries_total{{endpoint=\"{endpoint}\",result=\"{result}\"}} ");
        let metrics = self.running.metrics();
        metrics.lines().find_map(|text| text.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }

    async fn stop(self) {
        self.probing.abort();
        self.running.stop().await;
    }
}

fn append(journal: &Memory, count: usize) {
    for n in 0..count {
        journal.append(&format!("c{}", n % 20));
    }
}

fn all_delivered(journal: &Memory, count: usize) -> bool {
    let settled = journal.settled();
    settled.len() == count && settled.values().all(|settlement| *settlement == Settlement::Delivered)
}

/// Takes records, and shows whoever just looks a page that isn't there.
async fn healthy() -> Crm {
    Crm::start(|seen: &Seen| Reply::status(if seen.ids.is_empty() { 404 } else { 200 })).await
}

#[tokio::test]
async fn what_a_primary_refuses_goes_to_the_backup_in_order_and_back_when_it_works_again() {
    for mode in [Mode::Realtime, Mode::Batch { every: Duration::from_millis(20), size: 7 }] {
        let (address, backup) = (healthy().await.address, healthy().await);
        let journal = Memory::new();
        append(&journal, 200);
        let list = pair(&format!("http://{address}/wagate"), &backup.url());
        let mut stage = Stage::new(&journal, list, health(), settings(mode));
        assert_eq!(stage.running.status.borrow().endpoint, "primary");
        journal.left(0).await;
        let records = backup.records();
        assert_order(&records);
        assert_eq!((records.len(), all_delivered(&journal, 200)), (200, true), "none twice, none lost");
        assert_eq!(stage.running.status.borrow_and_update().endpoint, "backup");
        assert_eq!((stage.count("backup", "accepted"), stage.count("primary", "accepted")), (200, 0));
        assert!(stage.count("primary", "no_connection") >= 3);
        assert!(stage.running.metrics().contains("wagate_delivery_paused 0"));
        let primary = Crm::start_at(address, |_: &Seen| Reply::status(200)).await;
        stage.active(0).await;
        stage.running.status.wait_for(|status| status.endpoint == "primary").await.unwrap();
        append(&journal, 100);
        journal.left(0).await;
        assert_eq!((primary.records().len(), backup.records().len()), (100, 200));
        assert_order(&primary.records());
        stage.stop().await;
    }
}

#[tokio::test]
async fn what_hangs_in_mid_answer_arrives_at_the_backup_under_the_same_id() {
    let primary = Raw::start(|_| Act::new("HTTP/1.1 200 OK\r\ncontent-", Then::Hold)).await;
    let backup = healthy().await;
    let journal = Memory::new();
    append(&journal, 60);
    let mut settings = settings(Mode::Realtime);
    settings.grace = Duration::from_millis(100);
    let begun = Instant::now();
    let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), impatient(), settings);
    journal.left(0).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for a request's time");
    let sent: BTreeSet<_> = primary.saw().ids.into_iter().filter(|id| !id.is_empty()).collect();
    assert_eq!(sent.len(), 8, "as many as may be in flight");
    let records = backup.records();
    assert_order(&records);
    assert_eq!((records.len(), all_delivered(&journal, 60)), (60, true));
    let ids: BTreeSet<_> = backup.seen().iter().map(|seen| seen.header("webhook-id").to_owned()).collect();
    assert!(sent.is_subset(&ids));
    assert_eq!((stage.count("primary", "no_answer"), stage.count("backup", "accepted")), (8, 60));
    stage.stop().await;
}

#[tokio::test]
async fn a_primary_that_speaks_of_us_is_not_left() {
    for status in [429, 401, 400] {
        let primary = Crm::start(move |_: &Seen| Reply::status(status)).await;
        let backup = healthy().await;
        let journal = Memory::new();
        let stage =
            Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings(Mode::Realtime));
        let begun = Instant::now();
        while begun.elapsed() < THREE_STRIKES {
            append(&journal, 20);
            primary.saw(primary.seen().len() + 1).await;
        }
        assert_eq!((stage.watched.active(), backup.records().len()), (0, 0), "{status}");
        assert_eq!(stage.watched.views()[0].view.strikes, 0, "{status}");
        assert_eq!(stage.count("primary", "accepted"), 0);
        stage.stop().await;
    }
}

#[tokio::test]
async fn errors_are_a_reason_to_leave_where_no_record_gets_through() {
    // Whoever just looks finds nothing wrong.
    let primary = Crm::start(|seen: &Seen| Reply::status(if seen.ids.is_empty() { 200 } else { 500 })).await;
    let backup = healthy().await;
    let journal = Memory::new();
    append(&journal, 100);
    let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings(Mode::Realtime));
    stage.active(1).await;
    journal.left(0).await;
    assert!(all_delivered(&journal, 100));
    assert_order(&backup.records());
    stage.stop().await;
}

#[tokio::test]
async fn connections_to_an_endpoint_that_is_left_are_closed() {
    let error = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
    let mut primary = Raw::start(move |_| Act::new(error, Then::Keep)).await;
    let backup = healthy().await;
    let journal = Memory::new();
    append(&journal, 100);
    let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings(Mode::Realtime));
    stage.active(1).await;
    let left = Instant::now();
    primary.until(|saw| saw.closed == saw.connections).await;
    assert!(left.elapsed() < Duration::from_secs(3), "before they'd have been idle for too long");
    stage.stop().await;
}

#[tokio::test]
async fn who_answers_errors_to_everything_is_left_however_few_contacts_wait_and_in_batches_too() {
    let batch = Mode::Batch { every: Duration::from_millis(20), size: 7 };
    // The gate closes for three contacts that fail: with fewer it stays open, and with one batch too.
    for (mode, records) in [(Mode::Realtime, 1), (Mode::Realtime, 2), (batch, 1), (batch, 100)] {
        let primary =
            Crm::start(|seen: &Seen| Reply::status(if seen.ids.is_empty() { 200 } else { 500 })).await;
        let backup = healthy().await;
        let journal = Memory::new();
        append(&journal, records);
        let begun = Instant::now();
        let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings(mode));
        stage.active(1).await;
        assert!(begun.elapsed() >= Duration::from_secs(1), "three strikes, half a second apart");
        journal.left(0).await;
        assert!(all_delivered(&journal, records), "{mode:?} {records}");
        assert_order(&backup.records());
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_record_that_draws_errors_is_a_reason_to_leave_only_where_no_other_gets_through() {
    for others in [true, false] {
        let primary = Crm::start(|seen: &Seen| {
            let poisoned = seen.ids.iter().any(|id| lane(id) == "poison");
            Reply::status(if poisoned { 500 } else { 200 })
        })
        .await;
        let backup = healthy().await;
        let journal = Memory::new();
        journal.append("poison");
        let stage =
            Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings(Mode::Realtime));
        if !others {
            // It is all that can tell whether the endpoint works.
            stage.active(1).await;
            journal.left(0).await;
            stage.stop().await;
            continue;
        }
        let begun = Instant::now();
        while begun.elapsed() < THREE_STRIKES {
            append(&journal, 3);
            primary.saw(primary.seen().len() + 1).await;
        }
        assert_eq!((stage.watched.active(), backup.records().len()), (0, 0));
        assert!(stage.count("primary", "server_error") > 3);
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_batch_may_take_its_time_and_a_single_record_may_not() {
    let batch = Mode::Batch { every: Duration::from_millis(10), size: 10 };
    for (mode, left) in [(batch, false), (Mode::Realtime, true)] {
        let after = Duration::from_millis(900);
        let primary = Crm::start(move |seen: &Seen| Reply {
            after: if seen.ids.is_empty() { Duration::ZERO } else { after },
            ..Reply::status(200)
        })
        .await;
        let backup = healthy().await;
        let journal = Memory::new();
        append(&journal, 80);
        // Probes find nothing wrong: what is left stays left all the same.
        let slow = Duration::from_millis(600);
        let patience = Health { normal: slow, slow, recover: 1_000, ..health() };
        let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), patience, settings(mode));
        journal.left(0).await;
        assert_eq!(stage.watched.active() == 1, left, "{mode:?}");
        assert!(all_delivered(&journal, 80));
        assert_eq!(backup.records().is_empty(), !left);
        stage.stop().await;
    }
}

#[tokio::test]
async fn each_endpoint_has_its_own_roots_and_its_own_time() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = acceptor(cert.der(), &signing_key);
    let backup = Raw::start_at("127.0.0.1:0", Some(tls), |_| Act::ok()).await.unwrap();
    let primary = Raw::start(|_| Act::new("", Then::Hold)).await;
    let list = vec![
        endpoint("primary", &primary.url()).with_timeout(Duration::from_millis(50)),
        endpoint("backup", &format!("https://{}/", backup.address)).with_roots(cert.pem().into_bytes()),
    ];
    let journal = Memory::new();
    append(&journal, 10);
    // A general time that no test would outlive.
    let client = ClientSettings { request_timeout: Duration::from_secs(600), ..patient() };
    let stage = Stage::with(&journal, list, health(), settings(Mode::Realtime), client);
    journal.left(0).await;
    assert!(stage.count("primary", "no_answer") >= 3);
    assert_eq!(stage.count("backup", "accepted"), 10);
    stage.stop().await;
}

#[tokio::test]
async fn the_only_endpoint_is_tried_at_once_when_probes_find_it_again() {
    let address = healthy().await.address;
    let journal = Memory::new();
    append(&journal, 100);
    let mut settings = settings(Mode::Realtime);
    settings.lanes.backoff.first = Duration::from_secs(120);
    settings.lanes.backoff.max = Duration::from_secs(120);
    let list = vec![endpoint("only", &format!("http://{address}/wagate"))];
    let stage = Stage::new(&journal, list, health(), settings);
    let mut standing = stage.watched.standing();
    standing.wait_for(|standing| standing.all_open).await.unwrap();
    let (crm, back) = (Crm::start_at(address, |_: &Seen| Reply::status(200)).await, Instant::now());
    journal.left(0).await;
    assert!(back.elapsed() < Duration::from_secs(60), "{:?}", back.elapsed());
    assert_eq!((crm.records().len(), all_delivered(&journal, 100)), (100, true));
    assert_order(&crm.records());
    stage.stop().await;
}

#[tokio::test]
async fn what_hangs_at_an_endpoint_that_is_not_sick_holds_up_the_one_gone_back_to_for_a_moment_only() {
    let address = healthy().await.address;
    let hangs = Arc::new(AtomicBool::new(false));
    let hang = Arc::clone(&hangs);
    let backup = Crm::start(move |seen: &Seen| Reply {
        hangs: !seen.ids.is_empty() && hang.load(Ordering::Relaxed),
        ..Reply::status(200)
    })
    .await;
    let journal = Memory::new();
    append(&journal, 10);
    // Of a batch it is no strike that it takes its time: the backup counts as well until the end.
    let mode = Mode::Batch { every: Duration::from_millis(10), size: 5 };
    let patience = Health { normal: Duration::from_secs(1), slow: Duration::from_secs(1), ..health() };
    let list = pair(&format!("http://{address}/wagate"), &backup.url());
    let client = ClientSettings { request_timeout: Duration::from_secs(600), ..patient() };
    let stage = Stage::with(&journal, list, patience, settings(mode), client);
    journal.left(0).await;
    hangs.store(true, Ordering::Relaxed);
    let before = backup.records().len();
    append(&journal, 20);
    while backup.records().len() < before + 10 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let primary = Crm::start_at(address, |_: &Seen| Reply::status(200)).await;
    stage.active(0).await;
    let back = Instant::now();
    assert_eq!(stage.watched.views()[1].view.strikes, 0, "nothing is held against the backup");
    journal.left(0).await;
    assert!(back.elapsed() < Duration::from_secs(20), "{:?}", back.elapsed());
    assert!(all_delivered(&journal, 30));
    assert_order(&primary.records());
    assert_eq!(stage.count("backup", "no_answer"), 10);
    stage.stop().await;
}

#[tokio::test]
async fn a_primary_that_says_it_is_away_for_long_is_left_though_nothing_is_sent_meanwhile() {
    for good_before in [0, 10] {
        let away = Arc::new(AtomicBool::new(good_before == 0));
        let gone = Arc::clone(&away);
        let primary = Crm::start(move |seen: &Seen| {
            if seen.ids.is_empty() || !gone.load(Ordering::Relaxed) {
                return Reply::status(200);
            }
            Reply { headers: vec![("retry-after", "3600".to_owned())], ..Reply::status(503) }
        })
        .await;
        let backup = healthy().await;
        let journal = Memory::new();
        append(&journal, good_before);
        let mut settings = settings(Mode::Realtime);
        // It is the only one that is sent before the pause begins.
        settings.lanes.in_flight = 1;
        let stage = Stage::new(&journal, pair(&primary.url(), &backup.url()), health(), settings);
        journal.left(0).await;
        away.store(true, Ordering::Relaxed);
        append(&journal, 5);
        stage.active(1).await;
        journal.left(0).await;
        assert_eq!(primary.records().len(), good_before + 1, "the time that it asked for is kept");
        assert_eq!(stage.count("primary", "server_error"), 1);
        assert!(all_delivered(&journal, good_before + 5));
        stage.stop().await;
    }
}
