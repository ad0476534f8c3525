//! Bytes that change by themselves cost their own record and no other.

use super::{NOW, everything, item, open, small};
use crate::Options;
use crate::disk::simulated::SimulatedDisk;

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
fn a_lost_identity_is_read_from_the_index() {
    let disk = filled();
    disk.lose_identity();
    assert_eq!(everything(&open(&disk, small())).len(), 8);
    assert_eq!(everything(&open(&disk.after_kill(), small())).len(), 8);
}
