//! Certificates by ACME, from a real authority: got, renewed, kept and served whatever the authority does.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::WallTime;
use model::signature::hub;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    Appliance, Faketime, Pebble, Site, connect, eventually, peer_certificate, plain, port, run, secret,
    wagate,
};

const NAME: &str = "box.example.com";
/// Between two attempts, however much somebody is in a hurry.
const GAP: Duration = Duration::from_secs(5);

/// Waits until the box says that its certificate stands so.
async fn stands(appliance: &Appliance, state: &str) -> Value {
    eventually(&format!("the certificate is {state}"), async || {
        let acme = appliance.api.status().await["acme"].clone();
        (acme["state"] == state).then_some(acme)
    })
    .await
}

/// Posts a webhook under this name as somebody who trusts the authority; gives the status.
async fn post(pebble: &Pebble, site: &Site, name: &str) -> u16 {
    let (client, body) = (pebble.client(site, name).await, b"{}".to_vec());
    let request = client.post(format!("https://{name}:{}/webhook", site.webhook_port));
    let request = request.header(hub::HEADER, secret().sign(&body)).body(body);
    request.send().await.unwrap().status().as_u16()
}

fn kept(site: &Site, file: &str) -> Value {
    let text = std::fs::read_to_string(site.store.join("tls/acme").join(file)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["content"].clone()
}

#[test]
fn a_certificate_for_two_names_is_got_on_the_public_listener_and_survives_the_authority() {
    run(async {
        let mut site = Site::without_crm();
        site.environment.push(("WAGATE_CONFINE".into(), "1".into()));
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME").await else { return };
        site.tls = pebble.tls(&["shop.example.com", NAME], "");
        pebble.start().await;
        let appliance = Appliance::start(&site).await;
        let acme = stands(&appliance, "valid").await;
        assert_eq!(acme["names"], serde_json::json!([NAME, "shop.example.com"]));
        assert_eq!((&acme["last_error"], &acme["failures"]), (&Value::Null, &0.into()));
        for name in [NAME, "shop.example.com"] {
            assert_eq!(post(&pebble, &site, name).await, 200, "{name}");
        }
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());
        assert_eq!(appliance.api.metric("wagate_certificate_renewals_total", "issued").await, 1.0);
        assert_eq!(appliance.api.metric("wagate_certificate_renewal_failing", "").await, 0.0);
        let left = appliance.api.metric("wagate_certificate_expiry_seconds", "").await;
        assert!(left > 80.0 * 86_400.0, "{left}");
        let account = kept(&site, "account.json");
        assert_eq!(account["contact"], "mailto:it@example.com");
        assert!(account["url"].is_string() && acme["account"] == account["url"], "{acme}");
        assert!(!site.store.join("tls/acme/order.json").exists(), "the order is over");
        let page =
            String::from_utf8(wagate(&["status", "--config", &site.config_argument()]).stdout).unwrap();
        assert!(page.contains("\nacme          valid, renewed from "), "{page}");
        assert!(
            page.contains(&format!("\n{:14}account {}\n", "", acme["account"].as_str().unwrap())),
            "{page}"
        );

        let before = peer_certificate(site.webhook_port).await;
        appliance.stop().await;
        pebble.stop();
        let appliance = Appliance::start(&site).await;
        assert_eq!(peer_certificate(site.webhook_port).await, before, "served while the authority is away");
        appliance.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(300)).await;
        stands(&appliance, "valid").await;
        assert_eq!(pebble.orders(), 1);
        appliance.stop().await;
    });
}

#[test]
fn names_are_proved_on_port_80_where_that_is_opened() {
    run(async {
        let mut site = Site::without_crm();
        site.environment.push(("WAGATE_CONFINE".into(), "1".into()));
        let http = port();
        let Some(mut pebble) = Pebble::of(&site, http, "ACME by HTTP-01").await else { return };
        site.tls = pebble.tls(&[NAME], &format!(", http_listen = \"127.0.0.1:{http}\""));
        pebble.start().await;
        let appliance = Appliance::start(&site).await;
        stands(&appliance, "valid").await;
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        assert_eq!(appliance.api.metric("wagate_connections_total", "\"challenge\"").await, 0.0);
        let url = format!("http://127.0.0.1:{http}/.well-known/acme-challenge/x");
        let answer = plain().get(url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("server")), (404, None));
        appliance.stop().await;
    });
}

