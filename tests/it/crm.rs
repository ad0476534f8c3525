//! A CRM in trouble: each kind has its own remedy, none of them slows the acknowledgement, and
//! every record ends delivered or as a visible dead letter.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use simulate::crm::{Behaviour, Crm, Keep, Wrong};
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::{Api, Appliance, Ledger, Load, Poster, Site, crm, eventually, run, wagate, within};

const NUMBER: &str = "106540352242922";

/// A webhook with one text message.
fn message(id: &str, from: &str) -> String {
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"{NUMBER}"}},"contacts":[{{"profile":{{"name":"Confidential Name"}},"wa_id":"{from}"}}],"messages":[{{"from":"{from}","id":"{id}","timestamp":"1795214595","type":"text","text":{{"body":"confidential words"}}}}]}}}}]}}]}}"#
    )
}

fn arrived(crm: &Crm, id: &str) -> Option<u64> {
    crm.look(|observed| observed.seen(&format!("/wagate/{NUMBER}"), id)).map(|seen| seen.sequence)
}

/// The record as the CRM got it.
async fn as_it_came(crm: &Crm, id: &str) -> Value {
    let text = reqwest_get(&format!("http://{}/records", crm.address())).await;
    let records: Value = serde_json::from_str(&text).unwrap();
    let mut records = records["records"].as_array().unwrap().iter();
    records.find(|record| record["id"] == id).unwrap_or_else(|| panic!("{id} isn't there")).clone()
}

async fn reqwest_get(url: &str) -> String {
    let http = reqwest::Client::builder().tls_backend_preconfigured(crate::harness::accept_any()).no_proxy();
    http.build().unwrap().get(url).send().await.unwrap().text().await.unwrap()
}

async fn dead_letters(api: &Api) -> Vec<Value> {
    api.get("/v1/deadletters").await["deadletters"].as_array().unwrap().clone()
}

/// A row is measured so often at most: whoever else is on the machine may disturb any of them.
const ATTEMPTS: u64 = 3;

fn status(code: u16) -> Behaviour {
    Behaviour::Status { code, retry_after_s: None }
}

#[test]
fn no_trouble_of_the_crm_slows_the_acknowledgement() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.crm_keys = "timeout = \"1s\"".into();
        let appliance = Appliance::start(&site).await;
        let troubles = [
            ("healthy", Behaviour::Ok),
            ("hang", Behaviour::Hang),
            ("500", status(500)),
            ("429", Behaviour::Status { code: 429, retry_after_s: Some(1) }),
            ("reset", Behaviour::Reset),
            ("slow", Behaviour::Slow { ms: 300 }),
            ("down", Behaviour::Down),
            ("409", status(409)),
            ("healthy again", Behaviour::Ok),
        ];
        let mut reports = Vec::new();
        let mut healthy = None;
        for ((name, behaviour), seed) in troubles.into_iter().zip(100_u64..) {
            crm.behave(behaviour).await;
            for attempt in 0..ATTEMPTS {
                let seed = seed + 1_000 * attempt;
                let options = PayloadOptions { seed, contacts: 100, ..PayloadOptions::default() };
                let load = Load::start(&site, &options, 4, Pace::PerSecond(150.0), Some(75));
                let report = load.finish().await;
                assert_eq!((report.acked, report.broken), (300, 0), "{name}: {report:?}");
                let summary = report.latency.summary();
                println!(
                    "crm: {name:>14}: acknowledged in p50 {:?}, p99 {:?}, max {:?}",
                    summary.p50, summary.p99, summary.max
                );
                reports.push(report);
                // Of the slowest nothing is said, they are the disk's. A CRM that was waited for would show in each,
                // as its 300 ms or its timeout of a second.
                let bound = 4 * *healthy.get_or_insert(summary.p50) + Duration::from_millis(150);
                if summary.p50 <= bound {
                    break;
                }
                assert!(attempt + 1 < ATTEMPTS, "{name}: {summary:?}, and at most {bound:?} is right");
            }
        }
        appliance.api.drained().await;
        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&PayloadOptions::default().source(), &reports.iter().collect::<Vec<_>>());
        ledger.assert_delivered(&crm);
        assert_eq!(dead_letters(&appliance.api).await.len(), 0);
        let totals = crm.totals();
        println!("crm: {} records, {} delivered again", totals.records, totals.taken - totals.records);
        appliance.stop().await;
    });
}

/// These wait more than they work, so they wait together, each with a box and a CRM of its own.
#[test]
fn every_answer_of_the_crm_has_its_remedy() {
    run(async {
        tokio::join!(
            what_is_refused_five_times_becomes_a_dead_letter_and_the_lane_goes_on(),
            redirections_are_refusals_and_the_operator_decides_about_the_letters(),
            a_crm_that_wants_other_credentials_is_asked_once_a_minute(),
            retry_after_is_honoured(),
            a_batch_is_split_until_the_culprit_stands_alone(),
        );
    });
}

