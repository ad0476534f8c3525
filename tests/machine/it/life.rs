//! From a flashed card to a box at work, and to its next version.

use std::path::Path;
use std::time::{Duration, Instant};

use simulate::crm::Behaviour;

use crate::harness::bundle::Bundle;
use crate::harness::disk::{DATA, ESP, ROOT_A, used};
use crate::harness::shop::{API_TOKEN, APP_SECRET};
use crate::harness::tools::{done, flash};
use crate::harness::{
    BOOT, Images, LONG, Load, Machine, Setup, Shop, Variant, images, random_bytes, run, within,
};

/// How long an idle box is looked at, in seconds, where `WAGATE_IDLE` says nothing.
const IDLE_S: u64 = 60;
/// What it wrote last reaches its place on the card half a minute later, behind the file system's journal: then it rests.
const QUIET: Duration = Duration::from_secs(40);
/// What the box does once after its start is over by then.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);
/// Bytes that an idle box may write in an hour: journal of the file system included.
const IDLE_BYTES_PER_HOUR: u64 = 1 << 20;

pub(crate) fn a_flashed_card_becomes_a_box_that_updates_itself() {
    run("life", Duration::from_secs(900) + idle(), async || {
        let (images, shop) = (images(), Shop::open());
        let mut machine = Machine::new(&images.image, Setup::default());
        flash_by_script(&images.image, &machine, &shop);
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
        it_goes_back_when_it_is_asked_to(&machine, images).await;
    });
}

/// As a person does it: onto a card that was used before, the configuration in a folder.
fn flash_by_script(image: &Path, machine: &Machine, shop: &Shop) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in shop.files() {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let card = machine.disk.path();
    let bytes = card.metadata().unwrap().len();
    used(card, bytes);
    done(&mut flash(image, card, &["--yes", "--config", folder.path().to_str().unwrap()]));
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

/// One that a busy start raised goes by itself.
async fn no_alarm(machine: &Machine) {
    let client = machine.client();
    within(LONG, "no alarm is raised", async || {
        (client.get("/v1/status").await["alarms"] == serde_json::json!([])).then_some(())
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
    no_alarm(machine).await;
}

/// The stretch that is looked at.
fn idle() -> Duration {
    let given = std::env::var("WAGATE_IDLE").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.unwrap_or(IDLE_S))
}

async fn an_idle_box_writes_nothing(machine: &Machine) {
    let mut monitor = machine.monitor().await;
    let first = Instant::now();
    let (mut quiet_since, mut last) = (first, monitor.disk());
    while quiet_since.elapsed() < QUIET {
        assert!(first.elapsed() < SETTLED_WITHIN, "it doesn't come to rest: {last:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = monitor.disk();
        if now != last {
            (quiet_since, last) = (Instant::now(), now);
        }
    }
    let stretch = idle();
    tokio::time::sleep(stretch).await;
    let now = monitor.disk();
    let written = now.bytes_written - last.bytes_written;
    let per_hour = written * 3600 / (stretch + QUIET).as_secs();
    println!(
        "life: idle: {written} bytes in {} writes and {} flushes within {} s, {per_hour} an hour",
        now.writes - last.writes,
        now.flushes - last.flushes,
        (stretch + QUIET).as_secs()
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

/// Nobody has to see to it, and the data stay.
async fn it_goes_back_when_it_is_asked_to(machine: &Machine, images: &Images) {
    let (client, before) = (machine.client(), machine.client().records().await);
    let (status, answer) = client.upload("/v1/update/roll-back", Vec::new()).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    within(BOOT, "the old version runs", async || {
        (client.version().await.as_ref() == Some(&images.version)).then_some(())
    })
    .await;
    let update = client.update().await;
    assert!(update["note"].as_str().is_some_and(|note| note.contains("somebody asked")), "{update}");
    no_alarm(machine).await;
    assert_eq!(client.records().await, before);
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
