//! The plug is pulled, at the worst of times.

use std::collections::BTreeSet;
use std::time::Duration;

use simulate::Random;

use crate::harness::bundle::Bundle;
use crate::harness::disk::ROOT_B;
use crate::harness::later::raise_the_format;
use crate::harness::load::acknowledged;
use crate::harness::web::Web;
use crate::harness::{BOOT, LONG, Load, Machine, Setup, Shop, Variant, images, run, seed, within};

/// How far the new slot is written when the plug is pulled, in hundredths.
const PLACES: [usize; 3] = [10, 60, 100];

pub(crate) fn no_acknowledged_webhook_is_lost_when_the_plug_is_pulled_during_updates() {
    run("killed", Duration::from_secs(900), async || {
        let seed = seed("killed");
        let (images, shop) = (images(), Shop::open());
        let mut machine = Machine::new(&images.image, Setup::default());
        machine.put_all(&shop.files());
        machine.start();
        machine.ready().await;
        let bundle = Bundle::new("0.1.1", images.slot(Variant::Good));
        let signed = bundle.signed(&[&images.keys[0]]);
        let load = Load::start(&machine, seed, 4, 40.0, None);
        for place in PLACES {
            load.goes_on(20).await;
            let client = machine.client();
            let upload = tokio::spawn({
                let signed = signed.clone();
                async move { client.upload("/v1/update", signed).await }
            });
            // The last bytes before this place are in the slot; its first block is written last of all.
            let start = machine.disk.part(ROOT_B).start;
            let end = (bundle.slot.len() * place / 100) & !0xfff;
            let from = end - 0x8000;
            within(LONG, "the new slot is written", async || {
                let written = machine.disk.read(start + from as u64, 0x8000);
                (written == bundle.slot[from..end]).then_some(())
            })
            .await;
            machine.kill();
            drop(upload.await);
            machine.start();
            let took = machine.ready().await;
            println!("killed: at {place} % of an update, ready again after {:.1} s", took.as_secs_f64());
            load.goes_on(1).await;
            let env = machine.disk.env();
            let runs = machine.client().version().await.unwrap();
            assert!(runs == images.version || runs == "0.1.1", "{runs}");
            assert!(env.is_committed("A"), "the old version is there: {env:?}");
        }
        let report = load.stop().await;
        let sent = acknowledged(&report);
        assert!(report.broken + report.unreachable > 0, "the kills weren't felt");
        let kept = machine.client().records().await;
        let lost: BTreeSet<_> = sent.iter().filter(|id| !kept.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} acknowledged records are lost", lost.len(), sent.len());
        shop.gets(&sent).await;
        println!("killed: {} webhooks acknowledged, none lost", report.acked);
    });
}

pub(crate) fn power_cuts_at_the_start_spend_nothing_and_what_can_not_be_loaded_makes_way() {
    const CUTS: u32 = 10;
    run("cut at the start", Duration::from_secs(900), async || {
        let mut random = Random::new(seed("cut at the start"));
        let (images, shop) = (images(), Shop::open());
        let mut machine = Machine::new(&images.image, Setup::default());
        machine.put_all(&shop.files());
        machine.start();
        machine.ready().await;
        let sent = Load::few(&machine, 1).await;
        let before = machine.disk.env();
        machine.kill();
        for _ in 0..CUTS {
            machine.start();
            tokio::time::sleep(Duration::from_millis(1_000 + random.below(9_000))).await;
            machine.kill();
        }
        assert_eq!(machine.disk.env(), before, "ten cuts have changed what GRUB reads");
        machine.start();
        machine.ready().await;
        assert_eq!(machine.client().version().await.as_deref(), Some(images.version.as_str()));
        let kept = machine.client().records().await;
        assert!(sent.iter().all(|id| kept.contains(id)));

        // Both slots committed; the new version came over a line that breaks.
        let bundle = Bundle::new("0.1.1", images.slot(Variant::Later)).signed(&[&images.keys[0]]);
        let web = Web::serve(bundle).await;
        machine.client().install_from(&web.url).await.unwrap();
        within(Duration::from_secs(200), "0.1.1 is committed", async || {
            machine.disk.env().is_committed("B").then_some(())
        })
        .await;
        let asked = web.asked_from();
        println!("cut at the start: the update was fetched from {asked:?} on");
        assert!(asked.len() > 1 && asked.is_sorted_by(|a, b| a < b), "each went on where the last broke off");

        // It has raised the data's format, and somebody goes back to the old version: that one hands back.
        machine.kill();
        let folder = tempfile::tempdir().unwrap();
        raise_the_format(&machine.disk, folder.path());
        let mut env = machine.disk.env();
        env.set("ORDER", "A B");
        machine.disk.set_env(&env);
        machine.start();
        machine.says("slot a, attempts left: committed", BOOT).await;
        machine.says("slot b, attempts left: committed", BOOT).await;
        machine.runs("0.1.1", BOOT).await;
        let note = machine.client().update().await["note"].clone();
        assert!(note.as_str().is_some_and(|note| note.contains("handed back")), "{note}");
        let kept = machine.client().records().await;
        assert!(sent.iter().all(|id| kept.contains(id)));

        // The one in use goes bad on the card: the other takes over.
        machine.kill();
        machine.disk.write(machine.disk.part(ROOT_B).start, &vec![0xff; 1 << 20]);
        // And a person has made a mistake meanwhile.
        machine.disk.put("wagate.toml", b"[webhook]\nlisten = \"0.0.0.0:443\"\nverify_tokn = \"x\"\n");
        machine.start();
        machine.ready().await;
        assert!(machine.serial.has("slot b can't be loaded"));
        assert_eq!(machine.client().version().await.as_deref(), Some(images.version.as_str()));
        let note = machine.client().update().await["note"].clone();
        assert!(note.as_str().is_some_and(|note| note.contains("the other one was started")), "{note}");
        let errors = machine.disk.text("wagate-errors.txt").expect("wagate-errors.txt");
        assert!(errors.contains("verify_tokn"), "{errors}");
        assert!(machine.serial.has("verify_tokn"), "the mistake stands on the serial line too");
        let alarms = machine.client().get("/v1/status").await["alarms"].to_string();
        assert!(alarms.contains("the configuration on the card or the stick is refused"), "{alarms}");
        let kept = machine.client().records().await;
        assert!(sent.iter().all(|id| kept.contains(id)), "the old configuration is in force, with its data");
    });
}
