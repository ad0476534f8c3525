//! Killed at random moments under load, with a CRM that fails and recovers meanwhile: nothing that
//! was acknowledged is lost, nothing is invented, and the order per contact holds.

use std::time::{Duration, Instant};

use simulate::Random;
use simulate::crm::{Keep, chaos};
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::{Appliance, Ledger, Load, Site, crm, eventually, run, seed, words};

const KILLS: u64 = 10;
/// Between two kills, beside the restart.
const ALIVE_MS: (u64, u64) = (150, 1_600);
/// What half of the starts may add at most, for a log that is read again and a load that knocks at once, to one that takes
/// up to thrice as long as the first, of an empty store, as starts on two busy cores do.
const READY_MAX: Duration = Duration::from_secs(1);

#[test]
fn nothing_acknowledged_is_lost_whenever_the_program_is_killed() {
    run(async {
        let seed = seed("crash");
        let mut random = Random::new(seed);
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        // A small log, so that it goes round and is folded often, and is killed while that is done.
        site.store_keys = "log_segment = \"5MiB\"\nlog_segments = 3".into();
        site.crm_keys = "timeout = \"1s\"".into();
        let options = PayloadOptions {
            seed,
            contacts: 200,
            batch_percent: 5,
            duplicate_percent: 3,
            ..PayloadOptions::default()
        };

        let mut appliance = Appliance::start(&site).await;
        let mut starts = vec![appliance.ready_after];
        let load = Load::start(&site, &options, 8, Pace::PerSecond(900.0), None);
        crm.misbehave(chaos(random.next_u64(), Duration::from_secs(3_600)));
        for kill in 1..=KILLS {
            let alive = Duration::from_millis(ALIVE_MS.0 + random.below(ALIVE_MS.1 - ALIVE_MS.0));
            let (until, acked) = (Instant::now() + alive, load.acked());
            eventually("the load goes on", async || {
                (Instant::now() >= until && load.acked() > acked).then_some(())
            })
            .await;
            appliance.kill();
            appliance = Appliance::start(&site).await;
            starts.push(appliance.ready_after);
            println!("kill {kill} after {alive:?}, ready again after {:?}", appliance.ready_after);
        }
        let report = load.stop().await;
        crm.behave(simulate::crm::Behaviour::Ok).await;
        appliance.api.drained().await;
        appliance.secret_words = words(report.acknowledged.iter().flat_map(|webhook| webhook.items.iter()));

        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&PayloadOptions::default().source(), &[&report]);
        ledger.assert_delivered(&crm);
        let status = appliance.api.status().await;
        assert_eq!(status["backlog"]["dead_letters"], 0);
        assert_eq!(status["disk"]["damage"], 0, "a kill leaves no damage");
        let totals = crm.totals();
        let first = starts[0];
        starts.sort_unstable();
        let median = starts[starts.len() / 2];
        println!(
            "crash: {KILLS} kills, {} webhooks acknowledged ({} items), {} broken, {} records, {} delivered, {} of them again, starts {starts:?}, half of them within {median:?}",
            report.acked,
            report.acked_items,
            report.broken,
            ledger.len(),
            totals.taken,
            totals.taken - totals.records,
        );
        assert!(report.broken + report.unreachable > 0, "the kills weren't felt");
        assert!(median < 3 * first + READY_MAX, "{starts:?}, the first {first:?}");
        appliance.stop().await;
    });
}
