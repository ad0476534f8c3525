//! Versions that are no good: each is given up, and the box is back on the one that it had.

use std::time::{Duration, Instant};

use crate::harness::bundle::Bundle;
use crate::harness::{Firmware, Images, Load, Machine, Setup, Shop, Variant, images, run, within};

/// Three starts that fail and one that doesn't.
const BACK: Duration = Duration::from_secs(400);
/// Parts of what the box says of it.
const SPENT: &str = "spent its starts";
const NOT_LOADABLE: &str = "the other one was started";
const UNPROVED: &str = "didn't prove itself";
/// In the kernel line, by `cmdline.txt`: how long a version on trial has.
const COMMIT_WITHIN_S: u32 = 45;

/// A box on slot A that has taken webhooks.
async fn at_work(images: &Images, shop: &Shop, firmware: Firmware) -> Machine {
    let mut machine = Machine::new(&images.image, Setup { firmware, ..Setup::default() });
    machine.put_all(&shop.files());
    let extra = format!("set extra=\"wagate.commit_within={COMMIT_WITHIN_S}\"\n");
    machine.disk.put("cmdline.txt", extra.as_bytes());
    machine.start();
    machine.ready().await;
    shop.gets(&Load::few(&machine, 1).await).await;
    machine
}

/// Installs a version, signed as it ought to be, and waits until it has been given up, for the reason that the
/// box then tells with these words.
async fn given_up(machine: &mut Machine, images: &Images, version: &str, slot: Vec<u8>, reason: &str) {
    machine.serial.forget();
    let start = Instant::now();
    let bundle = Bundle::new(version, slot).signed(&[&images.keys[1]]);
    machine.client().install(bundle).await.expect("it is signed, so it is taken");
    machine.says("wagate: slot a, attempts left: committed", BACK).await;
    machine.runs(&images.version, BACK).await;
    is_back(machine, start, reason).await;
}

/// The box runs the version that it had, and says why.
async fn is_back(machine: &Machine, start: Instant, reason: &str) {
    let update = machine.client().update().await;
    println!("back after {:.0} s: {}", start.elapsed().as_secs_f64(), update["note"]);
    assert_eq!(update["slots"][0]["running"], true, "{update}");
    assert!(update["note"].as_str().is_some_and(|note| note.contains(reason)), "{update}");
    assert!(!machine.disk.env().is_committed("B"));
}

/// The box is as it was: what it takes now comes to the CRM.
async fn is_at_work(machine: &Machine, shop: &Shop, seed: u64) {
    shop.gets(&Load::few(machine, seed).await).await;
}

/// Under U-Boot, through whose EFI GRUB counts its attempts then.
pub(crate) fn a_version_that_does_not_start_is_given_up() {
    run("broken and junk", Duration::from_secs(900), async || {
        let (images, shop) = (images(), Shop::open());
        let mut machine = at_work(images, &shop, Firmware::UBoot).await;

        // Its first program leaves: a panic, and three attempts.
        let slot = images.slot(Variant::BrokenInit);
        given_up(&mut machine, images, "0.1.2", slot, SPENT).await;
        assert_eq!(machine.serial.count("BROKEN-INIT"), 3, "as many starts as it had attempts");
        is_at_work(&machine, &shop, 2).await;

        // No file system at all: GRUB takes the other slot in the same run.
        let junk = crate::harness::random_bytes(3 << 20);
        given_up(&mut machine, images, "0.1.3", junk, NOT_LOADABLE).await;
        assert_eq!(machine.serial.count("can't be loaded"), 1);
        is_at_work(&machine, &shop, 3).await;
    });
}

pub(crate) fn a_version_that_starts_and_does_not_work_is_given_up() {
    run("unhealthy and hanging", Duration::from_secs(900), async || {
        let (images, shop) = (images(), Shop::open());
        let mut machine = at_work(images, &shop, Firmware::Edk2).await;

        // The gateway leaves with an error, again and again.
        let slot = images.slot(Variant::GatewayLeaves);
        given_up(&mut machine, images, "0.1.4", slot, UNPROVED).await;
        is_at_work(&machine, &shop, 2).await;

        // The gateway runs and never gets ready.
        let slot = images.slot(Variant::GatewayDeaf);
        given_up(&mut machine, images, "0.1.5", slot, UNPROVED).await;
        is_at_work(&machine, &shop, 3).await;

        // Nothing runs and nothing ends: only the watchdog is left. One attempt, to spare the time of two.
        machine.serial.forget();
        let start = Instant::now();
        let bundle = Bundle::new("0.1.6", images.slot(Variant::Hang)).signed(&[&images.keys[0]]);
        machine.client().install(bundle).await.expect("it is signed, so it is taken");
        machine.says("HANGING", BACK).await;
        let mut env = machine.disk.env();
        assert_eq!(env.left("B"), "2");
        machine.kill();
        env.set("B_LEFT", "1");
        machine.disk.set_env(&env);
        machine.start();
        machine.says("HANGING", BACK).await;
        within(BACK, "the watchdog", async || machine.serial.has("slot a, attempts left").then_some(()))
            .await;
        machine.runs(&images.version, BACK).await;
        is_back(&machine, start, SPENT).await;
        is_at_work(&machine, &shop, 4).await;
    });
}
