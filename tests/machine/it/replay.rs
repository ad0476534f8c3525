//! Random power cuts, replayed from a log of everything that a box wrote while it took webhooks and an update.

use std::time::{Duration, Instant};

use simulate::Random;

use crate::harness::blocklog::BlockLog;
use crate::harness::bundle::Bundle;
use crate::harness::disk::{self, Disk, ROOT_A};
use crate::harness::load::acknowledged_at;
use crate::harness::power_cut::{Cache, Sampler, Scene};
use crate::harness::{Load, Machine, Setup, Shop, Variant, images, run, seed, within};

/// Cuts where `WAGATE_CUTS` says nothing.
const CUTS: usize = 40;
/// Cuts of a card that lies about its flushes.
const LIES: usize = 3;
/// Webhooks before and after the update, beside those that come meanwhile.
const WEBHOOKS: u64 = 150;

pub(crate) fn whenever_the_power_goes_the_disk_is_whole_and_every_acknowledged_webhook_on_it() {
    run("replay", Duration::from_secs(900), async || {
        let seed = seed("replay");
        let cuts = std::env::var("WAGATE_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS);
        let (images, shop) = (images(), Shop::open());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writes.log");
        std::fs::File::create(&path).unwrap();
        let setup = Setup { log: Some(path.clone()), ..Setup::default() };
        let mut machine = Machine::new(&images.image, setup);
        machine.put_all(&shop.files());
        let before = folder.path().join("before.img");
        disk::copy(machine.disk.path(), &before);

        let sampler = Sampler::start(&path);
        machine.start();
        machine.ready().await;
        let load = Load::start(&machine, seed, 4, 30.0, None);
        load.goes_on(WEBHOOKS).await;
        let bundle = Bundle::new("0.1.1", images.slot(Variant::Good)).signed(&[&images.keys[0]]);
        machine.client().install(bundle).await.unwrap();
        within(Duration::from_secs(200), "0.1.1 is committed", async || {
            machine.disk.env().is_committed("B").then_some(())
        })
        .await;
        load.goes_on(WEBHOOKS).await;
        let report = load.stop().await;
        machine.kill();
        let samples = sampler.stop();

        let log = BlockLog::read(&path);
        let slot = machine.disk.part(ROOT_A);
        let touched =
            log.entries.iter().filter(|entry| entry.is_write() && slot.touches(entry.at, entry.bytes));
        assert_eq!(touched.count(), 0, "the slot that the box came with was written to");
        let acknowledged: Vec<_> =
            acknowledged_at(&report).into_iter().map(|(at, id)| (samples.entries_at(at, &log), id)).collect();
        let flushes = log.entries.iter().filter(|entry| entry.is_flush()).count();
        println!(
            "replay: {} entries, {flushes} flushes, {} bytes, {} webhooks acknowledged",
            log.entries.len(),
            log.entries.iter().map(|entry| entry.bytes).sum::<u64>(),
            report.acked
        );
        let scene = Scene { before: Disk::at(&before), log, acknowledged };
        let start = Instant::now();
        let wrong = scene.replay(cuts, Cache::Honest, &mut Random::new(seed));
        println!("replay: {cuts} cuts in {:.0} s, {} wrong", start.elapsed().as_secs_f64(), wrong.len());
        assert!(wrong.is_empty(), "{wrong:#?}");
        let wrong = scene.replay(LIES, Cache::Lying, &mut Random::new(seed));
        assert!(!wrong.is_empty(), "a card that forgets what it was told to keep must be noticed");
    });
}
