//! A fault at every operation of the disk, log and redb alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Sequence;
use redb::ReadableTable as _;

use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::index::{Index, schema};
use crate::{OpenError, Options, Store};

/// What the outside world was told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    settled: BTreeSet<String>,
    refused: u64,
}

/// Items of a webhook: mostly a few, now and then so many that their group is packed.
const fn items_of(number: u64) -> u64 {
    if number % 10 == 9 { 14 } else { number % 3 + 1 }
}

/// A day in the life: webhooks of a few items or many, redeliveries, marks, folds.
fn live(store: &Store, told: &mut Told, from: u64, to: u64) {
    for number in from..to {
        let ids: Vec<String> = (0..items_of(number)).map(|part| format!("id-{number:03}-{part}")).collect();
        let mut items: Vec<_> = ids.iter().map(|id| item(id, number % 4)).collect();
        if number > from && number % 5 == 0 {
            items.push(item(&format!("id-{:03}-0", number - 1), (number - 1) % 4));
        }
        match store.append_and_wait(items, NOW) {
            Ok(()) => {
                told.acknowledged.extend(ids);
                if number > from && number % 5 == 0 {
                    told.acknowledged.insert(format!("id-{:03}-0", number - 1));
                }
            }
            Err(_) => told.refused += 1,
        }
        if number % 4 == 2 {
            let some = store.undelivered(Sequence::START, 2, 1 << 20).unwrap_or_default();
            store.settle(&some.iter().map(|record| record.sequence).collect::<Vec<_>>());
            told.settled.extend(some.iter().map(|record| record.item.id.clone()));
        }
    }
}

fn check(store: &Store, told: &Told) {
    let all = everything(store);
    let missing: Vec<_> = told.acknowledged.iter().filter(|id| !all.contains_key(*id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    let waiting: BTreeMap<_, _> =
        waiting(store).into_iter().map(|record| (record.item.id.clone(), record)).collect();
    for id in told.acknowledged.difference(&told.settled) {
        assert!(waiting.contains_key(id), "{id} is there and nobody will deliver it");
    }
    assert_eq!(store.pending(), waiting.len() as u64);
}

/// Everything that was acknowledged is known as a duplicate.
fn check_duplicates(store: &Store, told: &Told) {
    let before = everything(store).len();
    for id in &told.acknowledged {
        store.append_and_wait(vec![item(id, 0)], NOW).unwrap();
    }
    assert_eq!(everything(store).len(), before);
}

/// Bytes of content that the checkpoint says there are, and that there are.
pub(super) fn content(disk: &SimulatedDisk) -> (u64, u64) {
    let index = Index::new(1 << 20);
    index.reopen(disk).unwrap();
    let transaction = index.begin_read().unwrap();
    let mut there = 0;
    for table in [schema::BLOCKS, schema::DEAD] {
        let rows = transaction.open_table(table).unwrap();
        there += rows.iter().unwrap().map(|row| row.unwrap().1.value().len() as u64).sum::<u64>();
    }
    let values = transaction.open_table(schema::VALUES).unwrap();
    for row in values.iter().unwrap() {
        let (key, value) = row.unwrap();
        there += (key.value().len() + value.value().len()) as u64;
    }
    (schema::checkpoint(&transaction).unwrap().content_bytes, there)
}

fn operations_of_a_life() -> (u64, u64) {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    let opened = disk.operations();
    live(&store, &mut Told::default(), 0, 90);
    store.fold().unwrap();
    (opened, disk.operations())
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_acknowledged() {
    let (_, last) = operations_of_a_life();
    let mut folded = 0;
    for at in 0..last {
        let disk = SimulatedDisk::new();
        disk.inject(at, Fault::PowerCut);
        let mut told = Told::default();
        let options = Options { fold_wait: Duration::from_millis(20), ..small() };
        match Store::open(std::sync::Arc::new(disk.clone()), options, Box::new(|_| {})) {
            Ok(store) => {
                live(&store, &mut told, 0, 90);
                folded += store.health().counters.folds;
            }
            Err(error) => assert!(matches!(error, OpenError::Index(_) | OpenError::Io { .. }), "{error}"),
        }
        let disk = disk.after_power_cut(at);
        let store = open(&disk, small());
        check(&store, &told);
        check_duplicates(&store, &told);
        live(&store, &mut told, 100, 110);
        assert_eq!(
            told.acknowledged.iter().filter(|id| id.starts_with("id-10")).count() as u64,
            (100..110).map(items_of).sum::<u64>()
        );
        drop(store);
        check(&open(&disk.after_power_cut(at + 1), small()), &told);
    }
    assert!(folded > 0, "the lives were long enough to fold");
}

#[test]
fn an_error_at_every_operation_costs_that_group_and_the_store_goes_on() {
    let (opened, last) = operations_of_a_life();
    let mut refused = 0;
    for at in opened..last {
        let disk = SimulatedDisk::new();
        disk.inject(at, Fault::ErrorOnce);
        let mut told = Told::default();
        let store = open(&disk, small());
        live(&store, &mut told, 0, 90);
        // Marks travel in company or alone, as it happens: not every life is as long as the first.
        disk.inject(u64::MAX, Fault::ErrorOnce);
        refused += told.refused;
        assert!(told.refused <= 2, "one fault, {} refused", told.refused);
        check(&store, &told);
        check_duplicates(&store, &told);
        live(&store, &mut told, 100, 110);
        assert!(told.refused <= 2);
        drop(store);
        let (said, there) = content(&disk);
        assert_eq!(said, there, "operation {at}");
        let store = open(&disk.after_power_cut(at), small());
        check(&store, &told);
        check_duplicates(&store, &told);
    }
    assert!(refused > 0, "some faults hit the log");
}

#[test]
fn a_full_disk_refuses_and_resumes_by_itself() {
    let (opened, last) = operations_of_a_life();
    let full_from = |at: u64| {
        let disk = SimulatedDisk::new();
        let mut told = Told::default();
        let store = open(&disk, small());
        disk.inject(at, Fault::FullFor(12));
        live(&store, &mut told, 0, 90);
        live(&store, &mut told, 100, 110);
        // On a full disk delivered history may go, and nothing else.
        told.acknowledged.retain(|id| !told.settled.contains(id));
        check(&store, &told);
        drop(store);
        check(&open(&disk.after_power_cut(at), small()), &told);
    };
    // Several at a time: a store that was refused waits before it tries again.
    let places: Vec<_> = (opened..last).step_by(7).collect();
    std::thread::scope(|scope| {
        for places in places.chunks(places.len().div_ceil(8)) {
            scope.spawn(move || places.iter().for_each(|at| full_from(*at)));
        }
    });
}
