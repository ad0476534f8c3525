//! A whole box in a temporary folder, as its supervisor holds it.

use std::fs;
use std::path::Path;

use wagate_board::about::SlotState;
use wagate_board::linux::{Access, Machine, Places};
use wagate_board::memory::{Like, MemoryBoard, MemoryFlash};
use wagate_board::{Board, Code, Firmware as _, Identity as _, Power as _, Progress, SlotName};

use crate::common::*;

fn make(root: &Path) {
    make_box(root, SlotName::A);
    release(root, "0.1.0");
    let keys = root.join("etc/wagate/update-keys");
    fs::create_dir_all(&keys).unwrap();
    fs::write(keys.join("one.pub"), key_file(1)).unwrap();
    fs::write(root.join("proc/uptime"), "12.34 20.00\n").unwrap();
    for (name, carrier) in [("lo", "1"), ("eth0", "1"), ("eth1", "0")] {
        let folder = root.join("sys/class/net").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("carrier"), carrier).unwrap();
        fs::write(folder.join("address"), "02:00:00:00:00:01\n").unwrap();
    }
}

fn release(root: &Path, version: &str) {
    fs::create_dir_all(root.join("etc/wagate")).unwrap();
    let text = format!("VERSION={version}\nBOARD={BOARD}\nBUILT=1700000000\n");
    fs::write(root.join("etc/wagate/release"), text).unwrap();
}

fn open(root: &Path) -> Machine {
    Machine::open(Places::below(root), 3).unwrap()
}

#[test]
fn a_box_installs_tries_and_commits() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let machine = open(root.path());
    let about = machine.about().unwrap();
    assert_eq!((about.board.as_str(), about.version.as_str(), about.uptime_ms), (BOARD, "0.1.0", 12_340));
    assert_eq!(about.built_at_ms, 1_700_000_000_000);
    assert_eq!(
        about.interfaces.iter().map(|one| (one.name.as_str(), one.carrier)).collect::<Vec<_>>(),
        [("eth0", true), ("eth1", false)]
    );
    assert!(!machine.on_trial() && about.boot_note.is_none() && about.slots[0].running);
    let new = image(9);
    let mut told = Vec::new();
    machine.install(&mut &bundle("0.2.0", new)[..], &mut |progress| told.push(progress)).unwrap();
    let version = "0.2.0".to_owned();
    assert_eq!(told.first(), Some(&Progress::Accepted { version: version.clone(), bytes: IMAGE as u64 }));
    assert_eq!(
        told[told.len() - 2..],
        [Progress::Verifying, Progress::Activated { version, slot: SlotName::B }]
    );
    assert_eq!(told[1..told.len() - 2].last(), Some(&Progress::Written { bytes: IMAGE as u64 }));
    let about = machine.about().unwrap();
    assert!(about.slots[1].next && about.slots[1].state == SlotState::Trial);
    let name = machine.box_id().to_owned();
    drop(machine);

    // GRUB spends an attempt; the new version starts.
    let env = root.path().join("efi/grub/grubenv");
    let text = fs::read_to_string(&env).unwrap().replace("B_LEFT=3", "B_LEFT=2");
    fs::write(&env, text).unwrap();
    runs(root.path(), SlotName::B);
    release(root.path(), "0.2.0");
    let machine = open(root.path());
    assert!(machine.on_trial() && machine.about().unwrap().on_trial());
    assert_eq!(machine.box_id(), name);
    assert_eq!(machine.about().unwrap().slots[1].attempts_left, 2);
    machine.commit().unwrap();
    assert!(!machine.on_trial());
    let text = fs::read_to_string(&env).unwrap();
    for line in ["ORDER=B A\n", "B_OK=1\n", "A_OK=1\n", "VERSION_A=0.1.0\n", "VERSION_B=0.2.0\n", "SANE=1\n"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(machine.give_up().unwrap_err().code, Code::Unsupported);
    machine.roll_back().unwrap();
    assert!(machine.about().unwrap().slots[0].next);
    drop(machine);

    // The start that a person has asked for says so, raises no alarm, and the one behind it says nothing.
    runs(root.path(), SlotName::A);
    release(root.path(), "0.1.0");
    let machine = open(root.path());
    let note = machine.about().unwrap().boot_note.expect("a note");
    assert!(note.contains("somebody asked") && machine.about().unwrap().boot_alarm().is_none(), "{note}");
    machine.is_ready().unwrap();
    assert_eq!(machine.about().unwrap().boot_note, Some(note), "it holds for this start");
    drop(machine);
    let machine = open(root.path());
    assert_eq!(machine.about().unwrap().boot_note, None);
    machine.request_reset().unwrap();
    assert!(fs::read_to_string(&env).unwrap().contains("RESET=1\n"));
}

#[test]
fn a_box_whose_boot_partition_and_data_cannot_be_read_runs_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    fs::write(root.path().join("proc/cmdline"), "wagate.slot=a wagate.left=1\n").unwrap();
    fs::remove_dir_all(root.path().join("efi")).unwrap();
    fs::write(root.path().join("efi"), b"").unwrap();
    fs::write(root.path().join("data"), b"").unwrap();
    let machine = open(root.path());
    let about = machine.about().unwrap();
    assert!(about.box_id.starts_with("wagate-"));
    assert!(machine.on_trial(), "as the kernel's command line has it");
    assert_eq!(machine.commit().unwrap_err().code, Code::Io);
    let refused = machine.install(&mut &bundle("0.2.0", image(9))[..], &mut |_| ()).unwrap_err();
    assert_eq!(refused.code, Code::Uncommitted);
    assert!(OnFiles::new().start().is_some());
}