#[test]
fn an_authority_that_refuses_many_nonces_is_asked_again() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME with bad nonces").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        pebble.environment.push(("PEBBLE_WFE_NONCEREJECT", "30"));
        pebble.start().await;
        let appliance = Appliance::start(&site).await;
        stands(&appliance, "valid").await;
        assert_eq!(appliance.api.metric("wagate_certificate_renewals_total", "failed").await, 0.0);
        assert_eq!(pebble.orders(), 1);
        appliance.stop().await;
    });
}

#[test]
fn a_box_whose_authority_is_away_comes_up_says_so_and_gets_it_later() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME without an authority").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        let appliance = Appliance::start(&site).await;
        let acme = stands(&appliance, "missing").await;
        assert!(acme["last_error"].as_str().unwrap().contains("can't be reached"), "{acme}");
        assert!(acme["next_attempt_at"].is_string() && acme["renews_at"].is_null(), "{acme}");
        let alarms = appliance.api.alarms().await;
        assert!(alarms.len() == 1 && alarms[0].contains("hasn't given a certificate yet"), "{alarms:?}");
        assert_eq!(appliance.api.metric("wagate_certificate_renewal_failing", "").await, 1.0);
        let found = wagate(&["doctor", "--config", &site.config_argument()]);
        let found = String::from_utf8(found.stdout).unwrap();
        assert!(found.contains("can't be reached") && found.contains("there is none yet"), "{found}");
        pebble.start().await;
        tokio::time::sleep(GAP).await;
        appliance.signal(Signal::HUP);
        stands(&appliance, "valid").await;
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());
        appliance.stop().await;
    });
}

#[test]
fn an_authority_that_says_no_is_understood_and_left_alone() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME refused").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        pebble.start().await;
        // Where somebody else answers under the name: nobody at all.
        pebble.let_names_lead_to("127.9.9.9").await;
        let begun = Instant::now();
        let appliance = Appliance::start(&site).await;
        let acme = stands(&appliance, "missing").await;
        let words = acme["last_error"].as_str().unwrap();
        assert!(words.contains("box.example.com") && words.contains("127.9.9.9"), "{words}");
        assert!(acme["next"].as_str().unwrap().contains("lead to this box"), "{acme}");
        // After a refusal it would be left alone for minutes.
        let is_soon = |acme: &Value| {
            let in_a_minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
            let in_a_minute = WallTime::from_seconds(i64::try_from(in_a_minute.as_secs()).unwrap());
            acme["next_attempt_at"].as_str().is_some_and(|at| at < in_a_minute.rfc3339_seconds().as_str())
        };
        assert!(!is_soon(&acme), "{acme}");
        for _ in 0..3 {
            let before = pebble.orders();
            appliance.signal(Signal::HUP);
            eventually("who is in a hurry is heard", async || {
                let acme = appliance.api.status().await["acme"].clone();
                (is_soon(&acme) || pebble.orders() > before).then_some(())
            })
            .await;
        }
        let orders = pebble.orders() as u64;
        assert!(
            orders <= 1 + begun.elapsed().as_secs() / GAP.as_secs(),
            "people in a hurry are bounded, too: {orders}"
        );
        appliance.stop().await;

        pebble.stop();
        pebble.blocked = vec!["blocked.example.com"];
        pebble.start().await;
        site.tls = pebble.tls(&["blocked.example.com"], "");
        let appliance = Appliance::start(&site).await;
        let refused = eventually("another word of the authority", async || {
            let acme = appliance.api.status().await["acme"].clone();
            acme["last_error"]
                .as_str()
                .filter(|words| words.contains("rejectedIdentifier"))
                .map(str::to_owned)
        });
        assert!(refused.await.contains("blocked.example.com"));
        appliance.stop().await;
    });
}

#[test]
fn a_restart_between_order_and_issue_goes_on_with_the_order() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME cut short").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        pebble.start().await;
        pebble.hold_names(true);
        let appliance = Appliance::start(&site).await;
        let order = site.store.join("tls/acme/order.json");
        eventually("the order is on disk", async || order.exists().then_some(())).await;
        let key = kept(&site, "order.json")["key"].clone();
        appliance.kill();
        let appliance = Appliance::start(&site).await;
        // It died of it, for all that it knows, and would wait a minute.
        appliance.signal(Signal::HUP);
        // What the first process has said is in a log of its own.
        eventually("the names are answered for again", async || {
            appliance.log.find("the certificate authority may look")
        })
        .await;
        pebble.hold_names(false);
        stands(&appliance, "valid").await;
        assert_eq!(pebble.orders(), 1, "no second order");
        assert_eq!(kept(&site, "certificate.json")["key"], key);
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        appliance.stop().await;
    });
}

