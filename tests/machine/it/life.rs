//! From a flashed card to a box at work, and to its next version.

use std::time::{Duration, Instant};

use simulate::crm::Behaviour;

use crate::harness::bundle::Bundle;
use crate::harness::disk::{DATA, ESP, ROOT_A};
use crate::harness::shop::{API_TOKEN, APP_SECRET};
use crate::harness::{
    BOOT, Images, LONG, Load, Machine, Setup, Shop, Variant, images, random_bytes, run, within,
};

/// What the box does once after its start is over by then.
const WARM_UP: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(60);
/// Bytes that an idle box may write in an hour: journal of the file system included.
const IDLE_BYTES_PER_HOUR: u64 = 4 << 20;

#[test]
fn a_flashed_card_becomes_a_box_that_updates_itself() {
    run("life", Duration::from_secs(600), async || {
        let (images, shop) = (images(), Shop::open());
        let mut machine = Machine::new(&images.image, Setup::default());
        machine.put_all(&shop.files());
        machine.start();
        println!("life: ready {:.1} s after power-on, the first time", machine.ready().await.as_secs_f64());

        let mut sent = Load::few(&machine, 1).await;
        shop.gets(&sent).await;
        the_configuration_was_taken(&machine);
        the_data_partition_reaches_to_the_end_of_the_card(&machine);
        the_box_has_a_name(&machine).await;
        an_idle_box_writes_nothing(&machine).await;
        bundles_that_are_not_for_this_box_are_refused(&machine, images).await;
        sent.extend(it_updates_itself_without_a_network(&mut machine, images, &shop).await);

        the_gateway_is_confined(&mut machine).await;

        let kept = machine.client().records().await;
        assert!(sent.iter().all(|id| kept.contains(id)), "the records are there after the update");
    });
}

/// Configuration and secrets are on the data partition, and no trace of a secret is left on the other one.
fn the_configuration_was_taken(machine: &Machine) {
    let accepted = machine.disk.text("wagate-accepted.txt").expect("wagate-accepted.txt");
    assert!(accepted.contains("wagate.toml"), "{accepted}");
    for name in ["wagate.toml", "app_secret", "api_token", "crm_secret", "verify_token"] {
        assert_eq!(machine.disk.get(name), None, "{name} is still on the FAT partition");
    }
    for secret in [APP_SECRET, API_TOKEN] {
        assert!(
            !machine.disk.holds(ESP, secret.as_bytes()),
            "a secret is still readable on the FAT partition"
        );
    }
    assert_eq!(machine.disk.text("wagate-errors.txt"), None);
}

fn the_data_partition_reaches_to_the_end_of_the_card(machine: &Machine) {
    let card = machine.disk.path().metadata().unwrap().len();
    let part = machine.disk.part(DATA);
    let spare = card - (part.start + part.bytes);
    assert!(spare <= 2 << 20, "{spare} bytes behind the data partition");
    // Of the superblock of ext4, which is 1024 bytes into it: blocks, and the logarithm of their size.
    let superblock = machine.disk.read(part.start + 1024, 28);
    let number = |at: usize| u32::from_le_bytes(superblock[at..at + 4].try_into().unwrap());
    let bytes = u64::from(number(4)) * (1024 << number(24));
    assert!(bytes + (8 << 20) > part.bytes, "a file system of {bytes} bytes in {}", part.bytes);
}

/// It is said on the network for `.local`, and with the data for good.
async fn the_box_has_a_name(machine: &Machine) {
    let about = machine.client().machine().await.unwrap();
    let name = about["box_id"].as_str().unwrap().to_owned();
    assert!(name.starts_with("wagate-") && name.len() >= 11, "{name}");
    // As in a packet of DNS: each label behind its length.
    let label = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let wanted = [label(&name), label("local")].concat();
    within(LONG, "the name is announced", async || {
        let said = machine.network();
        said.windows(wanted.len()).any(|window| window == wanted).then_some(())
    })
    .await;
}

/// As the kernel tells it of the process that faces the internet.
async fn the_gateway_is_confined(machine: &mut Machine) {
    machine.says("WITNESS", LONG).await;
    let said = machine.serial.text();
    let line = said.lines().find(|line| line.contains("WITNESS")).unwrap();
    println!("life: the gateway's process: {line}");
    for wanted in ["Uid: 990 990 990 990", "NoNewPrivs: 1", "Seccomp: 2", "CapEff: 0000000000000000"] {
        assert!(line.contains(wanted), "{line}");
    }
    // What could not be had of landlock and the rest is an alarm.
    let status = machine.client().get("/v1/status").await;
    assert_eq!(status["alarms"], serde_json::json!([]), "{status}");
}

