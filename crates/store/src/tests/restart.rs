//! Starts: after a clean stop, after a kill, with another cut of the ring, with a later format.

use std::sync::Arc;

use model::Sequence;

use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Store};

#[test]
fn sequences_go_on_where_they_were() {
    let mut disk = SimulatedDisk::new();
    for round in 0..5_u64 {
        let store = open(&disk, small());
        assert_eq!(store.newest(), Sequence(round * 10));
        for number in 0..10 {
            store.append_and_wait(vec![item(&format!("id-{round}-{number}"), number)], NOW).unwrap();
        }
        drop(store);
        disk = disk.after_power_cut(round);
    }
    assert_eq!(everything(&open(&disk, small())).len(), 50);
}

#[test]
fn marks_survive_a_kill_at_once_and_a_power_cut_after_a_sync() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    for number in 0..10 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    store.settle(&[Sequence(1), Sequence(3)]);
    // The mark is written as soon as the writer gets to it; what it has answered after is a later job.
    while store.pending() > 8 {
        std::thread::yield_now();
    }
    let written = || disk.after_kill();
    let left = |disk: &SimulatedDisk| waiting(&open(disk, small())).len();
    while left(&written()) > 8 {
        std::thread::yield_now();
    }
    store.flush().unwrap();
    for seed in 0..20 {
        assert_eq!(left(&disk.after_power_cut(seed)), 8);
    }
}

#[test]
fn another_cut_of_the_ring_keeps_everything() {
    let mut disk = SimulatedDisk::new();
    let mut count = 0;
    for (segments, segment_bytes) in
        [(3, 64 << 10), (2, 64 << 10), (5, 64 << 10), (4, 128 << 10), (3, 32 << 10)]
    {
        let store = open(&disk, Options { segments, segment_bytes, ..small() });
        assert_eq!(everything(&store).len(), count);
        for number in 0..15 {
            store
                .append_and_wait(vec![item(&format!("id-{segments}-{segment_bytes}-{number}"), 1)], NOW)
                .unwrap();
        }
        count += 15;
        drop(store);
        disk = disk.after_power_cut(u64::from(segments));
    }
    assert_eq!(waiting(&open(&disk, small())).len(), count);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = crate::FolderDisk::new(folder.path())?;
        Store::open(Arc::new(disk), small(), Box::new(|_| {}))
    };
    let first = open().unwrap();
    assert!(matches!(open().err(), Some(crate::OpenError::InUse)));
    first.append_and_wait(vec![item("a", 1)], NOW).unwrap();
    drop(first);
    let again = open().unwrap();
    assert_eq!(everything(&again).len(), 1);
}