async fn what_is_refused_five_times_becomes_a_dead_letter_and_the_lane_goes_on() {
    let crm = crm(Keep::Everything, true);
    let site = Site::new(&crm);
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = ["confidential".to_owned(), "Confidential".to_owned()].into();
    let (api, poster) = (&appliance.api, Poster::new(&site));
    let start = Instant::now();
    crm.behave(Behaviour::Matching { id: "wamid.BAD".into(), code: 400 }).await;
    for id in ["wamid.A1", "wamid.BAD1", "wamid.A2"] {
        assert_eq!(poster.status(message(id, "12125550100")).await, 200);
    }
    // Another contact isn't held up.
    assert_eq!(poster.status(message("wamid.B1", "12125550101")).await, 200);
    within(Duration::from_secs(5), "the other contact's record arrives", async || arrived(&crm, "wamid.B1"))
        .await;
    assert_eq!(arrived(&crm, "wamid.A2"), None, "the lane waits for the refused one");
    eventually("the refused one becomes a dead letter", async || {
        (dead_letters(api).await.len() == 1).then_some(())
    })
    .await;
    let took = start.elapsed();
    println!("crm: a dead letter after {took:?}");
    // 1 + 2 + 4 + 8 s, each with up to as much on top.
    assert!((Duration::from_secs(15)..Duration::from_secs(35)).contains(&took), "{took:?}");
    eventually("the lane goes on", async || arrived(&crm, "wamid.A2")).await;

    let letter = dead_letters(api).await.remove(0);
    assert_eq!((&letter["attempts"], &letter["status"]), (&5.into(), &400.into()), "{letter:#}");
    assert_eq!(letter["record"]["id"], "wamid.BAD1");
    // What has arrived is settled a moment later.
    api.drained().await;
    let status = api.status().await;
    assert_eq!((&status["backlog"]["records"], &status["backlog"]["dead_letters"]), (&0.into(), &1.into()));

    // It survives a crash, and is sent again by the API.
    let sequence = letter["sequence"].as_str().unwrap().to_owned();
    appliance.kill();
    let mut appliance = Appliance::start(&site).await;
    appliance.secret_words = ["confidential".to_owned(), "Confidential".to_owned()].into();
    let api = &appliance.api;
    assert_eq!(dead_letters(api).await.len(), 1, "a dead letter is lost by a kill");
    assert_eq!(arrived(&crm, "wamid.BAD1"), None);
    crm.behave(Behaviour::Ok).await;
    let path = format!("/v1/deadletters/{sequence}/retry");
    assert_eq!(api.ask(Method::POST, &path).await.unwrap().status(), 202);
    eventually("the dead letter arrives", async || arrived(&crm, "wamid.BAD1")).await;
    let record = as_it_came(&crm, "wamid.BAD1").await;
    assert_eq!((&record["data"]["replayed"], &record["sequence"]), (&true.into(), &sequence.into()));
    assert_eq!(as_it_came(&crm, "wamid.A2").await["data"].get("replayed"), None);
    eventually("the letter is gone", async || dead_letters(api).await.is_empty().then_some(())).await;
    crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
    appliance.stop().await;
}

