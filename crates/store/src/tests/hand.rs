//! Records on hand are those that the disk has, and not for ever.

use model::{Alias, AliasKind, Sequence};

use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Store};

const ALL: usize = usize::MAX;

fn at_hand(store: &Store, after: u64) -> Option<Vec<u64>> {
    let records = store.at_hand(Sequence(after), ALL, ALL)?;
    Some(records.iter().map(|record| record.sequence.0).collect())
}

#[test]
fn what_is_on_hand_is_what_the_disk_says() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    for number in 0..12 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number % 3)], NOW).unwrap();
    }
    // Two contacts turn out to be one: the records of the younger are shown under the older.
    let mut both = item("both", 1);
    let other = Alias { kind: AliasKind::UserId, value: "HK.2".into() };
    both.contact.as_mut().unwrap().aliases.push(other);
    store.append_and_wait(vec![both], NOW).unwrap();
    let on_hand = store.at_hand(Sequence::START, ALL, ALL).unwrap();
    let on_disk = everything(&store);
    assert_eq!(on_hand.len(), 13);
    for record in on_hand {
        assert_eq!(on_disk[&record.item.id], record);
    }
}

#[test]
fn what_is_settled_is_not_on_hand_and_limits_are_kept() {
    let store = open(&SimulatedDisk::new(), small());
    for number in 0..6 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    store.settle(&[Sequence(1), Sequence(4)]);
    assert_eq!(at_hand(&store, 0), Some(vec![2, 3, 5, 6]));
    assert_eq!(at_hand(&store, 3), Some(vec![5, 6]));
    assert_eq!(at_hand(&store, 6), Some(vec![]));
    assert_eq!(store.at_hand(Sequence::START, 3, ALL).unwrap().len(), 3);
    assert_eq!(store.at_hand(Sequence::START, ALL, 1).unwrap().len(), 1, "one at least");
    store.give_up(Sequence(2), "400", Some(400), 1, NOW);
    assert_eq!(at_hand(&store, 0), Some(vec![3, 5, 6]));
}

#[test]
fn a_hand_is_bounded_and_what_fell_out_of_it_is_read_from_the_disk() {
    let options = Options { segment_bytes: 8 << 20, fold_records: 1 << 20, fold_bytes: u64::MAX, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    for number in 0..40 {
        let mut large = item(&format!("id-{number:02}"), number);
        large.raw = vec![b'x'; 100 << 10];
        store.append_and_wait(vec![large], NOW).unwrap();
    }
    assert_eq!(at_hand(&store, 0), None);
    assert_eq!(waiting(&store).len(), 40);
    let kept = at_hand(&store, 30).unwrap();
    assert_eq!(kept.len(), 10);
    let first = (0..40).find(|after| at_hand(&store, *after).is_some()).unwrap();
    assert!((19..30).contains(&first), "2 MiB are some twenty of them: {first}");
    store.settle(&(1..=first).map(Sequence).collect::<Vec<_>>());
    assert_eq!(at_hand(&store, 0), Some((first + 1..=40).collect()), "all that waits is on hand again");
}

#[test]
fn after_a_start_the_disk_is_asked_until_the_backlog_is_gone() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("before", 1)], NOW).unwrap();
    drop(store);
    let store = open(&disk.after_kill(), small());
    assert_eq!(at_hand(&store, 0), None);
    store.append_and_wait(vec![item("after", 1)], NOW).unwrap();
    assert_eq!((at_hand(&store, 0), at_hand(&store, 1)), (None, Some(vec![2])));
    store.settle(&[Sequence(1)]);
    assert_eq!(at_hand(&store, 0), Some(vec![2]));
}

#[test]
fn where_nothing_is_delivered_nothing_is_kept() {
    let store = open(&SimulatedDisk::new(), Options { deliver: false, ..small() });
    store.append_and_wait(vec![item("a", 1)], NOW).unwrap();
    assert_eq!(at_hand(&store, 0), Some(vec![]));
}

#[test]
fn a_refused_group_leaves_nothing_on_hand() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("a", 1)], NOW).unwrap();
    disk.inject(disk.operations() + 1, crate::disk::simulated::Fault::ErrorOnce);
    store.append_and_wait(vec![item("b", 1)], NOW).unwrap_err();
    store.append_and_wait(vec![item("c", 1)], NOW).unwrap();
    assert_eq!(at_hand(&store, 0), Some(vec![1, 3]));
}
