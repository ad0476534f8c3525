//! The table of values against a model, through folds and starts; and its bounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Item;
use proptest::prelude::*;

use super::{NOW, item, open, small, wait_for_fold, when_open};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::values::{BYTES_MAX, FOLD_BYTES};
use crate::{Change, KEY_MAX, Options, Refused, Store, TRANSACTION_MAX, Transaction, VALUE_MAX};

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn put(key: &[u8], value: &[u8]) -> Change {
    Change { key: key.to_vec(), value: Some(value.to_vec()) }
}

pub(super) fn remove(key: &[u8]) -> Change {
    Change { key: key.to_vec(), value: None }
}

pub(super) fn apply(model: &mut Model, changes: &[Change]) {
    for Change { key, value } in changes {
        match value {
            Some(value) => _ = model.insert(key.clone(), value.clone()),
            None => _ = model.remove(key),
        }
    }
}

/// The whole table.
pub(super) fn table(store: &Store) -> Model {
    when_open(|| store.values(&[], &[0xFF; KEY_MAX], usize::MAX)).into_iter().collect()
}

fn transact(store: &Store, changes: Vec<Change>) -> Result<(), Refused> {
    store.transact_and_wait(Transaction { changes, ..Transaction::default() }, NOW)
}

#[derive(Debug, Clone)]
enum Step {
    Transact(Vec<Change>),
    Fold,
    Kill,
    PowerCut(u64),
    Read { from: Vec<u8>, to: Vec<u8>, limit: usize },
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..3_u8, 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    let change = (key(), prop::option::of(prop::collection::vec(any::<u8>(), 0..600)))
        .prop_map(|(key, value)| Change { key, value });
    let bound = prop::collection::vec(0..4_u8, 0..4);
    prop_oneof![
        6 => prop::collection::vec(change, 0..6).prop_map(Step::Transact),
        2 => Just(Step::Fold),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
        6 => (bound.clone(), bound, 0..12_usize).prop_map(|(from, to, limit)| Step::Read { from, to, limit }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_map_through_folds_and_starts(steps in prop::collection::vec(step(), 1..50)) {
        let mut disk = SimulatedDisk::new();
        let mut store = open(&disk, small());
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Transact(changes) => {
                    prop_assert_eq!(transact(&store, changes.clone()), Ok(()));
                    apply(&mut model, &changes);
                    for change in changes {
                        let value = store.value(&change.key).unwrap();
                        prop_assert_eq!(value.as_ref(), model.get(&change.key));
                    }
                }
                Step::Fold => store.fold().unwrap(),
                Step::Kill => {
                    disk = disk.after_kill();
                    store = open(&disk, small());
                }
                Step::PowerCut(seed) => {
                    disk = disk.after_power_cut(seed);
                    store = open(&disk, small());
                }
                Step::Read { from, to, limit } => {
                    let rows = model.iter().filter(|(key, _)| **key >= from && **key < to).take(limit);
                    let rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(store.values(&from, &to, limit).unwrap(), rows);
                }
            }
            prop_assert_eq!(&table(&store), &model);
        }
    }
}

#[test]
fn who_reads_sees_whole_transactions_in_order_whatever_is_folded() {
    let store = open(&SimulatedDisk::new(), Options { fold_records: 4, ..small() });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut reads) = (0, 0_u64);
            while !over.load(Ordering::Acquire) || reads == 0 {
                let rows = store.values(b"a", b"z", usize::MAX).unwrap();
                let numbers: Vec<u64> = rows
                    .iter()
                    .map(|(_, value)| u64::from_le_bytes(value.as_slice().try_into().unwrap()))
                    .collect();
                assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "halves of two: {numbers:?}");
                let alone = store
                    .value(b"b")
                    .unwrap()
                    .map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()));
                let now = numbers.first().copied().unwrap_or(0);
                assert!(now >= last && alone >= now, "back from {last} to {now}, {alone}");
                last = now;
                reads += 1;
            }
        });
        // How many folds there are beside so many records is the machine's affair: as many more as it takes.
        let mut number = 0_u64;
        while number < 600 || (store.health().counters.folds <= 50 && number < 100_000) {
            number += 1;
            let changes = [b"b", b"d", b"f"].map(|key| put(key, &number.to_le_bytes()));
            transact(&store, changes.to_vec()).unwrap();
            store.append_and_wait(vec![item(&format!("id-{number}"), 1)], NOW).unwrap();
        }
        over.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    assert!(store.health().counters.folds > 50);
}