#[test]
fn a_certificate_is_renewed_under_way_and_an_ended_one_is_still_served() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME renewal").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        pebble.validity = 9;
        pebble.start().await;
        let appliance = Appliance::start(&site).await;
        stands(&appliance, "valid").await;
        let first = peer_certificate(site.webhook_port).await;
        let account = kept(&site, "account.json")["url"].clone();
        assert!(account.is_string());
        let _open = connect(site.webhook_port).await;
        eventually("it is renewed", async || {
            (peer_certificate(site.webhook_port).await != first).then_some(())
        })
        .await;
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        assert_eq!(kept(&site, "account.json")["url"], account, "the account stays");
        pebble.stop();
        let last = peer_certificate(site.webhook_port).await;
        eventually("an alarm", async || {
            let alarms = appliance.api.alarms().await;
            alarms.iter().any(|alarm| alarm.contains("the certificate has ended at")).then_some(())
        })
        .await;
        assert_eq!(peer_certificate(site.webhook_port).await, last);
        appliance.stop().await;
        let appliance = Appliance::start(&site).await;
        assert_eq!(peer_certificate(site.webhook_port).await, last, "an ended one is better than none");
        appliance.stop().await;
    });
}

#[test]
fn a_certificate_is_renewed_when_the_authority_wants_it() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME renewal information").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        let Some(mut clock) = Faketime::of(&mut site, "ACME renewal information") else { return };
        let advisor = pebble.advisor().await;
        pebble.start().await;
        let appliance = Appliance::start(&site).await;
        stands(&appliance, "valid").await;
        let first = peer_certificate(site.webhook_port).await;
        advisor.advise(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
        appliance.signal(Signal::HUP);
        let acme = eventually("the advice is taken", async || {
            let acme = appliance.api.status().await["acme"].clone();
            (acme["by_advice"] == true).then_some(acme)
        })
        .await;
        assert_eq!(acme["state"], "valid", "two days lie between two certificates: {acme}");
        let known = ingress::authority_and_serial(&first).unwrap();
        let encode = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
        };
        let known = format!("{}.{}", encode(known.authority), encode(known.serial));
        let known = vec![known];
        assert_eq!(advisor.asked_for(), known);
        let choice = kept(&site, "renewal.json")["choice"].clone();
        appliance.stop().await;
        let appliance = Appliance::start(&site).await;
        assert_eq!(kept(&site, "renewal.json")["choice"], choice, "chosen once");
        assert_eq!(appliance.api.status().await["acme"]["by_advice"], true);
        appliance.stop().await;

        // Two of its ninety days are over, and it is told what the new one replaces.
        clock.set(&site, 49 * 3_600);
        let appliance = Appliance::start(&site).await;
        eventually("it is renewed", async || {
            (peer_certificate(site.webhook_port).await != first).then_some(())
        })
        .await;
        let acme = stands(&appliance, "valid").await;
        assert_eq!(acme["by_advice"], false, "that was about the one before: {acme}");
        assert_eq!((advisor.replaced(), pebble.orders()), (known, 2));
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        appliance.stop().await;
    });
}

#[test]
fn a_clock_that_is_wrong_by_years_costs_one_certificate() {
    run(async {
        let mut site = Site::without_crm();
        let Some(mut pebble) = Pebble::of(&site, port(), "ACME by a wrong clock").await else { return };
        site.tls = pebble.tls(&[NAME], "");
        let Some(mut clock) = Faketime::of(&mut site, "ACME by a wrong clock") else { return };
        pebble.start().await;
        // In 1970 the authority's own certificate isn't valid yet.
        clock.set(&site, -1_795_000_000);
        let appliance = Appliance::start(&site).await;
        let acme = stands(&appliance, "missing").await;
        assert!(acme["last_error"].as_str().unwrap().contains("can't be reached"), "{acme}");
        // Nobody says that the clock was set; the box sees it. What it gets now seems to have ended long ago.
        clock.set(&site, 10 * 31_557_600);
        stands(&appliance, "valid").await;
        appliance.stop().await;
        let appliance = Appliance::start(&site).await;
        stands(&appliance, "valid").await;
        clock.set(&site, 0);
        appliance.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(500)).await;
        stands(&appliance, "valid").await;
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());
        assert_eq!(pebble.orders(), 1);
        assert_eq!(post(&pebble, &site, NAME).await, 200);
        appliance.stop().await;
    });
}
