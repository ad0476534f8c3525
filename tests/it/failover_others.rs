//! Failover without traffic, over a restart, and what is never a reason for it.

use std::time::{Duration, Instant};

use simulate::crm::Behaviour;
use simulate::proxy::Fault;

use crate::failover_stage::{BACKUP_DOOR, CRM, Stage, Trouble, whatsapp};
use crate::harness::sending::{behave, phone, template};
use crate::harness::{Poster, eventually};

const REFUSE: Trouble = Trouble::Network(Fault::Refuse);
/// Between two probes of a quiet endpoint; the default's hour is shortened, so that the test is.
const QUIET: Duration = Duration::from_secs(4);
/// Within so much more than that a sick endpoint is left.
const BEYOND: Duration = Duration::from_secs(40);

pub(crate) async fn without_traffic(seed: u64) {
    let trouble = Trouble::Network(Fault::Unreachable);
    let health = format!("every = \"{}s\"", QUIET.as_secs());
    let stage = Stage::new(seed, trouble, &health).await;
    let mut stage = stage.unwrap();
    stage.goes_by(Duration::from_secs(5), ["meta", "primary"]).await;
    let begun = Instant::now();
    stage.begins(trouble).await;
    stage.goes_by(QUIET + BEYOND, ["backup", "backup"]).await;
    for group in [whatsapp(), CRM.to_owned()] {
        let left = stage.feed.went_by(&group, "backup", begun).unwrap() - begun;
        println!("failover: without traffic, probes every {QUIET:?}: {group} left after {left:?}");
        assert!(left <= QUIET + BEYOND, "{group}: {left:?}");
    }
    assert_eq!(stage.graph.observed().posted, 0);
    stage.stop().await;
}

pub(crate) async fn a_restart_on_the_backup(seed: u64) {
    const MESSAGES: usize = 10;
    let mut stage = Stage::new(seed, REFUSE, "").await.unwrap();
    stage.begins(REFUSE).await;
    // What finds it out.
    let first = stage.api.queue("first", &template(&phone(0))).await;
    Poster::new(&stage.site).wrote(&stage.graph, &phone(1)).await;
    stage.goes_by(Duration::from_secs(40), ["backup", "backup"]).await;
    stage.api.until(&first, "delivered").await;
    stage.api.drained().await;
    stage.restart().await;
    let before = stage.crms[0].totals().records;
    stage.goes_by(Duration::from_secs(5), ["backup", "backup"]).await;
    let mut ids = Vec::new();
    for place in 0..MESSAGES {
        ids.push(stage.api.queue(&format!("again-{place}"), &template(&phone(10 + place))).await);
    }
    for id in &ids {
        stage.api.until(id, "delivered").await;
    }
    stage.api.drained().await;
    stage.goes_by(Duration::from_secs(5), ["backup", "backup"]).await;
    let letters = stage.letters();
    for id in &ids {
        assert_eq!(letters[id].taken_by, [BACKUP_DOOR], "the way back isn't known to be good yet");
    }
    assert_eq!(stage.crms[0].totals().records, before);
    assert!(stage.crms[1].totals().records > ids.len() as u64);
    assert_eq!(stage.graph.observed().taken_twice, 0);
    println!("failover: a restart stays on the backup");
    stage.stop().await;
}

/// What our own calls are refused for says nothing of the endpoint.
pub(crate) async fn nothing_of_ours_switches(seed: u64) {
    let mut stage = Stage::new(seed, REFUSE, "").await.unwrap();
    let (graph, api) = (&stage.graph, &stage.api);
    eventually("the box has looked around", async || (graph.observed().calls > 2).then_some(())).await;
    let mut ids = Vec::new();
    // Bad requests, a rate, and a token that isn't let in: more of each than strikes would need.
    for (place, (what, code)) in [
        ("bad", 131_008),
        ("bad", 100),
        ("bad", 131_026),
        ("bad", 132_001),
        ("rate", 130_429),
        ("token", 190),
    ]
    .into_iter()
    .enumerate()
    {
        behave(graph, &[&format!("refuse,code={code}")]);
        for count in 0..4 {
            let to = phone(place * 10 + count);
            ids.push(api.queue(&format!("{what}-{place}-{count}"), &template(&to)).await);
            // Apart, so that strikes would count one by one.
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        eventually("it is refused", async || graph.observed().refused.get(&code).copied()).await;
        stage.unharmed(&format!("{code}")).await;
    }
    stage.graph.behave(&[]);
    for (place, code) in [400, 401, 429].into_iter().enumerate() {
        stage.crms[0].behave(Behaviour::Status { code, retry_after_s: None }).await;
        for count in 0..4 {
            Poster::new(&stage.site).wrote(&stage.graph, &phone(100 + place * 10 + count)).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        stage.unharmed(&format!("{code} of the CRM")).await;
    }
    stage.crms[0].behave(Behaviour::Ok).await;
    println!("failover: throttling, tokens and bad requests never switch");
    stage.stop().await;
}

impl Stage {
    async fn unharmed(&self, why: &str) {
        for one in self.endpoints().await {
            let preferred = one["name"] != "backup";
            assert_eq!(one["active"], preferred, "{why}: {one:#}");
        }
        let switches = self.api.metric("wagate_endpoint_switches_total", "").await;
        assert!(switches.abs() < f64::EPSILON, "{why}: {switches}");
    }
}
