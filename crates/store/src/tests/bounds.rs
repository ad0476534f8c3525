//! What is larger than it can be, and what goes on for too long.

use std::sync::Arc;
use std::time::Duration;

use model::Item;

use super::{NOW, everything, item, open, small};
use crate::disk::simulated::{Fault, Random, SimulatedDisk};
use crate::{Options, Refused, Store};

#[test]
fn a_record_larger_than_a_segment_is_refused_and_never_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = crate::FolderDisk::new(folder.path()).unwrap();
        Store::open(Arc::new(disk), small(), Box::new(|_| {})).unwrap()
    };
    let store = open();
    store.append_and_wait(vec![item("before", 1)], NOW).unwrap();
    let mut large = item("large", 1);
    large.raw = vec![b'x'; 100 << 10];
    let answer = store.append_and_wait(vec![large], NOW);
    store.append_and_wait(vec![item("after", 1)], NOW).unwrap();
    drop(store);
    let kept: Vec<_> = everything(&open()).into_keys().collect();
    assert_eq!((answer, kept), (Err(Refused::Busy), vec!["after".to_owned(), "before".to_owned()]));
}

#[test]
fn a_webhook_of_many_small_items_with_long_names_is_taken_in_parts() {
    let options = Options { segment_bytes: 5 << 20, segments: 2, ..Options::default() };
    let store = open(&SimulatedDisk::new(), options);
    let many = (0..2_500)
        .map(|number| {
            let mut item = item(&format!("id-{number:05}"), number % 10);
            item.raw.truncate(10);
            let contact = item.contact.as_mut().unwrap();
            contact.name = Some("\u{1f600}".repeat(256));
            contact.username = contact.name.clone();
            item
        })
        .collect();
    store.append_and_wait(many, NOW).unwrap();
    assert_eq!(store.newest(), model::Sequence(2_500));
}

/// When Meta sends the webhook again its first part would get its places behind the others.
#[test]
fn of_a_webhook_in_parts_nothing_is_taken_behind_a_part_that_was_refused() {
    let options = Options { segment_bytes: 8 << 20, segments: 4, ..Options::default() };
    let webhook = || -> Vec<Item> {
        let one = |number: u64| {
            let mut item = item(&format!("id-{number:02}"), 1);
            item.raw = vec![b'x'; 256 << 10];
            item
        };
        (0..20).map(one).collect()
    };
    // Three parts, each with a write and a sync.
    for (fault, taken) in [(1, 0), (3, 7), (5, 14)] {
        let disk = SimulatedDisk::new();
        let store = open(&disk, options.clone());
        disk.inject(disk.operations() + fault, Fault::ErrorOnce);
        assert_eq!(store.append_and_wait(webhook(), NOW), Err(Refused::Disk));
        assert_eq!(everything(&store).len(), taken, "fault at {fault}");
        store.append_and_wait(webhook(), NOW).unwrap();
        let mut records: Vec<_> = everything(&store).into_values().collect();
        records.sort_by_key(|record| record.sequence);
        let ids: Vec<_> = records.iter().map(|record| record.item.id.clone()).collect();
        assert_eq!(ids.len(), 20);
        assert!(ids.is_sorted(), "one customer's messages, by sequence: {ids:?}");
    }
}

#[test]
fn delivery_that_is_faster_than_the_disk_keeps_no_webhook_out() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_records: 1 << 20, segment_bytes: 8 << 20, ..small() });
    let many = (0..3_000).map(|number| item(&format!("id-{number:04}"), number % 9)).collect();
    store.append_and_wait(many, NOW).unwrap();
    let held = disk.hold();
    let (sender, receiver) = std::sync::mpsc::sync_channel(100);
    for number in 0..100 {
        let sender = sender.clone();
        let answer = Box::new(move |result| sender.send(result).unwrap());
        store.append(vec![item(&format!("more-{number:04}"), 1)], NOW, answer);
        // More marks than the queue has places.
        for sequence in number * 30..(number + 1) * 30 {
            store.settle(&[model::Sequence(sequence + 1)]);
        }
    }
    assert_eq!(store.pending(), 0, "as soon as it is said");
    drop(held);
    for _ in 0..100 {
        assert_eq!(receiver.recv().unwrap(), Ok(()));
    }
    store.flush().unwrap();
    drop(store);
    assert_eq!(super::waiting(&open(&disk.after_kill(), small())).len(), 100);
}

