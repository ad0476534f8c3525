//! A disk that is really full, and a budget that is: webhooks get 503, nothing acknowledged is lost,
//! and intake resumes by itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use simulate::Random;
use simulate::crm::{Behaviour, Crm, Keep};
use simulate::whatsapp::{Pace, PayloadOptions, Report};

use crate::harness::{Appliance, Ledger, Load, Poster, Site, crm, eventually, run, skip, within};

/// A file system of its own, gone with this value.
pub(crate) struct Small(PathBuf);

impl Small {
    pub(crate) fn mount(site: &Site, megabytes: u32) -> Option<Self> {
        let path = site.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let size = std::ffi::CString::new(format!("size={megabytes}m")).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), size.as_c_str()).ok().map(|()| Self(path))
    }

    fn free(&self) -> u64 {
        let known = rustix::fs::statvfs(&self.0).unwrap();
        known.f_bavail * known.f_frsize
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all the room that there is, as some other program might; once more what has become free since.
    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::options().create(true).append(true).open(self.foreign()).unwrap();
        let block = vec![7; 64 * 1024];
        while file.write_all(&block).is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.foreign()).unwrap();
    }

    fn foreign(&self) -> PathBuf {
        self.0.join("foreign")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

fn options(seed: u64) -> PayloadOptions {
    PayloadOptions { seed, contacts: 300, batch_percent: 20, ..PayloadOptions::default() }
}

/// Webhooks of this size, which nothing can compress, fill a disk in seconds.
const FILLER_BYTES: usize = 120_000;

pub(crate) fn filler(random: &mut Random) -> Vec<u8> {
    let numbers = (0..FILLER_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes());
    numbers.map(|byte| b'!' + byte % 90).collect()
}

/// A stream of webhooks that goes on trying while the disk is full, and the fillers that were
/// acknowledged until then.
struct Full {
    load: Load,
    fillers: u64,
}

/// Sends until webhooks are refused with 503.
async fn until_refused(site: &Site, seed: u64) -> Full {
    let load = Load::start(site, &options(seed), 4, Pace::PerSecond(150.0), None);
    let poster = Poster::new(site);
    let mut random = Random::new(seed);
    let mut fillers = 0;
    within(Duration::from_secs(100), "webhooks are refused", async || {
        let answer = poster.post(filler(&mut random)).await.unwrap();
        if answer.status() == 200 {
            fillers += 1;
            return None;
        }
        assert_eq!(answer.status(), 503);
        let after = answer.headers().get("retry-after").expect("Retry-After").to_str().unwrap();
        assert!((1..=3_600).contains(&after.parse::<u32>().unwrap()), "{after}");
        Some(())
    })
    .await;
    Full { load, fillers }
}

/// The CRM is back: everything goes out, and intake has resumed by itself.
async fn recovers(site: &Site, crm: &Crm, appliance: &Appliance, load: Load) -> Report {
    let acked = load.acked();
    crm.behave(Behaviour::Ok).await;
    within(Duration::from_secs(100), "intake resumes", async || (load.acked() > acked + 20).then_some(()))
        .await;
    let report = load.stop().await;
    assert_eq!(report.unacknowledged.len(), 0, "what was refused comes in afterwards");
    appliance.api.drained().await;
    eventually("the alarm goes", async || {
        let alarms = appliance.api.alarms().await;
        (!alarms.iter().any(|alarm| alarm.contains("full") || alarm.contains("max_size"))).then_some(())
    })
    .await;
    assert_eq!(Poster::new(site).status("{\"after\": 1}").await, 200);
    report
}

/// What was acknowledged is with the CRM, under an order that it finds right.
fn assert_delivered(crm: &Crm, reports: &[&Report], fillers: u64) {
    let source = PayloadOptions::default().source();
    for report in reports {
        let missing = crm.missing(&source, report.acknowledged_ids());
        assert!(missing.is_empty(), "{} acknowledged and not delivered", missing.len());
    }
    crm.look(|observed| {
        assert!(observed.is_clean(), "{:#?}", observed.complaints());
        let webhooks: u64 = reports.iter().map(|report| report.acked_items).sum();
        let records = observed.totals().records;
        assert!(records >= webhooks + fillers, "{records} of {webhooks} and {fillers} fillers");
    });
}

/// Delivered history, some of which has to give way later.
async fn history(site: &Site, appliance: &Appliance, seed: u64) -> Report {
    let options = PayloadOptions { batch_percent: 90, batch_items_max: 60, ..options(seed) };
    let report = Load::start(site, &options, 2, Pace::Saturate, Some(30)).finish().await;
    appliance.api.drained().await;
    report
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(
            |entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() },
        )
        .sum()
}

