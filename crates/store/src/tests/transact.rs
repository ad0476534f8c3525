//! Transactions through a fault at every operation of the disk: a prefix of them, and each whole.

use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use model::Item;

use super::values::{Model, apply, put, remove, table};
use super::{NOW, everything, item, open, small};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::{OpenError, Options, Refused, Store, Transaction};

/// Transactions in a life: some folds' worth.
const LIFE: u64 = 45;

/// Names the last transaction whose changes are in the table.
const NEWEST: &[u8] = b"newest";

fn item_of(number: u64, place: u64) -> Item {
    item(&format!("own-{number:03}-{place}"), number % 4)
}

/// Transaction number `number`: values short and long, removals, items now and then, and a redelivery
/// among them.
fn transaction(number: u64) -> Transaction {
    let length = (number * 997 % 5 * 1500) as usize;
    let key = |number: u64| [b'k', (number % 9) as u8];
    let long = (0..length).map(|place| (place as u64 * 7 + number) as u8).collect::<Vec<_>>();
    let changes =
        vec![put(&key(number), &long), remove(&key(number + 4)), put(NEWEST, &number.to_be_bytes())];
    let mut items: Vec<_> = (0..number % 3).map(|place| item_of(number, place)).collect();
    if number % 10 == 9 {
        items = (0..14).map(|place| item_of(number, place)).collect();
    }
    if number % 7 == 6 {
        items.push(item_of(number - 1, 0));
    }
    Transaction { changes, items, essential: false }
}

/// What the outside world was told of transactions, in their order.
#[derive(Debug, Default, Clone)]
struct Told {
    answers: Vec<Result<(), Refused>>,
}

impl Told {
    /// The table after those that were taken.
    fn model(&self) -> Model {
        let mut model = Model::new();
        for (number, _) in (0..).zip(&self.answers).filter(|(_, answer)| answer.is_ok()) {
            apply(&mut model, &transaction(number).changes);
        }
        model
    }

    /// The ids of the items of those that were taken.
    fn items(&self) -> BTreeSet<String> {
        let taken = (0..).zip(&self.answers).filter(|(_, answer)| answer.is_ok());
        taken.flat_map(|(number, _)| transaction(number).items).map(|item| item.id).collect()
    }

    fn check(&self, store: &Store, when: &str) {
        assert!(table(store) == self.model(), "{when}: another table");
        let own = everything(store).into_keys().filter(|id| id.starts_with("own"));
        assert_eq!(own.collect::<BTreeSet<_>>(), self.items(), "{when}");
    }
}

/// Sends transactions `from` to `to`, up to five at a time with a webhook between them, so that groups
/// hold one or several.
fn live(store: &Store, told: &mut Told, to: u64) {
    let mut from = told.answers.len() as u64;
    while from < to {
        let many = (from % 5 + 1).min(to - from);
        let (sender, receiver) = sync_channel(8);
        for number in from..from + many {
            let sender = sender.clone();
            store.transact(transaction(number), NOW, Box::new(move |result| sender.send(result).unwrap()));
            if number % 4 == 1 {
                store.append(vec![item(&format!("webhook-{number:03}"), 1)], NOW, Box::new(|_| {}));
            }
        }
        for _ in 0..many {
            told.answers.push(receiver.recv().unwrap());
        }
        from += many;
    }
}

fn operations_of_a_life() -> (u64, u64) {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    let opened = disk.operations();
    live(&store, &mut Told::default(), LIFE);
    super::wait_for_fold(&store);
    store.fold().unwrap();
    assert!(store.health().counters.folds >= 2, "one that came by itself, and one that was asked for");
    (opened, disk.operations())
}

/// Checks that the table is as after one of the transactions, and takes those up to it for told.
fn check_prefix(store: &Store, told: &mut Told, when: &str) {
    let newest = store.value(NEWEST).unwrap();
    let taken = newest.map_or(0, |number| u64::from_be_bytes(number.try_into().unwrap()) + 1);
    let acknowledged = told.answers.iter().take_while(|answer| answer.is_ok()).count() as u64;
    assert!(taken >= acknowledged, "{when}: {acknowledged} acknowledged, {taken} there");
    // On a busy machine a fold may take longer than a transaction waits for it: such a one was never written, though
    // those behind it were.
    let was_busy = |number: usize| told.answers.get(number) == Some(&Err(Refused::Busy));
    let kept = |number| if was_busy(number) { Err(Refused::Busy) } else { Ok(()) };
    told.answers = (0..taken as usize).map(kept).collect();
    told.check(store, when);
}

