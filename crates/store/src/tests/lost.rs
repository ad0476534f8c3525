//! What the disk doesn't give out, and what an older index doesn't know of: nothing that is there is
//! passed over, and nothing is written over it.

use std::collections::BTreeSet;

use super::bounds::noise;
use super::{NOW, everything, item, open, small};
use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Store};

pub(super) const BLOCK: u64 = 4096;

/// Nothing is folded but when it is asked for, or the ring is full.
pub(super) fn unfolded() -> Options {
    Options { fold_records: 10_000, fold_bytes: u64::MAX, ..small() }
}

fn send(store: &Store, id: &str) {
    store.append_and_wait(vec![item(id, 1)], NOW).unwrap();
}

/// Eight groups of a block and one of three with nine records, in the first segment.
pub(super) fn nine() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, unfolded());
    for number in 0..8 {
        send(&store, &format!("id-{number}"));
    }
    let large = (0..9).map(|number| noise(&format!("large-{number}"), number));
    store.append_and_wait(large.collect(), NOW).unwrap();
    drop(store);
    let log = disk.log_bytes(1);
    assert!(log[10 * BLOCK as usize..].iter().any(|byte| *byte != 0), "the last is in the eleventh block");
    assert!(log[11 * BLOCK as usize..].iter().all(|byte| *byte == 0), "and nothing behind it");
    disk
}

#[test]
fn a_read_that_fails_once_or_twice_costs_nothing() {
    for block in 0..11 {
        for after in 0..5 {
            for times in 1..=2 {
                let disk = nine();
                disk.fail_reads(1, block * BLOCK, after, times);
                let store = open(&disk, unfolded());
                disk.heal();
                let when = format!("block {block}, after {after}, {times} times");
                assert_eq!(everything(&store).len(), 17, "{when}");
                let counters = store.health().counters;
                assert_eq!((counters.holes, counters.damaged), (0, 0), "{when}");
            }
        }
    }
}

#[test]
fn a_block_that_cannot_be_read_costs_its_group_and_its_place_is_kept_for_it() {
    for block in 0..11 {
        for after in 0..5 {
            let when = format!("block {block}, after {after}");
            let disk = nine();
            disk.fail_reads(1, block * BLOCK, after, u64::MAX);
            let store = open(&disk, unfolded());
            let counters = store.health().counters;
            let newest = store.shared.lock().newest;
            // A header that can be read is all that is read of a block before its records.
            if counters.holes + counters.damaged == 0 {
                assert!(after > 1 || block == 0 || block > 8, "{when}: {counters:?}");
                continue;
            }
            assert!(newest >= 8, "{when}: {newest}");
            if block >= 8 {
                assert!(newest > 17, "{when}: {newest} may be another's");
            }
            send(&store, "behind");
            assert!(store.newest().0 > 17, "{when}");
            drop(store);
            // The disk comes to itself, and everything is there, in order.
            let store = open(&disk.after_kill(), unfolded());
            let all = everything(&store);
            assert_eq!(all.len(), 18, "{when}: {:?}", all.keys());
            assert!(all["behind"].sequence > all["id-7"].sequence, "{when}");
        }
    }
}

#[test]
fn a_segment_that_cannot_be_read_keeps_no_store_from_starting() {
    let disk = nine();
    for block in 0..16 {
        disk.fail_reads(1, block * BLOCK, 0, u64::MAX);
    }
    let store = open(&disk, unfolded());
    assert!(store.health().counters.holes > 0);
    assert!(store.shared.lock().newest > 17);
    for number in 0..30 {
        send(&store, &format!("more-{number}"));
    }
    drop(store);
    let all = everything(&open(&disk, unfolded()));
    assert_eq!(all.keys().filter(|id| id.starts_with("more-")).count(), 30);
}

