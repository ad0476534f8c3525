//! Bytes that change by themselves cost their own record and no other.

use redb::ReadableTable as _;

use super::bounds::noise;
use super::values::{apply, put, table};
use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::index::{Index, schema};
use crate::{Options, Store, Transaction};

fn filled() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_records: 1000, ..small() });
    for number in 0..8 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    drop(store);
    disk.after_kill()
}

#[test]
fn a_damaged_block_costs_its_group_and_the_hole_is_counted() {
    for block in 0..7 {
        for byte in [0, 5, 9, 17, 33, 41, 50, 60, 75, 200] {
            let disk = filled();
            let old = disk.log_bytes(1)[block * 4096 + byte];
            disk.damage_log(1, block * 4096 + byte, &[old ^ 0x10]);
            let store = open(&disk, small());
            let all = everything(&store);
            assert!(!all.contains_key(&format!("id-{block}")), "block {block} byte {byte}");
            assert_eq!(all.len(), 7, "block {block} byte {byte}");
            let counters = store.health().counters;
            assert_eq!(counters.holes + counters.damaged, 1, "block {block} byte {byte}: {counters:?}");
            assert!(disk.set_aside_count() > 0);
        }
    }
}

#[test]
fn zeros_in_place_of_the_first_group_of_a_segment_cost_that_group_alone() {
    let disk = SimulatedDisk::new();
    let options = Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() };
    let store = open(&disk, options.clone());
    for number in 0..20 {
        store.append_and_wait(vec![item(&format!("id-{number:02}"), number)], NOW).unwrap();
    }
    drop(store);
    // Sixteen groups of a block fill the first segment.
    disk.damage_log(2, 0, &[0; 4096]);
    let store = open(&disk, options);
    let all = everything(&store);
    assert_eq!((all.len(), all.contains_key("id-16")), (19, false));
    assert_eq!(store.health().counters.holes, 1);
}

#[test]
fn a_group_that_a_power_cut_has_torn_is_no_damage() {
    let disk = SimulatedDisk::new();
    let options = Options { fold_records: 1000, ..small() };
    let store = open(&disk, options.clone());
    store.append_and_wait(vec![item("first", 1)], NOW).unwrap();
    let many = (0..20).map(|number| noise(&format!("a long one {number:03}"), number)).collect();
    store.append_and_wait(many, NOW).unwrap();
    drop(store);
    disk.damage_log(1, 4096 * 3, &[0; 4096]);
    let store = open(&disk, options.clone());
    assert_eq!((store.health().counters.damaged, disk.set_aside_count()), (0, 0));
    store.append_and_wait(vec![item("behind", 1)], NOW).unwrap();
    drop(store);
    let store = open(&disk, options);
    assert!(store.health().counters.damaged > 0 && disk.set_aside_count() > 0);
    assert!(everything(&store).contains_key("behind"));
}

/// Twenty records packed into one block of the log, between two alone.
fn packed() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_records: 1000, ..small() });
    store.append_and_wait(vec![item("first", 1)], NOW).unwrap();
    let many = (0..20).map(|number| item(&format!("packed {number:02}"), number)).collect();
    store.append_and_wait(many, NOW).unwrap();
    store.append_and_wait(vec![item("last", 1)], NOW).unwrap();
    drop(store);
    assert_ne!(disk.log_bytes(1)[2 * 4096..2 * 4096 + 4], [0; 4], "the last group is in the third block");
    assert_eq!(disk.log_bytes(1)[3 * 4096..3 * 4096 + 4], [0; 4], "and nothing behind it");
    disk
}

#[test]
fn a_damaged_byte_among_packed_records_costs_their_group_alone_and_is_counted() {
    for byte in [0, 9, 17, 33, 41, 50, 60, 75, 90, 200, 700] {
        let disk = packed();
        let old = disk.log_bytes(1)[4096 + byte];
        disk.damage_log(1, 4096 + byte, &[old ^ 0x10]);
        let store = open(&disk, small());
        assert_eq!(everything(&store).into_keys().collect::<Vec<_>>(), ["first", "last"], "byte {byte}");
        let counters = store.health().counters;
        assert_eq!(counters.holes + counters.damaged, 1, "byte {byte}: {counters:?}");
        assert!(disk.set_aside_count() > 0);
    }
}

#[test]
fn packed_records_that_are_lost_before_they_are_folded_hold_nothing_up() {
    let disk = packed();
    let store = open(&disk, Options { fold_records: 1000, ..small() });
    disk.damage_log(1, 4096 + 100, b"damage");
    store.fold().unwrap();
    drop(store);
    let store = open(&disk.after_kill(), small());
    let left = waiting(&store);
    assert_eq!(left.len(), 2);
    assert_eq!(store.health().counters.damaged, 20);
    store.settle(&left.iter().map(|record| record.sequence).collect::<Vec<_>>());
    assert_eq!(store.pending(), 0);
}

