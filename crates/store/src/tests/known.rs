//! Damage in the log that a version which stays has met is known to whoever comes across it later, until it is folded.

use super::lost::{nine, unfolded};
use super::{NOW, item, open, small};
use crate::disk::Disk as _;
use crate::disk::simulated::SimulatedDisk;
use crate::format::{entry, group};
use crate::{FolderDisk, Options, Store, Transaction};

const BLOCK: usize = 4096;

/// What a start finds, in all and of that known. Nothing is folded.
fn found(disk: &SimulatedDisk, on_trial: bool) -> (u64, u64) {
    let store = open(disk, Options { keep_format: on_trial, ..unfolded() });
    let counters = store.health().counters;
    (counters.holes + counters.damaged, counters.known)
}

/// So many groups of a block, in segments of sixteen blocks.
fn filled(groups: usize) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, unfolded());
    for number in 0..groups {
        send(&store, &format!("id-{number:02}"));
    }
    drop(store);
    disk
}

fn send(store: &Store, id: &str) {
    store.append_and_wait(vec![item(id, 1)], NOW).unwrap();
}

fn flip(disk: &SimulatedDisk, slot: u32, offset: usize) {
    let old = disk.log_bytes(slot)[offset];
    disk.damage_log(slot, offset, &[old ^ 0x10]);
}

/// Nobody has met the damage before; a version on trial doesn't make it known, one that stays does.
fn becomes_known(disk: &SimulatedDisk, count: u64, when: &str) {
    assert_eq!(found(disk, true), (count, 0), "{when}: on trial");
    assert_eq!(found(disk, true), (count, 0), "{when}: a trial's second process can't read it either");
    assert_eq!(found(disk, false), (count, 0), "{when}: the one that stays meets it");
    assert_eq!(found(disk, true), (count, count), "{when}: the next trial");
    assert_eq!(found(disk, false), (count, count), "{when}: still told of");
}

#[test]
fn a_hole_or_a_damaged_entry_in_the_unfolded_log_is_known_once_a_version_that_stays_has_met_it() {
    for byte in [0, 5, 9, 17, 33, 41, 50, 60, 75, 90, 200] {
        let disk = filled(8);
        flip(&disk, 1, 3 * BLOCK + byte);
        becomes_known(&disk, 1, &format!("byte {byte}"));
        flip(&disk, 1, 5 * BLOCK + byte);
        assert_eq!(found(&disk, true), (2, 1), "byte {byte}: one more is new");
        assert_eq!(found(&disk, true), (2, 1), "byte {byte}: and stays new");
        assert_eq!(found(&disk, false), (2, 1), "byte {byte}");
        assert_eq!(found(&disk, true), (2, 2), "byte {byte}");
    }
}

#[test]
fn damage_that_has_grown_is_new() {
    for (first, then) in [(3, 4), (4, 3)] {
        let disk = filled(8);
        disk.damage_log(1, first * BLOCK, &[0; BLOCK]);
        becomes_known(&disk, 1, "one group");
        disk.damage_log(1, then * BLOCK, &[0; BLOCK]);
        assert_eq!(found(&disk, true), (1, 0), "one hole, of two groups: {then}");
    }
    let disk = SimulatedDisk::new();
    let store = open(&disk, unfolded());
    // Two entries in one group.
    let transaction =
        |id: &str| Transaction { items: vec![item(id, 1)], essential: false, ..Transaction::default() };
    let (sender, receiver) = std::sync::mpsc::sync_channel(8);
    let held = disk.hold();
    for id in ["first", "one", "two"] {
        let sender = sender.clone();
        store.transact(transaction(id), NOW, Box::new(move |result| sender.send(result).unwrap()));
        while disk.log_bytes(1)[..4] == [0; 4] {
            std::thread::yield_now();
        }
    }
    drop(held);
    for _ in 0..3 {
        receiver.recv().unwrap().unwrap();
    }
    send(&store, "behind");
    assert_eq!(store.health().counters.groups, 3);
    drop(store);
    let first = BLOCK + group::HEADER;
    let second = first + entry::length(&disk.log_bytes(1)[first..]).unwrap();
    flip(&disk, 1, second + 40);
    becomes_known(&disk, 1, "one entry");
    flip(&disk, 1, first + 40);
    assert_eq!(found(&disk, true), (2, 1), "the one beside it");
}

#[test]
fn groups_that_are_missing_without_a_hole_are_known_by_their_numbers() {
    let disk = filled(24);
    // The last group of the first segment: what is looked for behind it is in the next one.
    disk.damage_log(1, 15 * BLOCK, &[0; BLOCK]);
    becomes_known(&disk, 1, "the last");
    disk.damage_log(1, 14 * BLOCK, &[0; BLOCK]);
    assert_eq!(found(&disk, true), (1, 0), "and the one before it");
    assert_eq!(found(&disk, false), (1, 0));
    disk.damage_log(2, 0, &[0; BLOCK]);
    assert_eq!(found(&disk, true), (1, 0), "and the one behind it");
}

