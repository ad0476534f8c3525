//! Name, lamp and watchdog.

use std::fs;

use embedded_svc::storage::RawStorage as _;
use wagate_board::linux::{DeviceWatchdog, Led, Pattern, box_id};
use wagate_board::memory::MemoryStorage;
use wagate_board::{FileStorage, Watchdog as _};

#[test]
fn a_box_keeps_the_name_that_it_was_given() {
    let mut storage = MemoryStorage::default();
    let name = box_id(&mut storage).unwrap();
    let letters = name.strip_prefix("wagate-").unwrap();
    assert!(
        letters.len() == 4 && letters.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    );
    assert_eq!(box_id(&mut storage).unwrap(), name);
    storage.set_raw("box-id", b"wagate-shop1\n").unwrap();
    assert_eq!(box_id(&mut storage).unwrap(), "wagate-shop1", "one that somebody gave it");
    for junk in [&b""[..], b"wagate-", b"wagate-a.b", b"wagate-1234567", b"\xFF\xFF", &[b'x'; 500]] {
        storage.set_raw("box-id", junk).unwrap();
        let name = box_id(&mut storage).unwrap();
        assert_eq!(box_id(&mut storage).unwrap(), name);
        assert_eq!(name.len(), 11);
    }
    let names: std::collections::BTreeSet<String> =
        (0..100).map(|_| box_id(&mut MemoryStorage::default()).unwrap()).collect();
    assert!(names.len() > 90, "boxes share names: {names:?}");
}

#[test]
fn a_name_that_cannot_be_kept_is_told_with_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = FileStorage::open(&folder.path().join("box")).unwrap();
    fs::remove_dir_all(folder.path().join("box")).unwrap();
    let (name, _) = box_id(&mut storage).unwrap_err();
    assert!(name.starts_with("wagate-"));
}

#[test]
fn the_watchdog_is_fed_and_never_disarmed() {
    let root = tempfile::tempdir().unwrap();
    let (dev, sys) = (root.path().join("dev"), root.path().join("sys"));
    fs::create_dir_all(&dev).unwrap();
    assert!(DeviceWatchdog::open(&dev, &sys).unwrap().is_none(), "a machine without one");
    fs::write(dev.join("watchdog"), b"").unwrap();
    let mut watchdog = DeviceWatchdog::open(&dev, &sys).unwrap().unwrap();
    assert_eq!(watchdog.timeout().as_secs(), 10);
    fs::create_dir_all(sys.join("class/watchdog/watchdog0")).unwrap();
    fs::write(sys.join("class/watchdog/watchdog0/timeout"), b"15\n").unwrap();
    let mut again = DeviceWatchdog::open(&dev, &sys).unwrap().unwrap();
    assert_eq!(again.timeout().as_secs(), 15);
    watchdog.feed().unwrap();
    again.feed().unwrap();
    drop((watchdog, again));
    let fed = fs::read(dev.join("watchdog")).unwrap();
    assert!(!fed.is_empty() && !fed.contains(&b'V'), "V would disarm it");
}

#[test]
fn the_lamp_for_people_is_found_and_shows_patterns() {
    let root = tempfile::tempdir().unwrap();
    let leds = root.path().join("class/leds");
    assert!(Led::find(root.path()).is_none());
    for name in ["input0::capslock", "mmc0::", "ACT", "eth0:green"] {
        fs::create_dir_all(leds.join(name)).unwrap();
    }
    let led = Led::find(root.path()).unwrap();
    let shown = || fs::read_to_string(leds.join("ACT/trigger")).unwrap();
    led.show(Pattern::Running).unwrap();
    assert_eq!(shown(), "default-on");
    led.show(Pattern::Setup).unwrap();
    assert_eq!(shown(), "heartbeat");
    let mut seen = Vec::new();
    for pattern in [Pattern::Starting, Pattern::Updating, Pattern::Trouble] {
        led.show(pattern).unwrap();
        let times =
            ["delay_on", "delay_off"].map(|name| fs::read_to_string(leds.join("ACT").join(name)).unwrap());
        assert_eq!(shown(), "timer");
        assert!(!seen.contains(&times));
        seen.push(times);
    }
    fs::remove_dir_all(leds.join("ACT")).unwrap();
    assert!(led.show(Pattern::Running).is_err());
}