#[test]
fn a_record_that_is_lost_before_it_is_folded_holds_nothing_up() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_records: 1000, ..small() });
    for number in 0..8 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    disk.damage_log(1, 3 * 4096 + 100, b"damage");
    store.fold().unwrap();
    drop(store);
    let store = open(&disk.after_kill(), small());
    let left = waiting(&store);
    assert_eq!(left.len(), 7);
    assert_eq!(store.health().counters.damaged, 1);
    store.settle(&left.iter().map(|record| record.sequence).collect::<Vec<_>>());
    assert_eq!(store.pending(), 0);
}

#[test]
fn a_damaged_block_of_the_index_costs_its_records_wherever_the_damage_is() {
    for byte in [0, 1, 2, 3, 4, 9, 12, 19, 20, 27, 40] {
        let disk = SimulatedDisk::new();
        let store = open(&disk, Options { fold_records: 1000, ..small() });
        for round in 0..3 {
            for number in 0..4 {
                store.append_and_wait(vec![item(&format!("id-{round}-{number}"), number)], NOW).unwrap();
            }
            store.fold().unwrap();
        }
        drop(store);
        for (damaged, left) in [(1, 8), (9, 4)] {
            let index = Index::new(1 << 20);
            index.reopen(&disk).unwrap();
            let transaction = index.begin_write().unwrap();
            let mut blocks = transaction.open_table(schema::BLOCKS).unwrap();
            let mut bytes = blocks.get(damaged).unwrap().unwrap().value().to_vec();
            bytes[byte] ^= 0x80;
            blocks.insert(damaged, bytes.as_slice()).unwrap();
            drop(blocks);
            transaction.commit().unwrap();
            index.close();
            let store = open(&disk, small());
            assert_eq!(everything(&store).len(), left, "byte {byte}");
            let found = waiting(&store);
            assert_eq!((found.len(), store.pending()), (left, left as u64), "byte {byte}");
            assert_eq!(store.health().counters.damaged, 4, "byte {byte}");
        }
    }
}

/// Changes the row of `key` in the index by hand.
fn spoil(disk: &SimulatedDisk, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let index = Index::new(1 << 20);
    index.reopen(disk).unwrap();
    let transaction = index.begin_write().unwrap();
    let mut rows = transaction.open_table(schema::VALUES).unwrap();
    let mut bytes = rows.get(key).unwrap().unwrap().value().to_vec();
    change(&mut bytes);
    rows.insert(key, bytes.as_slice()).unwrap();
    drop(rows);
    transaction.commit().unwrap();
    index.close();
}

#[test]
fn a_value_that_cannot_be_read_costs_itself_and_no_range_that_it_stands_in() {
    let transact = |store: &Store, changes: &[crate::Change]| {
        let changes = changes.to_vec();
        store.transact_and_wait(Transaction { changes, ..Transaction::default() }, NOW).unwrap();
    };
    // Another version, a key that nobody has, too short.
    let ways: [fn(&mut Vec<u8>); 4] = [|row| row[0] = 9, |row| row[3] = 1, |row| row.truncate(4), Vec::clear];
    for (way, change) in ways.into_iter().enumerate() {
        let disk = SimulatedDisk::new();
        let store = open(&disk, small());
        let changes: Vec<_> = (0..6_u8).map(|key| put(&[b'q', key], &[key; 100])).collect();
        transact(&store, &changes);
        store.fold().unwrap();
        drop(store);
        spoil(&disk, &[b'q', 2], change);
        let mut left = std::collections::BTreeMap::new();
        apply(&mut left, &changes);
        left.remove([b'q', 2].as_slice());
        for start in 1..3_u64 {
            let store = open(&disk, small());
            for _ in 0..3 {
                assert_eq!(store.value(&[b'q', 2]).unwrap(), None, "way {way}");
                assert_eq!(table(&store), left, "way {way}");
                let some: Vec<_> = left.clone().into_iter().skip(1).take(3).collect();
                assert_eq!(store.values(&[b'q', 1], b"r", 3).unwrap(), some, "way {way}");
            }
            let counters = store.health().counters;
            assert_eq!((counters.damaged, counters.known), (1, start - 1), "way {way}");
            assert_eq!(disk.set_aside_count(), 1, "way {way}");
        }
        let store = open(&disk, small());
        let again = [put(&[b'q', 2], b"whole"), put(&[b'q', 4], b"other")];
        transact(&store, &again);
        apply(&mut left, &again);
        store.fold().unwrap();
        assert_eq!(table(&store), left, "way {way}");
        drop(store);
        let store = open(&disk, small());
        assert_eq!(table(&store), left, "way {way}");
        assert_eq!((store.health().counters.damaged, disk.set_aside_count()), (0, 1), "way {way}");
    }
}

