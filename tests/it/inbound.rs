//! Two boxes of one store: one dies, the other takes over its webhooks by itself, and a person gives them back.
//! Nothing that was acknowledged is lost.

use std::time::{Duration, Instant};

use simulate::crm::{Behaviour, Keep};
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::front::Authority;
use crate::harness::sending::{NUMBER, graph_settings, phone, send_to, start_graph, template};
use crate::harness::{Appliance, Ledger, Load, Site, crm, eventually, run, wagate, words};

/// Webhooks in each part of the test.
const SOME: u64 = 60;
/// `silent_for` and two times `every` of the standby, and what Meta and two busy cores take.
const TAKEN_WITHIN: Duration = Duration::from_secs(5 + 2 + 8);

/// A standby for the box of `first`.
fn standby(first: &Site, graph: &str) -> Site {
    let mut site = Site::without_crm();
    send_to(&mut site, graph);
    site.webhook_keys = format!("public_url = \"{}\"", site.webhook_url());
    site.more += &format!(
        "[standby]\npeer = \"http://127.0.0.1:{}/healthz\"\nevery = \"1s\"\nsilent_for = \"5s\"\ntimeout = \"1s\"\ntake = true\n",
        first.api_port
    );
    site
}

async fn more(load: &Load) {
    let before = load.acked();
    eventually("the webhooks go on", async || (load.acked() >= before + SOME).then_some(())).await;
}

async fn is_taken(box_: &Appliance) -> bool {
    box_.api.metric("wagate_inbound_taken", NUMBER).await > 0.0
}

async fn heard_its_peer(standby: &Appliance) {
    eventually("the standby has heard its peer", async || {
        (standby.api.get("/v1/failover").await["standby"]["heard_before"] == true).then_some(())
    })
    .await;
}

#[test]
fn a_standby_takes_over_from_a_box_that_died_and_a_person_gives_back() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut first = Site::new(&crm);
        let settings = graph_settings(&first);
        let graph = start_graph(&mut first, settings);
        graph.setup(|setup| setup.app_callback = Some(first.webhook_url()));
        let second = standby(&first, &graph.url());
        let override_url = || graph.redirects().number_url(NUMBER);

        let a = Appliance::start(&first).await;
        let b = Appliance::start(&second).await;
        heard_its_peer(&b).await;
        // What the first box has taken is on its disk alone when it dies.
        crm.behave(Behaviour::Status { code: 503, retry_after_s: None }).await;
        let options = PayloadOptions { contacts: 50, ..PayloadOptions::default() };
        let pace = Pace::PerSecond(60.0);
        let load = Load::start_following(&first, &options, 4, pace, None, graph.redirects());
        more(&load).await;
        assert!(!is_taken(&b).await && override_url().is_none(), "a peer that answers keeps its webhooks");

        let acknowledged = load.acked();
        a.kill();
        let killed = Instant::now();
        eventually("the standby takes over", async || is_taken(&b).await.then_some(())).await;
        let took = killed.elapsed();
        println!("inbound: the standby had the webhooks {took:?} after the kill");
        assert!((Duration::from_secs(2)..TAKEN_WITHIN).contains(&took), "{took:?}");
        assert_eq!(override_url(), Some(second.webhook_url()));
        more(&load).await;
        // Statuses come to who took over, too.
        let id = b.api.queue("one", &template(&phone(1))).await;
        b.api.until(&id, "read").await;

        let mut a = Appliance::start(&first).await;
        assert!(Ledger::pull(&a.api).await.len() as u64 >= acknowledged, "what was acknowledged is there");
        eventually("the standby hears its peer again", async || {
            (b.api.metric("wagate_standby_peer_silent_seconds", "").await == 0.0).then_some(())
        })
        .await;
        more(&load).await;
        assert!(is_taken(&b).await, "it gives nothing back by itself");

        let config = second.config_argument();
        let given = wagate(&["failover", "give-back", "--config", &config]);
        let said = String::from_utf8(given.stdout).unwrap();
        assert_eq!(given.status.code(), Some(0), "{said}");
        assert!(said.contains(&first.webhook_url()), "{said}");
        assert!(override_url().is_none() && !is_taken(&b).await);
        let status = wagate(&["failover", "status", "--json", "--config", &config]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["numbers"][0]["in_force"], first.webhook_url());
        assert_eq!(status["standby"]["state"], "watching");
        let before = Ledger::pull(&a.api).await.len();
        more(&load).await;
        let report = load.stop().await;

        crm.behave(Behaviour::Ok).await;
        a.api.drained().await;
        let (of_a, of_b) = (Ledger::pull(&a.api).await, Ledger::pull(&b.api).await);
        assert!(of_a.len() > before, "the webhooks go to the first box again");
        let source = PayloadOptions::default().source();
        for id in report.acknowledged_ids() {
            let found = of_a.sequence(&source, id).or(of_b.sequence(&source, id));
            assert!(found.is_some(), "acknowledged and in neither log: {id}");
        }
        assert!(report.unacknowledged.is_empty(), "what was open when the box died was sent to the other");
        of_a.assert_delivered(&crm);
        println!(
            "inbound: {} webhooks; {} records in one box, {} in the other",
            report.acked,
            of_a.len(),
            of_b.len()
        );

        let mut b = b;
        let words = words(report.acknowledged.iter().flat_map(|webhook| webhook.items.iter()));
        (a.secret_words, b.secret_words) = (words.clone(), words);
        a.stop().await;
        b.stop().await;
    });
}

#[test]
fn a_peer_that_wants_a_certificate_of_metas_is_alive() {
    run(async {
        let (authority, mut first) = (Authority::new(), Site::without_crm());
        let (chain, key) = authority.vouch_for("127.0.0.1");
        for (name, text) in [("chain.pem", &chain), ("key.pem", &key), ("ca.pem", &authority.pem)] {
            first.put(name, text.as_bytes());
        }
        first.tls = "certificate = \"chain.pem\"\nkey = \"key.pem\"".into();
        first.webhook_keys = "client_auth = { mode = \"required\", ca = \"ca.pem\" }".into();
        let settings = graph_settings(&first);
        let graph = start_graph(&mut first, settings);
        let mut second = standby(&first, &graph.url());
        let ca = first.path().join("ca.pem");
        second.more = format!("[standby]\npeer = {:?}\nca = {ca:?}\nevery = \"1s\"\n", first.webhook_url());
        let a = Appliance::start(&first).await;
        let b = Appliance::start(&second).await;
        heard_its_peer(&b).await;
        for appliance in [a, b] {
            appliance.stop().await;
        }
    });
}