async fn an_idle_box_writes_nothing(machine: &Machine) {
    let mut monitor = machine.monitor().await;
    tokio::time::sleep(WARM_UP).await;
    let before = monitor.disk();
    tokio::time::sleep(IDLE).await;
    let after = monitor.disk();
    let bytes = after.bytes_written - before.bytes_written;
    let per_hour = bytes * 3600 / IDLE.as_secs();
    println!(
        "life: an idle minute: {bytes} bytes in {} writes and {} flushes, {per_hour} bytes an hour",
        after.writes - before.writes,
        after.flushes - before.flushes
    );
    assert!(per_hour <= IDLE_BYTES_PER_HOUR, "{per_hour} bytes an hour");
}

/// Each with its reason, and nothing of it is ever started.
async fn bundles_that_are_not_for_this_box_are_refused(machine: &Machine, images: &Images) {
    let client = machine.client();
    let running = machine.disk.read_part(ROOT_A);
    let good = Bundle::new("0.1.9", images.slot(Variant::Good));
    let key = &images.keys[0];
    // Refused for its manifest, so what is behind it may be anything.
    let small = Bundle::new("0.1.9", random_bytes(1 << 16));
    let right = good.signed(&[key]);
    let mut damaged = right.clone();
    let middle = damaged.len() - good.slot.len() / 2;
    damaged[middle] ^= 1;
    let cases = [
        ("unknown-key", small.signed(&[&images.foreign])),
        ("bad-signature", small.tampered(key, "version", "0.2.0")),
        ("bad-signature", small.tampered(key, "slot_sha256", "0".repeat(64))),
        ("wrong-board", small.clone().with("board", "rpi4").signed(&[key])),
        ("downgrade", small.clone().with("version", "0.0.9").signed(&[key])),
        ("downgrade", small.clone().with("version", images.version.as_str()).signed(&[key])),
        ("too-old-here", small.clone().with("minimum_version", "0.1.8").signed(&[key])),
        ("data-too-new", small.clone().with("data_format", store::DATA_FORMAT - 1).signed(&[key])),
        ("too-large", small.clone().with("slot_bytes", 1_u64 << 30).signed(&[key])),
        ("not-a-bundle", b"PK\x03\x04 a zip of something".to_vec()),
        ("damaged", damaged),
        ("damaged", right[..right.len() - good.slot.len() / 3].to_vec()),
    ];
    for (code, bundle) in cases {
        let refused = client.install(bundle).await.expect_err("this bundle must be refused");
        assert_eq!(refused, code);
        let env = machine.disk.env();
        assert!(env.is_committed("A") && env.get("ORDER").starts_with('A'), "{code}: {env:?}");
        assert!(!env.is_committed("B") && env.left("B") == "0", "{code}: {env:?}");
    }
    assert!(machine.disk.read_part(ROOT_A) == running, "the running slot was written to");
    let update = client.update().await;
    assert_eq!(update["slots"][0]["running"], true, "{update}");
}

/// The cable is pulled before the new version starts and its CRM is gone: it commits all the same.
async fn it_updates_itself_without_a_network(
    machine: &mut Machine,
    images: &Images,
    shop: &Shop,
) -> std::collections::BTreeSet<String> {
    let bundle = images.sign_with_script(Variant::Good);
    let mut monitor = machine.monitor().await;
    let start = Instant::now();
    machine.serial.forget();
    machine.client().install(bundle).await.expect("a right bundle");
    println!("life: an update took {:.1} s to be written", start.elapsed().as_secs_f64());
    monitor.cable(false);
    shop.crm.behave(Behaviour::Down).await;
    machine.says("wagate: slot b, attempts left: 2", BOOT).await;
    within(BOOT, "the new version is committed", async || machine.disk.env().is_committed("B").then_some(()))
        .await;
    println!("life: and {:.1} s to be committed", start.elapsed().as_secs_f64());
    monitor.cable(true);
    machine.runs("0.1.1", LONG).await;
    let env = machine.disk.env();
    assert!(
        env.is_committed("A") && env.get("ORDER") == "B A",
        "the old version stays to go back to: {env:?}"
    );
    let sent = Load::few(machine, 2).await;
    shop.crm.behave(Behaviour::Ok).await;
    shop.gets(&sent).await;
    sent
}