#[test]
fn what_is_larger_than_it_may_be_is_refused_whole() {
    let disk = SimulatedDisk::new();
    let options = Options { segment_bytes: 5 << 20, ..small() };
    let store = open(&disk, options.clone());
    let good = put(b"good", b"1");
    let mut many: Vec<Change> = (0..4_u8).map(|number| put(&[number], &vec![1; VALUE_MAX])).collect();
    for bad in [put(b"", b"1"), put(&[1; KEY_MAX + 1], b"1"), put(b"k", &vec![1; VALUE_MAX + 1])] {
        assert_eq!(transact(&store, vec![good.clone(), bad]), Err(Refused::TooLarge));
    }
    assert_eq!(transact(&store, many.clone()), Err(Refused::TooLarge), "with the keys it is too much");
    assert!(table(&store).is_empty());
    many.pop();
    many.push(put(&[9; KEY_MAX], &vec![1; VALUE_MAX - 1024]));
    assert_eq!(transact(&store, many), Ok(()));
    assert_eq!(table(&store).len(), 4);
    let mut large = item("large", 1);
    large.raw = vec![b'x'; 2 * TRANSACTION_MAX];
    let with_item = Transaction { changes: vec![good], items: vec![large], essential: false };
    assert_eq!(store.transact_and_wait(with_item, NOW), Err(Refused::TooLarge));
    assert_eq!((table(&store).len(), store.newest().0), (4, 0));
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let people = vec![Vec::new(); TRANSACTION_MAX / 32 + 1];
    store.meet(people, NOW, Box::new(move |result| sender.send(result).unwrap()));
    assert_eq!(receiver.recv().unwrap(), Err(Refused::TooLarge));
    // Nothing of them was ever on its way: no sequence, no person, no duplicate.
    let known = table(&store);
    drop(store);
    let store = open(&disk, options);
    assert_eq!(
        (table(&store) == known, store.newest().0, store.health().live_bytes < 2 << 20),
        (true, 0, true)
    );
    assert_eq!(store.contact(&item("large", 1).contact.unwrap().aliases).unwrap(), None);
    store.append_and_wait(vec![item("large", 1)], NOW).unwrap();
    assert_eq!((store.newest().0, store.health().counters.duplicates), (1, 0));
}

#[test]
fn who_is_told_of_a_refusal_can_tell_them_apart() {
    let all = [Refused::Full, Refused::Busy, Refused::Disk, Refused::TooLarge, Refused::Closed];
    let said: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), all.len());
    assert!(Refused::TooLarge.to_string().contains("too large"));
}

#[test]
fn over_the_budget_only_what_is_essential_is_taken_and_the_account_is_right() {
    let disk = SimulatedDisk::new();
    let options = Options { max_bytes: 40 << 10, ..small() };
    let store = open(&disk, options.clone());
    let one = |number: u8| vec![put(&[number], &[number; 1000])];
    for _ in 0..60 {
        transact(&store, one(0)).unwrap();
        store.fold().unwrap();
    }
    let mut taken = 0;
    while transact(&store, one(taken)).is_ok() {
        taken += 1;
        store.fold().unwrap();
    }
    assert_eq!(taken, 41, "1,006 bytes each, and what is replaced counts once");
    assert_eq!(transact(&store, one(50)), Err(Refused::Full));
    assert_eq!(store.append_and_wait(vec![item("a", 1)], NOW), Err(Refused::Full));
    let essential = Transaction { changes: one(51), items: vec![item("b", 1)], essential: true };
    assert_eq!(store.transact_and_wait(essential, NOW), Ok(()));
    assert_eq!(store.value(&[51]).unwrap(), Some(vec![51; 1000]));
    drop(store);
    let store = open(&disk, options);
    assert_eq!(transact(&store, one(52)), Err(Refused::Full), "counted after a start, too");
    let removals =
        Transaction { changes: (0..20).map(|key| remove(&[key])).collect(), ..Transaction::default() };
    assert_eq!(store.transact_and_wait(removals.clone(), NOW), Err(Refused::Full));
    assert_eq!(store.transact_and_wait(Transaction { essential: true, ..removals }, NOW), Ok(()));
    // Nobody asks for a fold: it comes by itself where it makes room.
    while transact(&store, one(53)).is_err() {
        std::thread::yield_now();
    }
    store.fold().unwrap();
    assert!(store.health().live_bytes < 30 << 10);
}

#[test]
fn a_full_disk_refuses_even_what_is_essential_and_goes_on_by_itself() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_wait: Duration::from_millis(20), ..small() });
    let mut model = Model::new();
    let mut send = |number: u8, essential| {
        let changes = vec![put(&[number % 7], &[number; 3000]), remove(&[(number + 3) % 7])];
        let items = vec![Item { contact: None, ..item(&format!("{number}"), 1) }];
        let outcome =
            store.transact_and_wait(Transaction { changes: changes.clone(), items, essential }, NOW);
        if outcome.is_ok() {
            apply(&mut model, &changes);
        }
        (outcome, model.clone())
    };
    send(0, false).0.unwrap();
    disk.inject(disk.operations(), Fault::FullFor(u64::MAX / 2));
    let refused = (1..200).map(|number| send(number, true)).find(|(outcome, _)| outcome.is_err());
    let (outcome, known) = refused.expect("the log is full in the end");
    // Full; or the index, which this disk doesn't let anybody open then.
    assert!(matches!(outcome, Err(Refused::Full | Refused::Disk)), "{outcome:?}");
    for (key, value) in known {
        assert_eq!(store.value(&key).unwrap(), Some(value), "what was taken can be read");
    }
    disk.inject(u64::MAX, Fault::ErrorOnce);
    while send(201, false).0.is_err() {
        std::thread::yield_now();
    }
    let known = send(202, false).1;
    store.fold().unwrap();
    assert!(table(&store) == known);
    drop(store);
    assert!(table(&open(&disk.after_power_cut(1), small())) == known);
}