#[test]
fn damage_is_known_when_a_version_that_stays_has_met_it_and_not_when_one_on_trial_has() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    let changes: Vec<_> = (0..3_u8).map(|key| put(&[b'q', key], &[key; 100])).collect();
    store.transact_and_wait(Transaction { changes, ..Transaction::default() }, NOW).unwrap();
    store.fold().unwrap();
    drop(store);
    let counts = |on_trial: bool| {
        let store = open(&disk, Options { keep_format: on_trial, ..small() });
        table(&store);
        let counters = store.health().counters;
        (counters.damaged, counters.known)
    };
    spoil(&disk, &[b'q', 1], Vec::clear);
    assert_eq!(counts(true), (1, 0));
    assert_eq!(counts(true), (1, 0), "a trial's second process can't read it either");
    assert_eq!(counts(false), (1, 0), "the one that stays meets it");
    assert_eq!(counts(true), (1, 1));
    spoil(&disk, &[b'q', 2], Vec::clear);
    assert_eq!(counts(true), (2, 1), "one more is new");
}

#[test]
fn bytes_that_look_like_a_group_of_another_store_are_none() {
    let (ours, theirs) = (filled(), filled());
    let foreign = theirs.log_bytes(1)[..4096].to_vec();
    ours.damage_log(1, 8 * 4096, &foreign);
    let store = open(&ours, small());
    assert_eq!(everything(&store).len(), 8);
    assert_eq!(store.health().counters.holes, 0, "nothing valid stands behind it");
}

#[test]
fn a_damaged_index_costs_history_and_not_the_box() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { segments: 4, ..small() });
    for number in 0..60 {
        store.append_and_wait(vec![item(&format!("id-{number:02}"), number % 5)], NOW).unwrap();
    }
    store.fold().unwrap();
    store.append_and_wait(vec![item("last", 1)], NOW).unwrap();
    let newest = store.newest();
    drop(store);
    disk.damage_index(0, &[0; 64]);
    let store = open(&disk, Options { segments: 4, ..small() });
    let all = everything(&store);
    assert!(all.contains_key("last"));
    assert!(all.len() > 20, "what the ring still holds is back: {}", all.len());
    assert_eq!(store.newest(), newest, "sequences go on");
    assert_eq!(store.pending(), all.len() as u64);
    assert!(store.health().counters.damaged > 0);
    store.append_and_wait(vec![item("last", 1), item("new", 1)], NOW).unwrap();
    store.fold().unwrap();
    drop(store);
    let again = everything(&open(&disk, Options { segments: 4, ..small() }));
    assert_eq!(again.len(), all.len() + 1, "the duplicate was recognised");
}

#[test]
fn an_index_that_was_built_anew_or_is_gone_finds_the_log_again_before_any_fold() {
    for gone in [false, true] {
        let disk = SimulatedDisk::new();
        let options = Options { segments: 4, fold_bytes: u64::MAX, ..small() };
        let store = open(&disk, options.clone());
        for number in 0..90 {
            store.append_and_wait(vec![item(&format!("id-{number:02}"), number % 5)], NOW).unwrap();
        }
        store.fold().unwrap();
        store.append_and_wait(vec![item("last", 1)], NOW).unwrap();
        let newest = store.newest();
        drop(store);
        if gone {
            crate::disk::Disk::set_index_aside(&disk).unwrap();
        } else {
            disk.damage_index(0, &[0; 64]);
        }
        let mut found = Vec::new();
        let options = Options { fold_records: 1000, ..options };
        for start in 0..3 {
            let store = open(&disk, options.clone());
            let all = everything(&store);
            assert!(all.contains_key("last"), "start {start}, gone {gone}");
            let first = all.values().map(|record| record.sequence).min().unwrap();
            let oldest =
                store.page(&crate::Query { after: None, limit: 1, bytes: 1 }, &|_| true).unwrap().oldest;
            assert_eq!((store.newest(), oldest), (newest, first), "start {start}, gone {gone}");
            found.push(all.len());
        }
        assert!(found[0] > 20 && found[1..].iter().all(|count| *count == found[0]), "{found:?}");
    }
}

#[test]
fn a_lost_identity_is_read_from_the_index() {
    let disk = filled();
    disk.lose_identity();
    assert_eq!(everything(&open(&disk, small())).len(), 8);
    assert_eq!(everything(&open(&disk.after_kill(), small())).len(), 8);
}

#[test]
fn an_index_that_panics_again_and_again_is_set_aside_and_once_is_not_enough() {
    let disk = filled();
    disk.note_panic();
    drop(open(&disk, small()));
    assert_eq!(disk.set_aside_count(), 0);
    disk.note_panic();
    let store = open(&disk, small());
    assert_eq!(disk.set_aside_count(), 1);
    assert_eq!(everything(&store).len(), 8, "the log is read again");
    drop(store);
    drop(open(&disk, small()));
    assert_eq!(disk.set_aside_count(), 1, "the count began anew");
}