#[test]
fn an_entry_that_is_whole_and_cannot_be_understood_is_set_aside_and_known() {
    let disk = filled(8);
    let salt = open(&disk, unfolded()).shared.salt;
    let spoil = |group: usize| {
        let at = group * BLOCK + group::HEADER;
        let mut bytes = disk.log_bytes(1)[at..].to_vec();
        bytes.truncate(entry::length(&bytes).unwrap());
        // A version that nobody has, under a checksum that is right.
        bytes[entry::HEADER] = 99;
        let sum = group::crc(&salt, &[&1_u64.to_le_bytes(), &bytes[8..]]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        disk.damage_log(1, at, &bytes);
    };
    spoil(2);
    becomes_known(&disk, 1, "a record");
    assert!(disk.set_aside_count() > 0);
    spoil(4);
    assert_eq!(found(&disk, true), (2, 1));
    // The last of the log, too: this is no torn end.
    spoil(7);
    assert_eq!(found(&disk, true), (3, 1));
}

#[test]
fn what_the_disk_does_not_give_out_is_known_at_the_end_of_the_log_and_behind_it() {
    // Headers, and what stands behind one: `after` so many readings the disk refuses the block.
    let mut met = Vec::new();
    for (block, after) in [(3, 0), (3, 1), (3, 2), (10, 0)] {
        let disk = nine();
        disk.fail_reads(1, block * BLOCK as u64, after, u64::MAX);
        let (count, known) = found(&disk, false);
        disk.heal();
        disk.fail_reads(1, block * BLOCK as u64, after, u64::MAX);
        assert_eq!((known, found(&disk, true)), (0, (count, count)), "block {block}, after {after}");
        disk.heal();
        assert_eq!(found(&disk, true), (0, 0), "block {block}, after {after}: it is given out again");
        met.push(count);
    }
    assert!(met.contains(&1) && met.contains(&9), "a hole, and a group's nine entries: {met:?}");
    // From some block on to the end of the segment; then there are groups in the one behind it.
    for (block, count) in [(0, 1), (8, 1), (9, 10), (11, 1)] {
        let disk = nine();
        for later in block..16 {
            disk.fail_reads(1, later * BLOCK as u64, 0, u64::MAX);
        }
        assert_eq!(found(&disk, false), (count, 0), "block {block}");
        assert_eq!(found(&disk, true), (count, count), "block {block}");
        let store = open(&disk, Options { keep_format: true, ..unfolded() });
        for number in 0..3 {
            send(&store, &format!("behind-{number}"));
        }
        drop(store);
        assert_eq!(found(&disk, true), (count, count), "block {block}, and groups behind it");
        flip(&disk, 2, BLOCK);
        assert_eq!(found(&disk, true), (count + 1, count), "block {block}, and new damage");
    }
}

#[test]
fn groups_that_an_older_index_never_had_are_known_until_they_are_folded() {
    let disk = filled(20);
    let store = open(&disk, unfolded());
    store.fold().unwrap();
    drop(store);
    let index = disk.copy_index();
    let store = open(&disk, unfolded());
    for number in 0..130 {
        send(&store, &format!("more-{number:03}"));
    }
    drop(store);
    disk.put_index(&index);
    let (count, known) = found(&disk, true);
    assert!(count > 0 && known == 0);
    becomes_known(&disk, count, "an older index");
    let store = open(&disk, unfolded());
    send(&store, "one more");
    store.fold().unwrap();
    drop(store);
    assert_eq!(found(&disk, true), (0, 0), "folded");
}

#[test]
fn on_a_real_disk_the_names_outlast_the_start_and_a_damage_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let start = |on_trial: bool| {
        let disk = FolderDisk::new(folder.path()).unwrap();
        let options = Options { keep_format: on_trial, ..unfolded() };
        Store::open(std::sync::Arc::new(disk), options, Box::new(|_| {})).unwrap()
    };
    let store = start(false);
    for number in 0..8 {
        send(&store, &format!("id-{number}"));
    }
    drop(store);
    let path = folder.path().join("log/1.seg");
    let mut log = std::fs::read(&path).unwrap();
    log[3 * BLOCK..4 * BLOCK].fill(7);
    log[5 * BLOCK + 100] ^= 1;
    std::fs::write(&path, &log).unwrap();
    let found = |on_trial| {
        let counters = start(on_trial).health().counters;
        (counters.holes, counters.damaged, counters.known)
    };
    let names = || {
        let files = std::fs::read_dir(folder.path().join("damaged")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(found(true), (1, 1, 0));
    assert!(names().len() == 2 && names().iter().all(|name| name.ends_with(".trial")), "{:?}", names());
    assert_eq!(found(false), (1, 1, 0));
    assert_eq!(names().len(), 4);
    assert_eq!(std::fs::read(folder.path().join("damaged/log-1-12288-4096-1")).unwrap(), [7; BLOCK]);
    // A disk that was full then, or a power cut, has left a name with nothing behind it.
    std::fs::write(folder.path().join("damaged/log-1-12288-4096-1"), []).unwrap();
    assert_eq!((found(true), found(false)), ((1, 1, 2), (1, 1, 2)));
    assert_eq!(names().len(), 4);
}

#[test]
fn a_version_on_trial_that_can_read_nothing_does_not_make_all_of_it_known() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::new(folder.path()).unwrap();
    for number in 0..200 {
        disk.set_aside(&format!("log-1-{number}-1-1.trial"), b"whole").unwrap();
    }
    assert!(!disk.is_aside("log-1-0-1-1"), "at its second start");
    for number in 0..200 {
        disk.set_aside(&format!("log-2-{number}-1-1"), b"damaged").unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path().join("damaged")).unwrap().count(), 64);
    assert!(disk.is_aside("log-2-0-1-1") && disk.is_aside("log-3-0-1-1"), "nobody can say any more");
}

#[test]
fn a_fold_forgets_the_place_and_not_the_next_damage() {
    let disk = filled(8);
    flip(&disk, 1, 3 * BLOCK + 9);
    becomes_known(&disk, 1, "before");
    let store = open(&disk, small());
    store.fold().unwrap();
    for number in 0..4 {
        send(&store, &format!("later-{number}"));
    }
    drop(store);
    assert_eq!(found(&disk, true), (0, 0));
    flip(&disk, 1, 9 * BLOCK + 9);
    assert_eq!(found(&disk, true), (1, 0));
}
