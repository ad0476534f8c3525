//! The first start, when a person has made a mistake, and other firmware.

use std::time::Duration;

use crate::harness::fat::Fat;
use crate::harness::{
    BOOT, Firmware, Load, Machine, Setup, Shop, Variant, images, page, raspberry_pi_3, run, skip, within,
};

/// Asks for empty data.
const RESET: &str = "wagate-factory-reset.txt";
/// All four cores of it are emulated one after another.
const RASPBERRY_PI: Duration = Duration::from_secs(300);

pub(crate) fn a_mistake_is_shown_and_a_right_configuration_taken_under_u_boot() {
    run("first start and u-boot", Duration::from_secs(600), async || {
        let (images, shop) = (images(), Shop::open());
        let setup = Setup { firmware: Firmware::UBoot, ..Setup::default() };
        let mut machine = Machine::new(&images.release, setup);
        let mut files = shop.files();
        let right = String::from_utf8(files[0].1.clone()).unwrap();
        files[0].1 = right.replace("verify_token =", "verify_tokn =").into_bytes();
        machine.put_all(&files);
        machine.start();

        // On the FAT partition, on the serial line, and a page to set the box up by.
        within(BOOT, "wagate-errors.txt", async || machine.disk.get("wagate-errors.txt").map(drop)).await;
        machine.says("verify_tokn", BOOT).await;
        let errors = machine.disk.text("wagate-errors.txt").unwrap();
        assert!(errors.contains("verify_tokn"), "{errors}");
        let page = within(BOOT, "the setup page", async || page(machine.webhook_port).await).await;
        assert!(page.contains("<html") || page.contains("<!doctype html"), "{page}");
        let claim = within(BOOT, "wagate-setup.txt", async || machine.disk.text("wagate-setup.txt")).await;
        println!("first start: wagate-setup.txt says:\n{claim}");

        // Nobody takes the card out: the right one comes with a stick.
        machine.kill();
        let folder = tempfile::tempdir().unwrap();
        let stick = Fat::stick(&folder.path().join("stick.img"), "WAGATE");
        files[0].1 = right.into_bytes();
        for (name, content) in &files {
            stick.put(name, content);
        }
        machine.plug(&stick);
        machine.start();
        println!("u-boot: ready {:.1} s after power-on", machine.ready().await.as_secs_f64());
        shop.gets(&Load::few(&machine, 1).await).await;
        assert!(stick.text("wagate-accepted.txt").is_some_and(|text| text.contains("wagate.toml")));
        for (name, _) in &files {
            assert_eq!(stick.get(name), None, "{name} is still on the stick");
        }
        assert_eq!(machine.disk.get("wagate-setup.txt"), None, "the code is of no use any more");

        match images.sign_for_release(Variant::Good) {
            Ok(bundle) => the_stick_updates_the_box(&mut machine, &stick, &bundle).await,
            Err(why) => skip("an update by stick", &why),
        }
        the_stick_empties_the_box(&mut machine, &stick).await;
    });
}

/// As where nobody can reach its API.
async fn the_stick_updates_the_box(machine: &mut Machine, stick: &Fat, bundle: &[u8]) {
    machine.kill();
    stick.put("wagate-0.1.1.update", bundle);
    machine.start();
    machine.says("wagate: slot b, attempts left: 2", BOOT).await;
    within(BOOT, "0.1.1 is committed", async || machine.disk.env().is_committed("B").then_some(())).await;
    machine.runs("0.1.1", BOOT).await;
    // Still in its socket when the new version started.
    let told = stick.text("wagate-update.txt").expect("wagate-update.txt");
    assert!(told.contains("version 0.1.1 is installed and runs"), "{told}");
}

/// It is asked for with the box's own name, once, and leaves the slots alone.
async fn the_stick_empties_the_box(machine: &mut Machine, stick: &Fat) {
    let about = machine.client().machine().await.unwrap();
    let name = about["box_id"].as_str().unwrap().to_owned();
    let env = machine.disk.env();
    machine.kill();
    stick.put(RESET, format!("{name}\r\n").as_bytes());
    machine.start();
    // Down for it, and up again.
    machine.says_times("attempts left: committed, ", 2, BOOT).await;
    within(BOOT, "wagate-setup.txt", async || machine.disk.get("wagate-setup.txt").map(drop)).await;
    let page = within(BOOT, "the setup page", async || page(machine.webhook_port).await).await;
    assert!(page.contains("<html") || page.contains("<!doctype html"), "{page}");
    let told = stick.text("wagate-reset.txt").expect("wagate-reset.txt");
    assert!(told.contains("is being emptied"), "{told}");
    assert_eq!(stick.get(RESET), None, "a stick that is forgotten in the box would empty it again");
    assert_eq!(machine.disk.env(), env, "the slots stay");
}

/// On a Raspberry Pi 3, since QEMU 7.2 has no 4. Its watchdog is left alone: QEMU resets at once when it is armed.
pub(crate) fn the_image_reaches_its_programs_on_a_raspberry_pi() {
    const TEST: &str = "raspberry pi";
    run(TEST, Duration::from_secs(600), async || {
        if let Err(why) = raspberry_pi_3() {
            skip(TEST, &why);
            return;
        }
        let setup = Setup { firmware: Firmware::RaspberryPi3, ..Setup::default() };
        let mut machine = Machine::new(&images().release, setup);
        let extra = "set extra=\"console=ttyS1,115200 console=ttyAMA0 module_blacklist=bcm2835_wdt\"\n";
        machine.disk.put("cmdline.txt", extra.as_bytes());
        machine.start();
        machine.says("wagate: slot a, attempts left: committed, ", RASPBERRY_PI).await;
        // Written by the supervisor once the machine is up: without a configuration it offers to be set up.
        within(RASPBERRY_PI, "wagate-setup.txt", async || machine.disk.get("wagate-setup.txt").map(drop))
            .await;
        println!(
            "raspberry pi: wagate's own programs run {:.0} s after power-on",
            machine.up().as_secs_f64()
        );
    });
}
