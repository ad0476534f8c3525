//! Memory and start-up time don't grow with the backlog.

use std::time::{Duration, Instant};

use simulate::crm::{Behaviour, Keep};
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::{Appliance, Load, Site, crm, run_within, within};

/// Records in the ordinary run; `WAGATE_LONG=1` takes the million.
const RECORDS: u64 = 60_000;
const RECORDS_LONG: u64 = 1_000_000;
/// Items of one webhook, Meta's own bound.
const BATCH: u32 = 1_000;
const CONNECTIONS: u32 = 4;
/// What a backlog may add to a start that takes up to thrice as long, as starts on two busy cores do.
const READY_MAX: Duration = Duration::from_secs(1);
/// What a box with a backlog may take on top of one without: 8 MiB read ahead for delivery, 8 MiB of
/// redb's cache, and the log's tail with the hashes that belong to it.
const MEMORY_MAX: u64 = 24 << 20;

#[test]
fn neither_start_up_nor_memory_grow_with_the_backlog() {
    let long = std::env::var("WAGATE_LONG").is_ok_and(|long| long == "1");
    let (records, patience) =
        if long { (RECORDS_LONG, Duration::from_secs(3_000)) } else { (RECORDS, Duration::from_secs(170)) };
    run_within(patience, async move {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.store_keys = "max_size = \"8GiB\"".into();

        // A store in which nothing waits, before and after some work: what code, threads and buffers
        // take anyway.
        let mut empty_starts = Vec::new();
        for _ in 0..3 {
            let appliance = Appliance::start(&site).await;
            empty_starts.push(appliance.ready_after);
            appliance.kill();
        }
        let appliance = Appliance::start(&site).await;
        let idle = appliance.memory("VmRSS");
        let few = PayloadOptions { seed: 60, ..PayloadOptions::default() };
        let before = Load::start(&site, &few, CONNECTIONS, Pace::Saturate, Some(1_000)).finish().await;
        appliance.api.drained().await;
        let empty = appliance.memory("VmRSS");
        println!(
            "backlog: memory {} KiB idle, {} KiB with work and nothing waiting",
            idle >> 10,
            empty >> 10
        );

        crm.behave(Behaviour::Down).await;
        let options = PayloadOptions {
            contacts: 2_000,
            batch_percent: 100,
            batch_items_max: BATCH,
            seed: 61,
            ..PayloadOptions::default()
        };
        // 501 items on average.
        let each = usize::try_from(records / 501 / u64::from(CONNECTIONS) + 1).unwrap();
        let start = Instant::now();
        let report = Load::start(&site, &options, CONNECTIONS, Pace::Saturate, Some(each)).finish().await;
        assert!(report.is_complete(), "{:?}", report.refused);
        let taken = appliance.api.backlog().await;
        println!(
            "backlog: {taken} records taken in {:?}, memory {} KiB, at most {} KiB",
            start.elapsed(),
            appliance.memory("VmRSS") >> 10,
            appliance.memory("VmHWM") >> 10
        );
        assert!(taken >= records * 8 / 10, "{taken}");
        let status = appliance.api.status().await;
        println!("backlog: {}", status["disk"]);

        appliance.kill();
        let mut starts = Vec::new();
        for _ in 0..2 {
            let appliance = Appliance::start(&site).await;
            starts.push(appliance.ready_after);
            appliance.kill();
        }
        let appliance = Appliance::start(&site).await;
        starts.push(appliance.ready_after);
        assert_eq!(appliance.api.backlog().await, taken);
        let full = appliance.memory("VmRSS");
        println!(
            "backlog: ready after {starts:?} with {taken} records waiting, {empty_starts:?} with none; memory {} KiB, {} KiB",
            full >> 10,
            empty >> 10
        );
        starts.sort_unstable();
        empty_starts.sort_unstable();
        assert!(starts[1] < 3 * empty_starts[1] + READY_MAX, "{starts:?}, {empty_starts:?} with none");

        // Delivery reads ahead within its bounds.
        let start = Instant::now();
        crm.behave(Behaviour::Ok).await;
        let some = (taken / 4).min(20_000);
        within(patience, "delivery is under way", async || {
            (crm.totals().records > before.acked_items + some).then_some(())
        })
        .await;
        let reading = appliance.memory("VmRSS");
        println!(
            "backlog: memory {} KiB while it drains, {} KiB of it anonymous",
            reading >> 10,
            appliance.memory("RssAnon") >> 10
        );
        within(patience, "the backlog drains", async || (appliance.api.backlog().await == 0).then_some(()))
            .await;
        println!(
            "backlog: drained in {:?}, memory at most {} KiB",
            start.elapsed(),
            appliance.memory("VmHWM") >> 10
        );
        let source = PayloadOptions::default().source();
        let acknowledged = before.acknowledged_ids().chain(report.acknowledged_ids());
        let missing = crm.missing(&source, acknowledged);
        assert!(missing.is_empty(), "{} of {taken} are missing", missing.len());
        crm.look(|observed| assert!(observed.is_clean(), "{:#?}", observed.complaints()));
        assert_eq!(crm.totals().records, before.acked_items + taken);
        assert!(full < empty + MEMORY_MAX, "{full} bytes with a backlog, {empty} without");
        assert!(reading < empty + MEMORY_MAX, "{reading} bytes while reading, {empty} without a backlog");
        appliance.stop().await;
    });
}
