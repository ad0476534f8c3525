//! Transactions of the log that can't be read any more.

use std::sync::mpsc::sync_channel;

use model::Sequence;

use super::values::{Model, apply, put, table};
use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Store, Transaction};

fn unfolded() -> Options {
    Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() }
}

fn transaction(number: u8) -> Transaction {
    Transaction {
        changes: vec![put(&[number], b"x"), put(b"newest", &[number])],
        items: vec![item(&format!("id-{number}"), 1)],
        essential: false,
    }
}

/// The table after those of `numbers`.
fn after(numbers: &[u8]) -> Model {
    let mut model = Model::new();
    numbers.iter().for_each(|number| apply(&mut model, &transaction(*number).changes));
    model
}

fn ids(store: &Store) -> Vec<String> {
    everything(store).into_keys().collect()
}

#[test]
fn damage_in_the_midst_of_the_log_costs_its_transaction_and_is_counted() {
    for byte in [0, 5, 17, 41, 50, 60, 70, 75, 90, 130, 200] {
        let disk = SimulatedDisk::new();
        let store = open(&disk, unfolded());
        for number in 0..6 {
            store.transact_and_wait(transaction(number), NOW).unwrap();
        }
        drop(store);
        let old = disk.log_bytes(1)[3 * 4096 + byte];
        disk.damage_log(1, 3 * 4096 + byte, &[old ^ 0x10]);
        for start in 0..2 {
            let store = open(&disk, unfolded());
            assert_eq!(table(&store), after(&[0, 1, 2, 4, 5]), "byte {byte}");
            assert_eq!(ids(&store), ["id-0", "id-1", "id-2", "id-4", "id-5"], "byte {byte}");
            let counters = store.health().counters;
            assert_eq!(counters.holes + counters.damaged, 1, "byte {byte}, start {start}");
            assert!(disk.set_aside_count() > 0);
        }
    }
}

/// Four transactions and a webhook in one group, behind one alone.
fn grouped() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, unfolded());
    let (sender, receiver) = sync_channel(8);
    let answer = || -> crate::Answer {
        let sender = sender.clone();
        Box::new(move |result| sender.send(result).unwrap())
    };
    let held = disk.hold();
    store.transact(transaction(0), NOW, answer());
    // The first group is on its way: what comes now shares the next.
    while disk.log_bytes(1)[..4] == [0; 4] {
        std::thread::yield_now();
    }
    for number in 1..4 {
        store.transact(transaction(number), NOW, answer());
    }
    store.append(vec![item("webhook", 1)], NOW, answer());
    store.transact(transaction(4), NOW, answer());
    drop(held);
    for _ in 0..6 {
        receiver.recv().unwrap().unwrap();
    }
    assert_eq!(store.health().counters.groups, 2);
    drop(store);
    disk
}

/// The first byte of the transaction that is so many entries behind the beginning of the second group.
fn place_of(disk: &SimulatedDisk, entry: usize) -> usize {
    let log = disk.log_bytes(1);
    let mut at = 4096 + 48;
    for _ in 0..entry {
        at += crate::format::entry::length(&log[at..]).unwrap();
    }
    at
}

#[test]
fn of_a_torn_group_the_transactions_before_the_tear_are_there_at_every_start() {
    assert_eq!(table(&open(&grouped(), unfolded())), after(&[0, 1, 2, 3, 4]));
    for (entry, left) in
        [(0, &[0][..]), (1, &[0, 1]), (2, &[0, 1, 2]), (3, &[0, 1, 2, 3, 4]), (4, &[0, 1, 2, 3])]
    {
        let disk = grouped();
        disk.damage_log(1, place_of(&disk, entry) + 30, b"torn");
        let mut first = None;
        for start in 0..4 {
            let store = open(&disk, unfolded());
            assert_eq!(table(&store), after(left), "entry {entry}, start {start}");
            let mut found = ids(&store);
            found.retain(|id| !id.starts_with("behind"));
            let own = found.iter().filter(|id| *id != "webhook").count();
            assert_eq!(own, left.len(), "entry {entry}, start {start}: {found:?}");
            assert_eq!(found.contains(&"webhook".to_owned()), entry != 3);
            assert_eq!(*first.get_or_insert(found.clone()), found);
            assert_eq!(start == 0, store.health().counters.damaged == 0);
            store.append_and_wait(vec![item(&format!("behind-{start}"), 1)], NOW).unwrap();
            if start == 2 {
                store.fold().unwrap();
                assert_eq!(table(&store), after(left), "entry {entry}, folded");
                break;
            }
        }
    }
}

#[test]
fn records_of_transactions_are_read_delivered_and_folded_like_others() {
    let disk = grouped();
    let mut store = open(&disk, unfolded());
    for folded in [false, true] {
        if folded {
            store.fold().unwrap();
        }
        assert_eq!(waiting(&store).len(), 6, "{folded}");
        assert_eq!(store.record(Sequence(3)).unwrap().unwrap().item.id, "id-2");
        store = open(&disk.after_kill(), unfolded());
    }
    store.settle(&(1..=6).map(Sequence).collect::<Vec<_>>());
    assert_eq!(store.pending(), 0);
}

#[test]
fn records_of_a_transaction_that_are_lost_before_they_are_folded_hold_nothing_up() {
    let disk = grouped();
    let store = open(&disk, unfolded());
    disk.damage_log(1, place_of(&disk, 1) + 40, b"damage");
    store.fold().unwrap();
    assert_eq!(table(&store), after(&[0, 1, 2, 3, 4]), "they were in memory");
    drop(store);
    let store = open(&disk.after_kill(), unfolded());
    let left = waiting(&store);
    assert_eq!((left.len(), store.health().counters.damaged), (5, 1));
    store.settle(&left.iter().map(|record| record.sequence).collect::<Vec<_>>());
    assert_eq!(store.pending(), 0);
}