/// Of 32 senders who wait for their answers, the half would miss each group if none were waited for.
/// With 10 ms a sync, and 1 ms of waiting, 24 a group are 2,180 a second; 16 without are 1,600.
#[test]
fn on_a_slow_disk_a_group_takes_nearly_everybody_along() {
    const SENDERS: u64 = 32;
    const ROUNDS: u64 = 12;
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { segments: 16, fold_records: 1 << 20, ..small() });
    store.append_and_wait(vec![item("first", 1)], NOW).unwrap();
    disk.slow_down(Duration::from_millis(60));
    let (sender, receiver) = std::sync::mpsc::sync_channel(SENDERS as usize);
    for _ in 0..SENDERS {
        sender.send(Ok(())).unwrap();
    }
    // Whoever else is on the machine may keep the senders from coming back in time.
    let groups = (0..5_u64).map(|attempt| {
        let before = store.health().counters.groups;
        for number in 0..SENDERS * ROUNDS {
            assert_eq!(receiver.recv().unwrap(), Ok(()));
            let sender = sender.clone();
            let answer = Box::new(move |result| _ = sender.send(result));
            store.append(vec![item(&format!("id-{attempt}-{number}"), number)], NOW, answer);
        }
        store.flush().unwrap();
        store.health().counters.groups - before
    });
    let seen: Vec<u64> = groups.take_while(|groups| *groups > SENDERS * ROUNDS / 24).collect();
    assert!(seen.len() < 5, "{seen:?} groups for {} each", SENDERS * ROUNDS);
}

/// An item with bytes that don't pack.
pub(super) fn noise(id: &str, seed: u64) -> Item {
    let mut item = item(id, seed);
    let mut random = Random::new(seed);
    item.raw = std::iter::repeat_with(|| random.below(256) as u8).take(1000).collect();
    item
}

#[test]
fn over_a_small_budget_delivered_history_goes_though_nothing_more_is_delivered() {
    let options =
        Options { max_bytes: 60 << 10, segments: 16, fold_records: 1000, fold_bytes: u64::MAX, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    for number in 0..30 {
        store.append_and_wait(vec![noise(&format!("delivered {number}"), number)], NOW).unwrap();
        store.settle(&[store.newest()]);
    }
    store.fold().unwrap();
    // The CRM is gone from here on, and the floor stays where it is.
    for number in 0..40 {
        let mut tries = 0;
        while store.append_and_wait(vec![noise(&format!("waits {number}"), number)], NOW).is_err() {
            tries += 1;
            assert!(tries < 10_000, "refused for good at {number}");
        }
    }
}

#[test]
fn a_full_budget_that_nothing_can_be_done_about_is_not_folded_over_and_over() {
    let options = Options { max_bytes: 40 << 10, fold_records: 8, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    let mut number = 0;
    let mut next = || {
        number += 1;
        noise(&format!("id-{number:05}"), number)
    };
    // What is folded is packed and may leave room again.
    while store.health().live_bytes < 40 << 10 {
        while store.append_and_wait(vec![next()], NOW).is_ok() {}
        store.fold().unwrap();
    }
    store.settle(&[model::Sequence(1)]);
    store.fold().unwrap();
    let folds = store.health().counters.folds;
    for _ in 0..2_000 {
        store.flush().unwrap();
    }
    let more = store.health().counters.folds - folds;
    assert!(more <= 2, "{more} folds for nothing");
}