#[test]
fn more_values_than_memory_may_hold_wait_for_a_fold_and_webhooks_are_taken_all_the_same() {
    let disk = SimulatedDisk::new();
    let options =
        Options { fold_wait: Duration::from_millis(20), segment_bytes: 4 << 20, ..Options::default() };
    let store = open(&disk, options);
    disk.inject(disk.operations(), Fault::FullFor(u64::MAX / 2));
    let mut number = 0_u64;
    let refused = loop {
        number += 1;
        assert!(number < 100, "some time memory is full");
        let changes = vec![put(&number.to_le_bytes(), &vec![1; VALUE_MAX])];
        if let Err(refused) = transact(&store, changes) {
            break refused;
        }
    };
    assert!(matches!(refused, Refused::Full | Refused::Disk), "{refused}");
    assert!(store.shared.lock().values.bytes() <= BYTES_MAX + TRANSACTION_MAX as u64);
    store.append_and_wait(vec![Item { contact: None, ..item("a", 1) }], NOW).unwrap();
}

#[test]
fn a_hundred_thousand_values_take_no_more_memory_than_a_few() {
    let disk = SimulatedDisk::new();
    let options = Options { segment_bytes: 1 << 20, segments: 4, ..Options::default() };
    let store = open(&disk, options.clone());
    let bytes = |store: &Store| store.shared.lock().values.bytes();
    let mut most = 0;
    for part in 0..500_u32 {
        let changes = (0..200).map(|place| put(&(part * 200 + place).to_be_bytes(), &[7; 100])).collect();
        transact(&store, changes).unwrap();
        most = most.max(bytes(&store));
    }
    assert!(most <= BYTES_MAX, "{most} bytes");
    store.fold().unwrap();
    assert_eq!(bytes(&store), 0);
    transact(&store, vec![put(b"more", b"1")]).unwrap();
    drop(store);
    let store = open(&disk, options);
    assert!(bytes(&store) < 1000, "only what isn't folded");
    assert_eq!(store.values(&[0], &[0xFF], usize::MAX).unwrap().len(), 100_001);
    assert_eq!(store.values(&[0], &[0xFF], 3).unwrap()[2], (2_u32.to_be_bytes().to_vec(), vec![7; 100]));
}

#[test]
fn many_values_are_folded_without_being_asked() {
    let store = open(&SimulatedDisk::new(), Options { segment_bytes: 1 << 20, ..Options::default() });
    for number in 0..32_u8 {
        transact(&store, vec![put(&[number], &vec![1; FOLD_BYTES as usize / 24])]).unwrap();
    }
    wait_for_fold(&store);
}

#[test]
fn another_cut_of_the_ring_keeps_the_values() {
    let unfolded = Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() };
    let mut disk = SimulatedDisk::new();
    let mut model = Model::new();
    for (round, segments, segment_bytes) in [(0_u8, 3, 64 << 10), (1, 2, 64 << 10), (2, 5, 128 << 10)] {
        let store = open(&disk, Options { segments, segment_bytes, ..unfolded.clone() });
        assert_eq!(table(&store), model);
        for number in 0..12 {
            let changes = [put(&[number], &[round; 500]), put(&[round, number], b"x"), remove(&[number + 2])];
            transact(&store, changes.to_vec()).unwrap();
            apply(&mut model, &changes);
        }
        drop(store);
        disk = disk.after_power_cut(u64::from(round));
    }
    let begin = || disk.after_kill();
    let cut = Options { segments: 4, segment_bytes: 32 << 10, ..unfolded };
    let whole = begin();
    assert_eq!(table(&open(&whole, cut.clone())), model);
    for at in 0..whole.operations() {
        let disk = begin();
        disk.inject(at, Fault::PowerCut);
        drop(Store::open(std::sync::Arc::new(disk.clone()), cut.clone(), Box::new(|_| {})));
        assert_eq!(table(&open(&disk.after_power_cut(at), cut.clone())), model, "operation {at}");
    }
}

#[test]
fn a_reader_knows_what_was_folded_while_it_lives() {
    let store = open(&SimulatedDisk::new(), small());
    transact(&store, vec![put(b"a", b"1"), put(b"b", b"1"), put(b"c", b"1")]).unwrap();
    store.fold().unwrap();
    let reader = store.reader();
    let row = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    assert_eq!(reader.value(b"a").unwrap(), Some(b"1".to_vec()));
    for fold in [false, true] {
        let now: &[u8] = if fold { b"3" } else { b"2" };
        transact(&store, vec![put(b"a", now), remove(b"b")]).unwrap();
        if fold {
            store.fold().unwrap();
        }
        assert_eq!(reader.value(b"a").unwrap(), Some(now.to_vec()));
        assert_eq!(reader.value(b"b").unwrap(), None);
        assert_eq!(reader.values(b"a", b"z", 9).unwrap(), [row(b"a", now), row(b"c", b"1")]);
    }
}