#[test]
fn while_an_update_is_written_nothing_else_happens_to_the_slots_and_about_does_not_wait() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let machine = open(root.path());
    let mut asked = 0;
    let update = bundle("0.2.0", image(9));
    let told = &mut |progress: Progress| {
        asked += 1;
        assert_eq!(machine.roll_back().unwrap_err().code, Code::Busy, "{progress:?}");
        assert_eq!(machine.install(&mut &update[..], &mut |_| ()).unwrap_err().code, Code::Busy);
        assert!(machine.about().unwrap().slots[0].running);
    };
    machine.install(&mut &update[..], told).unwrap();
    assert!(asked > 3);
    assert_eq!(machine.request_reset().unwrap_err().code, Code::Uncommitted);
}

#[test]
fn a_machine_that_was_not_started_from_a_slot_is_no_box() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    fs::write(root.path().join("proc/cmdline"), "quiet wagate.slot=c\n").unwrap();
    assert_eq!(Machine::open(Places::below(root.path()), 3).unwrap_err().code, Code::Unsupported);
    fs::remove_file(root.path().join("etc/wagate/release")).unwrap();
    assert_eq!(Machine::open(Places::below(root.path()), 3).unwrap_err().code, Code::Io);
}

#[test]
fn partitions_of_the_disk_that_runs_count_should_a_stick_have_the_same_names() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let add = |disk: &str, number: u32, name: &str| {
        let folder = root.path().join(format!("sys/devices/{disk}/{disk}{number}"));
        fs::create_dir_all(&folder).unwrap();
        let uevent = format!("MAJOR=8\nMINOR={number}\nDEVNAME={disk}{number}\nPARTNAME={name}\n");
        fs::write(folder.join("uevent"), uevent).unwrap();
        fs::write(folder.join("size"), "8\n").unwrap();
        std::os::unix::fs::symlink(&folder, root.path().join(format!("sys/class/block/{disk}{number}")))
            .unwrap();
    };
    add("sda", 2, "root-a");
    add("sda", 3, "root-b");
    let new = image(9);
    open(root.path()).install(&mut &bundle("0.2.0", new)[..], &mut |_| ()).unwrap();
    assert!(fs::read(root.path().join("dev/vda3")).unwrap().starts_with(new));
    // Without knowing what runs nothing is written.
    fs::write(root.path().join("proc/self/mountinfo"), "").unwrap();
    assert_eq!(
        open(root.path()).install(&mut &bundle("0.3.0", new)[..], &mut |_| ()).unwrap_err().code,
        Code::Io
    );
}

#[test]
fn the_boot_partition_has_one_user_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let machine = open(root.path());
    let esp = std::sync::Arc::clone(machine.esp());
    let mounted = esp.open(Access::Read).unwrap();
    assert!(mounted.path().join("grub/grubenv").exists());
    let (said, heard) = std::sync::mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            machine.commit().unwrap();
            machine.request_reset().unwrap();
            said.send(()).unwrap();
        });
        assert!(heard.try_recv().is_err());
        drop(mounted);
        heard.recv().unwrap();
    });
    let env = fs::read_to_string(root.path().join("efi/grub/grubenv")).unwrap();
    assert!(env.contains("RESET=1\n"));
}

fn like() -> Like {
    Like { board: BOARD.to_owned(), data_format: 3, built_at_ms: 1_700_000_000_000, keys: keys(&[1, 2]) }
}

#[test]
fn the_twin_is_a_whole_board() {
    let flash = MemoryFlash::flashed("0.1.0", image(0), ROOM);
    let mut twin = MemoryBoard::start(flash, like()).unwrap();
    {
        let board: &dyn Board = &twin;
        board.install(&mut &bundle("0.2.0", image(9))[..], &mut |_| ()).unwrap();
        board.reboot("update").unwrap();
        assert_eq!(board.set(1).unwrap_err().code, Code::Unsupported);
        board.set(1_800_000_000_000).unwrap();
    }
    assert_eq!(twin.clock_ms(), 1_800_000_000_000);
    assert_eq!(twin.restart(), Ok(SlotName::B));
    assert!(twin.about().unwrap().on_trial());
    assert_eq!(twin.about().unwrap().version, "0.2.0");
    twin.hand_back("data").unwrap();
    assert_eq!(twin.restart(), Ok(SlotName::A));
    assert!(twin.about().unwrap().boot_note.unwrap().contains("couldn't read the data"));
    assert_eq!(twin.reboots(), ["update", "data"]);
    twin.factory_reset().unwrap();
    twin.note("one");
    twin.note("two");
    assert_eq!(twin.log(1).unwrap(), ["two"]);
    wagate_board::Watchdog::feed(&mut twin).unwrap();
    assert_eq!(twin.fed(), 1);
    // And `embedded-svc`'s.
    use embedded_svc::ota::{Ota as _, OtaUpdate as _};
    assert_eq!(twin.get_running_slot().unwrap().label.as_str(), "root-a");
    let mut update = twin.initiate_update().unwrap();
    embedded_svc::io::Write::write_all(&mut update, image(5)).unwrap();
    update.complete().unwrap();
    assert_eq!(twin.get_boot_slot().unwrap().label.as_str(), "root-b");
    assert_eq!(twin.restart(), Ok(SlotName::B));
    twin.mark_running_slot_valid().unwrap();
    assert_eq!(twin.get_running_slot().unwrap().state, embedded_svc::ota::SlotState::Valid);
}
