//! Signals: a drain on SIGTERM, a pause, and new secrets and certificates without a restart.

use std::time::{Duration, Instant};

use model::signature::hub::AppSecret;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use simulate::crm::{Behaviour, Keep};
use simulate::whatsapp::{Pace, PayloadOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    Appliance, Ledger, Load, Poster, Site, connect, crm, eventually, peer_certificate, run,
};

/// The contract's 10 s for a drain, and what a busy machine takes to close the store and end. Without a bound the
/// half request would be waited for, 30 s.
const DRAIN_MAX: Duration = Duration::from_secs(16);
/// Sooner than a drain that waits for its time to run out, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(8);

fn options(seed: u64) -> PayloadOptions {
    PayloadOptions { seed, contacts: 50, ..PayloadOptions::default() }
}

async fn acked(load: &Load, more: u64) {
    let before = load.acked();
    eventually("webhooks are acknowledged", async || (load.acked() >= before + more).then_some(())).await;
}

#[test]
fn sigterm_drains_and_loses_nothing_though_the_crm_hangs() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let site = Site::new(&crm);
        let mut appliance = Appliance::start(&site).await;
        let load = Load::start(&site, &options(11), 6, Pace::PerSecond(300.0), None);
        acked(&load, 100).await;
        crm.behave(Behaviour::Hang).await;
        acked(&load, 100).await;

        // An idle connection, and one whose body doesn't come.
        let idle = connect(site.webhook_port).await;
        let mut half = connect(site.webhook_port).await;
        half.write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            .await
            .unwrap();
        half.flush().await.unwrap();

        let start = Instant::now();
        appliance.signal(Signal::TERM);
        let status = appliance.exit(Duration::from_secs(20)).await;
        let took = start.elapsed();
        println!("stop: drained in {took:?} with an idle connection and half a request");
        assert_eq!(status.code(), Some(0));
        assert!(took < DRAIN_MAX, "{took:?}");
        assert!(appliance.log.find("stopped").is_some());
        drop((appliance, idle, half));

        crm.behave(Behaviour::Ok).await;
        let appliance = Appliance::start(&site).await;
        acked(&load, 50).await;
        let report = load.stop().await;
        appliance.api.drained().await;
        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&options(11).source(), &[&report]);
        ledger.assert_delivered(&crm);
        let took = appliance.stop().await;
        println!("stop: drained in {took:?} with nothing to do");
        assert!(took < AT_ONCE, "{took:?}");
    });
}

#[test]
fn a_request_in_flight_is_answered_during_the_drain() {
    run(async {
        let site = Site::without_crm();
        let mut appliance = Appliance::start(&site).await;
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        let signature = crate::harness::secret().sign(body);
        let mut stream = connect(site.webhook_port).await;
        let head = format!(
            "POST /webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..10]).await.unwrap();
        stream.flush().await.unwrap();
        eventually("the head is read", async || {
            (appliance.api.metric("wagate_webhook_body_bytes_in_flight", "").await > 0.0).then_some(())
        })
        .await;
        appliance.signal(Signal::TERM);
        eventually("the drain begins", async || appliance.log.find("draining")).await;
        stream.write_all(&body[10..]).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert_eq!(appliance.exit(AT_ONCE).await.code(), Some(0));
        drop(appliance);
        let appliance = Appliance::start(&site).await;
        assert_eq!(Ledger::pull(&appliance.api).await.len(), 1);
    });
}

#[test]
fn told_twice_it_leaves_at_once() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let site = Site::new(&crm);
        let mut appliance = Appliance::start(&site).await;
        // What keeps the drain from ending.
        let mut half = connect(site.webhook_port).await;
        half.write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            .await
            .unwrap();
        half.flush().await.unwrap();
        let load = Load::start(&site, &options(12), 4, Pace::PerSecond(300.0), None);
        acked(&load, 100).await;
        appliance.signal(Signal::TERM);
        eventually("the drain begins", async || appliance.log.find("draining")).await;
        let start = Instant::now();
        appliance.signal(Signal::TERM);
        appliance.exit(AT_ONCE).await;
        println!("stop: told twice, left after {:?}", start.elapsed());
        assert!(appliance.log.find("told twice").is_some());
        drop(appliance);

        let appliance = Appliance::start(&site).await;
        acked(&load, 10).await;
        let report = load.stop().await;
        appliance.api.drained().await;
        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&options(12).source(), &[&report]);
        ledger.assert_delivered(&crm);
    });
}

