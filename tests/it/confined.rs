//! `WAGATE_CONFINE=1`: the gateway does all its work with what it gave up, and no more; and its keeper hears how it is.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
use simulate::crm::Keep;
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::sending::{graph_settings, phone, secrets, start_graph, text};
use crate::harness::{Appliance, LONG, Ledger, Load, Poster, Site, crm, eventually, run, skip};

/// What the kernel says about each thread of a process.
fn threads(appliance: &Appliance) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", appliance.pid())).unwrap();
    // A thread may end meanwhile.
    tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok()).collect()
}

fn confine(site: &mut Site) {
    site.environment.push(("WAGATE_CONFINE".into(), "1".into()));
}

#[test]
fn a_confined_gateway_does_all_its_work() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        confine(&mut site);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let locks: BTreeSet<String> = threads(&appliance)
            .iter()
            .flat_map(|status| status.lines())
            .filter(|line| line.starts_with("NoNewPrivs:") || line.starts_with("Seccomp:"))
            .map(str::to_owned)
            .collect();
        let expected: &[&str] = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            &["NoNewPrivs:\t1", "Seccomp:\t2"]
        } else {
            &["NoNewPrivs:\t1", "Seccomp:\t0"]
        };
        assert_eq!(locks, expected.iter().map(|line| (*line).to_owned()).collect(), "of every thread");

        let options = PayloadOptions { seed: 21, contacts: 50, ..PayloadOptions::default() };
        let load = Load::start(&site, &options, 4, Pace::PerSecond(300.0), None);
        eventually("webhooks are taken", async || (load.acked() >= 500).then_some(())).await;
        appliance.signal(Signal::HUP);
        eventually("secrets are read again", async || appliance.log.find("secrets read again")).await;
        let report = load.stop().await;
        appliance.api.drained().await;
        let ledger = Ledger::pull(&appliance.api).await;
        ledger.assert_holds(&options.source(), &[&report]);
        ledger.assert_delivered(&crm);

        Poster::new(&site).wrote(&graph, &phone(1)).await;
        let id = appliance.api.queue("key", &text(&phone(1), "out")).await;
        appliance.api.until_over(&id, "read").await;
        assert_eq!(appliance.api.status().await["ready"], true);
        appliance.api.drained().await;
        let before = Ledger::pull(&appliance.api).await.len();
        appliance.stop().await;

        // Another cut of the log is a fold of everything, and files made and removed.
        site.store_keys = "log_segments = 3".into();
        site.write_config();
        let appliance = Appliance::start(&site).await;
        assert_eq!(Ledger::pull(&appliance.api).await.len(), before);
        appliance.stop().await;
    });
}

#[test]
fn a_confined_gateway_opens_no_file_beside_its_own() {
    run(async {
        let mut site = Site::without_crm();
        confine(&mut site);
        let beside = tempfile::tempdir().unwrap();
        let elsewhere = beside.path().join("secret");
        std::fs::write(&elsewhere, "the secret of somebody else").unwrap();
        let appliance = Appliance::start(&site).await;
        let alarms = appliance.api.alarms().await;
        if alarms.iter().any(|alarm| alarm.contains("Landlock")) {
            return skip("a_confined_gateway_opens_no_file_beside_its_own", "this kernel has no Landlock");
        }
        assert_eq!(alarms, [""; 0]);
        // It leads out of the folder of the configuration, which alone is open.
        std::fs::remove_file(site.path().join("app_secret")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, site.path().join("app_secret")).unwrap();
        appliance.signal(Signal::HUP);
        eventually("it can't be read", async || appliance.log.find("couldn't be read again")).await;
        assert!(
            !site.path().join("wagate.toml.accepted.json").exists(),
            "nothing is written beside the store"
        );
        assert_eq!(Poster::new(&site).status("{}").await, 200);
        appliance.stop().await;
    });
}

/// What a keeper hears next, of one line a word. That a start takes longer he hears where the machine is busy; it is
/// left out.
fn next(keeper: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    loop {
        let length = keeper.recv(&mut bytes).expect("the keeper hears nothing");
        let word = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if !word.contains("EXTEND_TIMEOUT_USEC=") {
            return word;
        }
    }
}

#[test]
fn a_keeper_hears_that_it_is_ready_and_alive_and_ends() {
    run(async {
        let mut site = Site::without_crm();
        confine(&mut site);
        let path = site.path().join("notify.sock");
        let keeper = UnixDatagram::bind(&path).unwrap();
        keeper.set_read_timeout(Some(LONG)).unwrap();
        site.environment.push(("NOTIFY_SOCKET".into(), path.to_str().unwrap().to_owned()));
        site.environment.push(("WATCHDOG_USEC".into(), "600000".into()));
        let appliance = Appliance::start(&site).await;
        assert_eq!(next(&keeper), "READY=1\n");
        for _ in 0..10 {
            assert_eq!(next(&keeper), "WATCHDOG=1\n");
        }
        assert!(appliance.api.metric("wagate_watchdog_beats_total", "").await >= 10.0);
        assert!(appliance.api.metric("wagate_writer_probe_seconds", "").await < 60.0);
        appliance.signal(Signal::HUP);
        let mut heard = Vec::new();
        while heard.len() < 2 {
            heard.extend(Some(next(&keeper)).filter(|word| word != "WATCHDOG=1\n"));
        }
        assert!(heard[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
        assert_eq!(heard[1], "READY=1\n");
        assert!(appliance.stop().await < Duration::from_secs(11));
        while next(&keeper) != "STOPPING=1\n" {}
        keeper.set_nonblocking(true).unwrap();
        assert!(keeper.recv(&mut [0; 8]).is_err(), "no beat behind the end");
    });
}
