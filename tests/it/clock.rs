//! A clock that jumps by a day and by years, forward and back: nothing is lost, expires or comes
//! twice, and the order holds. `libfaketime` (Debian's package `faketime`) moves the clock of the
//! real program; the monotonic one is left alone, as on a real machine.

use reqwest::Method;
use simulate::crm::{Behaviour, Keep};
use simulate::whatsapp::{Pace, PayloadOptions, Payloads};

use crate::harness::{
    Appliance, Faketime, Ledger, Load, Poster, Site, crm, eventually, peer_certificate, run, true_time,
};

/// Jumps in seconds from the true time.
const JUMPS: [(&str, i64); 7] = [
    ("a day ahead", 86_400),
    ("ten years ahead", 10 * 31_557_600),
    ("back to the truth", 0),
    ("a day back", -86_400),
    ("six years back", -6 * 31_557_600),
    ("to 1970", -1_795_000_000),
    ("back to the truth again", 0),
];

#[test]
fn a_clock_that_jumps_loses_repeats_and_expires_nothing() {
    run(async {
        let crm = crm(Keep::Counters, false);
        let mut site = Site::new(&crm);
        site.store_keys = "history = \"30d\"".into();
        let Some(mut clock) = Faketime::of(&mut site, "the jumping clock") else { return };
        let poster = Poster::new(&site);
        let mut appliance = Appliance::start(&site).await;
        let options = |seed| PayloadOptions { seed, contacts: 40, ..PayloadOptions::default() };
        let mut reports = Vec::new();
        // One contact's messages over all the jumps, each sent again after each later jump.
        let repeated: Vec<_> =
            Payloads::new(PayloadOptions { contacts: 1, ..options(7) }).take(JUMPS.len()).collect();
        let mut duplicates = 0;

        for (round, (name, seconds)) in JUMPS.into_iter().enumerate() {
            let load = Load::start(&site, &options(200 + round as u64), 4, Pace::PerSecond(200.0), None);
            eventually("webhooks before the jump", async || (load.acked() >= 60).then_some(())).await;
            // What waits while the clock jumps.
            if round % 2 == 0 {
                crm.behave(Behaviour::Down).await;
            }
            clock.set(&site, seconds);
            let year = eventually("the program sees the jump", async || {
                let now = appliance.api.status().await["now"].as_str().unwrap().to_owned();
                let year: i64 = now[..4].parse().unwrap();
                let expected = 1970 + (true_time() + seconds) / 31_556_952;
                (year - expected).abs().le(&1).then_some(now)
            })
            .await;
            let acked = load.acked();
            eventually("webhooks after the jump", async || (load.acked() >= acked + 60).then_some(())).await;
            let sent = round + 1;
            for body in &repeated[..sent] {
                assert_eq!(poster.status(body.bytes.clone()).await, 200);
            }
            duplicates += sent as u64 - 1;
            assert!(!peer_certificate(site.webhook_port).await.is_empty(), "TLS is served");
            assert_eq!(appliance.api.ask(Method::GET, "/readyz").await.unwrap().status(), 200);
            crm.behave(Behaviour::Ok).await;
            reports.push(load.stop().await);
            appliance.api.drained().await;
            // A restart under the wrong clock.
            let known = appliance.api.status().await["records"]["duplicates"].as_u64().unwrap();
            assert_eq!(known, sent as u64 - 1, "duplicates recognised since the last start");
            if round % 3 == 0 {
                appliance.stop().await;
            } else {
                appliance.kill();
            }
            appliance = Appliance::start(&site).await;
            println!("clock: {name}: it said {year}, ready again after {:?}", appliance.ready_after);
        }

        let ledger = Ledger::pull(&appliance.api).await;
        let page = appliance.api.get("/v1/records?limit=1").await;
        assert_eq!(page["oldest"].as_str().unwrap().parse(), Ok(1_u64), "something has expired");
        let source = PayloadOptions::default().source();
        let mine: Vec<_> =
            repeated.iter().map(|body| ledger.sequence(&source, &body.items[0].id).unwrap()).collect();
        assert!(mine.is_sorted(), "{mine:?}");
        let sent: u64 = reports.iter().map(|report| report.acked_items).sum();
        assert_eq!(ledger.len() as u64, sent + repeated.len() as u64);
        for report in &reports {
            assert_eq!(report.unacknowledged.len(), 0);
            assert!(report.acknowledged_ids().all(|id| ledger.sequence(&source, id).is_some()));
        }
        ledger.assert_delivered(&crm);
        assert_eq!(appliance.api.status().await["backlog"]["dead_letters"], 0);
        let totals = crm.totals();
        println!(
            "clock: {} records, {duplicates} duplicates recognised, {} delivered again",
            ledger.len(),
            totals.taken - totals.records
        );
        appliance.stop().await;
    });
}