#[test]
fn a_pause_is_only_a_pause() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let site = Site::new(&crm);
        let appliance = Appliance::start(&site).await;
        let load = Load::start(&site, &options(13), 4, Pace::PerSecond(300.0), None);
        for _ in 0..3 {
            acked(&load, 50).await;
            appliance.signal(Signal::STOP);
            let before = load.acked();
            // The pause itself: nothing can be waited for while the program stands still.
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(load.acked() <= before + 4, "a stopped program answers");
            appliance.signal(Signal::CONT);
        }
        acked(&load, 100).await;
        let report = load.stop().await;
        assert_eq!((report.broken, report.unreachable, report.refused.len()), (0, 0, 0), "{report:?}");
        appliance.api.drained().await;
        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&options(13).source(), &[&report]);
        ledger.assert_delivered(&crm);
        appliance.stop().await;
    });
}

#[test]
fn the_app_secret_is_rotated_under_load() {
    run(async {
        let mut site = Site::without_crm();
        site.app_secret = "[\"file:app_secret\", \"file:app_secret_new\"]".into();
        site.put("app_secret_new", b"not the new one yet");
        let appliance = Appliance::start(&site).await;
        let load = Load::start(&site, &options(14), 2, Pace::PerSecond(100.0), None);
        acked(&load, 20).await;

        let poster = Poster::new(&site);
        let new = AppSecret::new(b"the new secret");
        let send = async |body: &'static str| {
            poster.post_signed(body, &new.sign(body.as_bytes())).await.unwrap().status().as_u16()
        };
        assert_eq!(send("{\"first\":1}").await, 401);
        site.put("app_secret_new", b"the new secret\n");
        appliance.signal(Signal::HUP);
        eventually("the new secret counts", async || (send("{\"second\":2}").await == 200).then_some(()))
            .await;
        // The old one still does.
        acked(&load, 20).await;

        site.put("app_secret", b"the new secret");
        appliance.signal(Signal::HUP);
        let old = "{\"third\":3}";
        eventually("the old secret doesn't count", async || (poster.status(old).await == 401).then_some(()))
            .await;
        let refused = load.stop().await.refused;
        // 429 for an address that goes on with wrong signatures.
        assert!(refused.keys().all(|status| [401, 429].contains(status)), "{refused:?}");

        // A secret that can't be read changes nothing.
        std::fs::remove_file(site.path().join("app_secret")).unwrap();
        appliance.signal(Signal::HUP);
        eventually("it is said", async || appliance.log.find("couldn't be read again")).await;
        assert_eq!(send("{\"fourth\":4}").await, 200);
        appliance.stop().await;
    });
}

#[test]
fn a_certificate_is_replaced_and_garbage_is_not_taken() {
    run(async {
        let mut site = Site::without_crm();
        site.tls = "certificate = \"cert.pem\"\nkey = \"key.pem\"".into();
        let first = certificate(&site);
        let appliance = Appliance::start(&site).await;
        assert_eq!(peer_certificate(site.webhook_port).await, first);

        // By SIGHUP.
        let second = certificate(&site);
        appliance.signal(Signal::HUP);
        let port = site.webhook_port;
        eventually("the second certificate is shown", async || {
            (peer_certificate(port).await == second).then_some(())
        })
        .await;

        // Garbage: the second stays, and it is said.
        site.put("cert.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        appliance.signal(Signal::HUP);
        eventually("an alarm", async || {
            let alarms = appliance.api.alarms().await;
            alarms.iter().any(|alarm| alarm.contains("certificate")).then_some(())
        })
        .await;
        assert_eq!(peer_certificate(port).await, second);
        assert_eq!(Poster::new(&site).status("{}").await, 200);

        // By itself, and the alarm goes.
        let third = certificate(&site);
        eventually("the third certificate is shown without being told", async || {
            (peer_certificate(port).await == third).then_some(())
        })
        .await;
        eventually("the alarm goes", async || appliance.api.alarms().await.is_empty().then_some(())).await;
        appliance.stop().await;
    });
}

/// Puts a new certificate with its key into the site; gives its DER.
fn certificate(site: &Site) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["box.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    site.put("key.pem", key.serialize_pem().as_bytes());
    site.put("cert.pem", certificate.pem().as_bytes());
    certificate.der().to_vec()
}
