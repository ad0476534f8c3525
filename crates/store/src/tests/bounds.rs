//! What is larger than it can be, and what goes on for too long.

use std::sync::Arc;

use model::Item;

use super::{NOW, everything, item, open, small};
use crate::disk::simulated::{Random, SimulatedDisk};
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