#[test]
fn a_power_cut_at_every_operation_leaves_a_prefix_of_whole_transactions() {
    let (_, last) = operations_of_a_life();
    let mut more = 0;
    for at in 0..last {
        let disk = SimulatedDisk::new();
        disk.inject(at, Fault::PowerCut);
        let mut told = Told::default();
        let options = Options { fold_wait: Duration::from_millis(20), ..small() };
        match Store::open(std::sync::Arc::new(disk.clone()), options, Box::new(|_| {})) {
            Ok(store) => live(&store, &mut told, LIFE),
            Err(error) => assert!(matches!(error, OpenError::Index(_) | OpenError::Io { .. }), "{error}"),
        }
        let acknowledged = told.answers.iter().filter(|answer| answer.is_ok()).count();
        for seed in 0..2 {
            let when = format!("operation {at}, seed {seed}");
            let mut told = told.clone();
            let disk = disk.after_power_cut(at * 2 + seed);
            let store = open(&disk, small());
            check_prefix(&store, &mut told, &when);
            more += u64::from(told.answers.len() > acknowledged);
            // What is torn stands in the midst of the log from here on.
            store.append_and_wait(vec![item("behind", 1)], NOW).unwrap();
            drop(store);
            let disk = disk.after_power_cut(seed);
            let store = open(&disk, small());
            told.check(&store, &when);
            let known = told.answers.len();
            live(&store, &mut told, known as u64 + 3);
            assert!(told.answers[known..].iter().all(Result::is_ok), "{when}");
            drop(store);
            told.check(&open(&disk.after_kill(), small()), &when);
        }
    }
    assert!(more > 0, "some were there that nobody was told of");
}

#[test]
fn an_error_at_every_operation_leaves_nothing_of_what_was_refused_now_or_later() {
    let (opened, last) = operations_of_a_life();
    let mut refused = 0;
    for at in opened..last {
        let disk = SimulatedDisk::new();
        disk.inject(at, Fault::ErrorOnce);
        let mut told = Told::default();
        let store = open(&disk, small());
        let mut looked = false;
        while (told.answers.len() as u64) < LIFE {
            let to = told.answers.len() as u64 + 1;
            live(&store, &mut told, to);
            if told.answers.iter().any(Result::is_err) && !looked {
                looked = true;
                let when = format!("right after the refusal at operation {at}");
                told.check(&store, &when);
                told.check(&open(&disk.after_kill(), small()), &when);
                told.check(&open(&disk.after_power_cut(at), small()), &when);
            }
        }
        let failed = told.answers.iter().filter(|answer| answer.is_err()).count();
        assert!(failed <= 2, "one fault, {failed} refused");
        refused += failed;
        disk.inject(u64::MAX, Fault::ErrorOnce);
        told.check(&store, &format!("operation {at}"));
        drop(store);
        let (said, there) = super::faults::content(&disk);
        assert_eq!(said, there, "operation {at}");
        told.check(&open(&disk.after_power_cut(at), small()), &format!("operation {at}, later"));
    }
    assert!(refused > 0, "some faults hit the log");
}

#[test]
fn sequences_of_a_refused_transaction_are_never_given_to_others() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    disk.inject(disk.operations() + 1, Fault::ErrorOnce);
    let items = (0..3).map(|place| item_of(5, place)).collect();
    let own = Transaction { items, ..Transaction::default() };
    assert_eq!(store.transact_and_wait(own, NOW), Err(Refused::Disk));
    for disk in [disk.after_kill(), disk.after_power_cut(1)] {
        let store = open(&disk, small());
        store.append_and_wait(vec![item("another", 1)], NOW).unwrap();
        assert_eq!(everything(&store)["another"].sequence.0, 4);
    }
}

#[test]
fn a_refused_transaction_that_taught_who_somebody_is_leaves_others_free_to() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    disk.inject(disk.operations() + 1, Fault::ErrorOnce);
    let own = Transaction { items: vec![item("own", 7)], ..Transaction::default() };
    assert_eq!(store.transact_and_wait(own.clone(), NOW), Err(Refused::Disk));
    store.append_and_wait(vec![item("theirs", 7)], NOW).unwrap();
    store.transact_and_wait(own, NOW).unwrap();
    let contact = |store: &Store, id: &str| everything(store)[id].contact_id.clone();
    for store in [&store, &open(&disk.after_power_cut(1), small())] {
        assert_eq!(contact(store, "own"), contact(store, "theirs"));
        assert_eq!(super::waiting(store).len(), 2);
    }
}

#[test]
fn whoever_makes_transactions_is_told_of_a_slow_disk() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    assert_eq!(store.company_wait(), Duration::ZERO, "nothing was synced yet");
    disk.slow_down(Duration::from_millis(10));
    store.transact_and_wait(transaction(0), NOW).unwrap();
    let wait = store.company_wait();
    assert!(wait >= Duration::from_millis(1) && wait <= Duration::from_millis(5), "{wait:?}");
}