#[test]
fn a_full_disk_refuses_webhooks_and_recovers_by_itself() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        let Some(small) = Small::mount(&site, 64) else {
            return skip("the full disk", "a tmpfs can only be mounted as root");
        };
        site.store = small.0.join("store");
        site.store_keys = "log_segment = \"5MiB\"\nlog_segments = 2".into();
        let appliance = Appliance::start(&site).await;
        let before = history(&site, &appliance, 31).await;
        crm.behave(Behaviour::Down).await;
        let Full { load, fillers } = until_refused(&site, 32).await;
        println!(
            "disk: refused with {} MiB free, {} webhooks and {fillers} fillers acknowledged",
            small.free() >> 20,
            load.acked()
        );
        assert_eq!(appliance.api.ask(Method::GET, "/readyz").await.unwrap().status(), 200);
        eventually("an alarm", async || {
            appliance.api.alarms().await.iter().any(|alarm| alarm.contains("disk is full")).then_some(())
        })
        .await;

        // A power cut meanwhile changes nothing.
        appliance.kill();
        let appliance = Appliance::start(&site).await;
        println!("disk: ready again on the full disk after {:?}", appliance.ready_after);
        let report = recovers(&site, &crm, &appliance, load).await;
        assert_delivered(&crm, &[&before, &report], fillers);
        let status = appliance.api.status().await;
        println!(
            "disk: {} items and {fillers} fillers acknowledged, 503 {:?} times, {} MiB free in the end, {}",
            report.acked_items,
            report.refused.get(&503),
            small.free() >> 20,
            status["disk"]
        );
        assert_eq!(status["disk"]["damage"], 0);
        // What went early to make room isn't waited for after a start.
        appliance.kill();
        let appliance = Appliance::start(&site).await;
        appliance.api.drained().await;
        appliance.stop().await;
        println!("disk: the store takes {} KiB", size(&site.store) >> 10);
    });
}

#[test]
fn a_foreign_file_that_fills_the_disk_is_survived() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        let Some(small) = Small::mount(&site, 40) else {
            return skip("the foreign file", "a tmpfs can only be mounted as root");
        };
        site.store = small.0.join("store");
        site.store_keys = "log_segment = \"5MiB\"\nlog_segments = 2".into();
        let appliance = Appliance::start(&site).await;
        let before = history(&site, &appliance, 41).await;
        crm.behave(Behaviour::Down).await;
        small.fill();
        let Full { load, fillers } = until_refused(&site, 42).await;
        assert_eq!(appliance.api.ask(Method::GET, "/readyz").await.unwrap().status(), 200);
        // The file goes, and nothing else happens: the CRM stays away.
        let acked = load.acked();
        small.clear();
        within(Duration::from_secs(30), "intake resumes by itself", async || {
            (load.acked() > acked).then_some(())
        })
        .await;
        let report = recovers(&site, &crm, &appliance, load).await;
        assert_delivered(&crm, &[&before, &report], fillers);
        appliance.stop().await;
    });
}

#[test]
fn a_budget_that_is_used_up_refuses_webhooks_and_delivered_history_goes_first() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.store_keys = "max_size = \"20MiB\"\nlog_segment = \"5MiB\"\nlog_segments = 2".into();
        let appliance = Appliance::start(&site).await;
        let before = history(&site, &appliance, 51).await;
        crm.behave(Behaviour::Down).await;
        let Full { load, fillers } = until_refused(&site, 52).await;
        assert_eq!(appliance.api.ask(Method::GET, "/readyz").await.unwrap().status(), 200);
        eventually("alarms of the budget and of the history that went", async || {
            let alarms = appliance.api.alarms().await.concat();
            (alarms.contains("max_size") && alarms.contains("history")).then_some(())
        })
        .await;
        let status = appliance.api.status().await;
        println!("disk: budget used up: {}", status["disk"]);
        // Webhooks are refused for good only when no delivered history is left but for the block
        // that it shares with what waits.
        eventually("delivered history goes", async || {
            let page = appliance.api.get("/v1/records?limit=1").await;
            let oldest: u64 = page["oldest"].as_str().unwrap().parse().unwrap();
            (oldest > before.acked_items * 9 / 10).then_some(())
        })
        .await;
        // And then the box rests: refusing costs the flash nothing.
        let written = async || appliance.api.status().await["disk"]["written_bytes"].as_u64().unwrap();
        let (mut before_rest, mut since) = (written().await, Instant::now());
        eventually("two seconds without writing", async || {
            let now = written().await;
            if now != before_rest {
                (before_rest, since) = (now, Instant::now());
            }
            (since.elapsed() > Duration::from_secs(2)).then_some(())
        })
        .await;
        let report = recovers(&site, &crm, &appliance, load).await;
        assert_delivered(&crm, &[&before, &report], fillers);
        let kept = Ledger::len(&Ledger::pull_from_oldest(&appliance.api).await);
        println!("disk: {} items acknowledged, {kept} records kept", before.acked_items + report.acked_items);
        appliance.stop().await;
    });
}