async fn redirections_are_refusals_and_the_operator_decides_about_the_letters() {
    let crm = crm(Keep::Everything, true);
    let site = Site::new(&crm);
    let appliance = Appliance::start(&site).await;
    let poster = Poster::new(&site);
    crm.behave(Behaviour::Matching { id: "wamid.MOVED".into(), code: 302 }).await;
    for (id, from) in [("wamid.MOVED1", "12125550110"), ("wamid.MOVED2", "12125550111")] {
        assert_eq!(poster.status(message(id, from)).await, 200);
    }
    eventually("two dead letters", async || (dead_letters(&appliance.api).await.len() == 2).then_some(()))
        .await;
    let config = site.config_argument();
    let listed = wagate(&["deadletters", "--config", &config, "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids: Vec<&str> = listed["deadletters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);

    crm.behave(Behaviour::Ok).await;
    let deleted = wagate(&["deadletters", "delete", ids[1], "--config", &config]);
    assert!(deleted.status.success(), "{deleted:?}");
    let retried = wagate(&["deadletters", "retry", ids[0], "--config", &config]);
    assert!(retried.status.success(), "{retried:?}");
    let first = listed["deadletters"][0]["record"]["id"].as_str().unwrap();
    eventually("the retried one arrives", async || arrived(&crm, first)).await;
    assert_eq!(as_it_came(&crm, first).await["data"]["replayed"], true);
    eventually("no letter is left", async || dead_letters(&appliance.api).await.is_empty().then_some(()))
        .await;
    let nothing = wagate(&["deadletters", "retry", ids[1], "--config", &config]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert_eq!(crm.totals().records, 1, "the deleted one isn't sent");
    appliance.stop().await;
}

async fn a_crm_that_wants_other_credentials_is_asked_once_a_minute() {
    let crm = crm(Keep::Counters, true);
    let site = Site::new(&crm);
    let appliance = Appliance::start(&site).await;
    let (api, poster) = (&appliance.api, Poster::new(&site));
    crm.behave(status(401)).await;
    for place in 0..20 {
        let id = format!("wamid.AUTH{place}");
        assert_eq!(poster.status(message(&id, &format!("121255501{place:02}"))).await, 200);
    }
    eventually("delivery pauses", async || {
        (api.status().await["delivery"]["paused"] == "unauthorized").then_some(())
    })
    .await;
    assert!(api.alarms().await.iter().any(|alarm| alarm.contains("401")));
    assert_eq!(api.ask(Method::GET, "/readyz").await.unwrap().status(), 200);
    let paused = Instant::now();
    let refused = crm.totals().deliveries;
    assert!(refused <= 9, "what was in flight, and no more: {refused}");
    // The quiet is the promise, so it has to be sat through.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(crm.totals().deliveries <= refused + 1, "trials during the pause");
    crm.behave(Behaviour::Ok).await;
    within(Duration::from_secs(65), "the next trial lets everything in", async || {
        (crm.totals().records == 20).then_some(())
    })
    .await;
    println!("crm: let in again {:?} after the pause began", paused.elapsed());
    assert!(paused.elapsed() < Duration::from_secs(75));
    assert_eq!(dead_letters(api).await.len(), 0);
    eventually("the alarm goes", async || api.alarms().await.is_empty().then_some(())).await;
    crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
    appliance.stop().await;
}

async fn retry_after_is_honoured() {
    let crm = crm(Keep::Counters, true);
    let site = Site::new(&crm);
    let appliance = Appliance::start(&site).await;
    let poster = Poster::new(&site);
    crm.behave(Behaviour::Status { code: 429, retry_after_s: Some(4) }).await;
    // Before the refusal, so that no delay of the test makes the wait seem shorter.
    let posted = Instant::now();
    assert_eq!(poster.status(message("wamid.LATER", "12125550100")).await, 200);
    eventually("it is refused", async || (crm.totals().refused >= 1).then_some(())).await;
    crm.behave(Behaviour::Ok).await;
    eventually("it arrives", async || arrived(&crm, "wamid.LATER")).await;
    let waited = posted.elapsed();
    println!("crm: Retry-After 4 s, came again after {waited:?}");
    assert!((Duration::from_secs(4)..Duration::from_secs(30)).contains(&waited), "{waited:?}");
    appliance.stop().await;
}

async fn a_batch_is_split_until_the_culprit_stands_alone() {
    let crm = crm(Keep::Everything, true);
    let mut site = Site::new(&crm);
    site.crm_keys = "mode = \"batch\"\nbatch_every = \"1s\"\nbatch_size = 20".into();
    let appliance = Appliance::start(&site).await;
    let (api, poster) = (&appliance.api, Poster::new(&site));
    crm.behave(Behaviour::Matching { id: "wamid.CULPRIT".into(), code: 422 }).await;
    let start = Instant::now();
    for place in 0..60 {
        let id = if place == 33 { "wamid.CULPRIT".to_owned() } else { format!("wamid.BATCH{place}") };
        assert_eq!(poster.status(message(&id, &format!("121255501{:02}", place % 7))).await, 200);
    }
    // A batch goes every second, full or not.
    let deliveries_max = 40 + start.elapsed().as_secs();
    eventually("the culprit is a dead letter", async || (dead_letters(api).await.len() == 1).then_some(()))
        .await;
    api.drained().await;
    assert_eq!(dead_letters(api).await[0]["record"]["id"], "wamid.CULPRIT");
    let totals = crm.totals();
    println!("crm: batches: {totals:?}");
    assert_eq!((totals.records, totals.taken), (59, 59));
    assert!(totals.deliveries < deliveries_max, "delivered in batches: {totals:?}");
    crm.look(|observed| {
        assert_eq!(observed.count(Wrong::Order), 0);
        assert!(observed.is_clean(), "{:?}", observed.complaints());
    });

    // A culprit that draws 5xx is waited for; the others get through, and it follows.
    crm.behave(Behaviour::Matching { id: "wamid.SICK".into(), code: 500 }).await;
    for place in 0..30 {
        let id = if place == 3 { "wamid.SICK".to_owned() } else { format!("wamid.MORE{place}") };
        assert_eq!(poster.status(message(&id, &format!("121255502{place:02}"))).await, 200);
    }
    println!("crm: the culprit was found out by then");
    eventually("all but the sick one arrive", async || (api.backlog().await == 1).then_some(())).await;
    assert_eq!(arrived(&crm, "wamid.SICK"), None);
    // The first success wakes every lane, however long its backoff has become.
    crm.behave(Behaviour::Ok).await;
    assert_eq!(poster.status(message("wamid.WAKER", "12125550399")).await, 200);
    within(Duration::from_secs(10), "the sick one follows", async || arrived(&crm, "wamid.SICK")).await;
    assert_eq!(dead_letters(api).await.len(), 1);
    appliance.stop().await;
}