/// The ids that stand anywhere in the log, as their bytes.
fn written(disk: &SimulatedDisk, segments: u32, ids: &BTreeSet<String>) -> BTreeSet<String> {
    let log: Vec<_> = (0..segments).map(|slot| disk.log_bytes(slot)).collect();
    let is_there = |id: &&String| {
        let wanted = format!("{{\"id\":\"{id}\"");
        log.iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
    };
    ids.iter().filter(is_there).cloned().collect()
}

#[test]
fn an_older_copy_of_the_index_hides_nothing_that_the_log_holds() {
    let segments = small().segments;
    for more in (0..150).step_by(9) {
        let disk = SimulatedDisk::new();
        let store = open(&disk, unfolded());
        let mut ids = BTreeSet::new();
        for number in 0..20 {
            ids.insert(format!("id-{number:03}"));
            send(&store, &format!("id-{number:03}"));
        }
        store.fold().unwrap();
        drop(store);
        let index = disk.copy_index();
        let known: BTreeSet<_> = everything(&open(&disk, unfolded())).into_keys().collect();
        let store = open(&disk, unfolded());
        for number in 20..20 + more {
            ids.insert(format!("id-{number:03}"));
            send(&store, &format!("id-{number:03}"));
        }
        let newest = store.newest();
        drop(store);
        disk.put_index(&index);
        let there = written(&disk, segments, &ids);

        let store = open(&disk, unfolded());
        let found: BTreeSet<_> = everything(&store).into_keys().collect();
        let wanted: BTreeSet<_> = known.union(&there).cloned().collect();
        let missing: Vec<_> = wanted.difference(&found).collect();
        assert!(missing.is_empty(), "{more} more: in the log and passed over: {missing:?}");
        assert_eq!(store.newest(), newest, "{more} more: sequences go on");
        let holes = store.health().counters.holes;
        assert!(holes > 0 || found.len() == ids.len(), "{more} more: {} found", found.len());
        assert!(holes == 0 || more > 27, "{more} more, within the ring: {holes} holes");
        // Life goes on, and takes nothing away.
        for number in 0..30 {
            send(&store, &format!("later-{number:02}"));
        }
        store.fold().unwrap();
        drop(store);
        let again: BTreeSet<_> =
            everything(&open(&disk.after_power_cut(more), unfolded())).into_keys().collect();
        assert!(found.is_subset(&again), "{more} more");
        assert_eq!(again.len(), found.len() + 30, "{more} more");
    }
}

#[test]
fn an_old_group_in_place_of_the_first_of_a_generation_hides_none_behind_it() {
    for (segment_bytes, first) in [(64 << 10, 1), (256 << 10, 80)] {
        let options = Options { segment_bytes, ..unfolded() };
        let disk = SimulatedDisk::new();
        let store = open(&disk, options.clone());
        let fill = |name: &str, blocks: u64| {
            for number in 0..blocks {
                send(&store, &format!("{name}-{number:02}"));
            }
        };
        let blocks = segment_bytes / BLOCK;
        // Three generations, folded; the fourth begins in the place of the first.
        fill("one", blocks);
        let old = disk.log_bytes(1);
        fill("two", 2 * blocks);
        store.fold().unwrap();
        let large = (0..first).map(|number| noise(&format!("first {number:03}{}", "x".repeat(90)), number));
        store.append_and_wait(large.collect(), NOW).unwrap();
        // A group that was written first and lost: the disk has said that it was written.
        fill("four", 5);
        fill("five", blocks);
        drop(store);
        let header = crate::format::group::HEADER;
        let payload = disk.log_bytes(1)[32..40].try_into().map(u64::from_le_bytes).unwrap();
        let lost = (payload as usize + header).div_ceil(BLOCK as usize) * BLOCK as usize;
        assert_eq!(lost > 64 << 10, first > 1, "{lost} bytes");
        disk.damage_log(1, 0, &old[..lost]);
        let store = open(&disk, options);
        let all = everything(&store);
        let found = all.keys().filter(|id| id.starts_with("four-")).count();
        assert_eq!(found, 5, "first group of {lost} bytes");
        assert!(store.health().counters.holes > 0);
    }
}
