//! The first start, when a person has made a mistake, and other firmware.

use std::time::Duration;

use crate::harness::{
    BOOT, Firmware, Load, Machine, Setup, Shop, images, page, raspberry_pi_3, run, skip, within,
};

/// All four cores of it are emulated one after another.
const RASPBERRY_PI: Duration = Duration::from_secs(300);

#[test]
fn a_mistake_is_shown_and_a_right_configuration_taken_under_u_boot() {
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

        // The laptop again: the mistake is mended.
        machine.kill();
        machine.disk.put("wagate.toml", right.as_bytes());
        machine.start();
        println!("u-boot: ready {:.1} s after power-on", machine.ready().await.as_secs_f64());
        shop.gets(&Load::few(&machine, 1).await).await;
        assert_eq!(machine.disk.get("wagate-errors.txt"), None, "the old mistakes are taken away");
    });
}

/// On a Raspberry Pi 3, since QEMU 7.2 has no 4. Its watchdog is left alone: QEMU resets at once when it is armed.
#[test]
fn the_image_reaches_its_programs_on_a_raspberry_pi() {
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
