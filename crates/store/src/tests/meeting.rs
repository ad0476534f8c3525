//! People who are met without a record.

use std::sync::mpsc::sync_channel;

use model::{Alias, AliasKind, ContactId, WallTime};

use super::{NOW, everything, item, open, small, wait_for_fold};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::{Options, Refused, Store};

fn user(number: u64) -> Alias {
    Alias { kind: AliasKind::UserId, value: format!("HK.{number}") }
}

fn phone(number: u64) -> Alias {
    Alias { kind: AliasKind::Phone, value: format!("8526123{number:04}") }
}

fn meet(store: &Store, people: &[Vec<Alias>], at: i64) -> Result<Vec<ContactId>, Refused> {
    let (sender, receiver) = sync_channel(1);
    store.meet(people.to_vec(), WallTime(NOW.0 + at), Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap()
}

#[test]
fn a_person_is_the_same_contact_in_one_call_in_later_ones_in_records_and_after_a_start() {
    let mut disk = SimulatedDisk::new();
    let mut store = open(&disk, small());
    let people = [vec![user(1)], vec![phone(2)], vec![user(1), phone(1)], vec![phone(2)], vec![phone(1)]];
    assert_eq!(store.contact(&people[0]).unwrap(), None);
    let first = meet(&store, &people, 0).unwrap();
    assert_eq!((&first[0], &first[1]), (&first[2], &first[3]));
    assert_eq!(first[0], first[4], "learned within the call");
    assert_ne!(first[0], first[1]);
    let groups = store.health().counters.groups;
    assert_eq!(meet(&store, &people, 1).unwrap(), first);
    assert_eq!(store.health().counters.groups, groups, "nothing new was to be written");
    store.append_and_wait(vec![item("of the first", 1)], NOW).unwrap();
    for round in 0..4 {
        for (aliases, contact) in people.iter().zip(&first) {
            assert_eq!(store.contact(aliases).unwrap().as_ref(), Some(contact), "round {round}");
        }
        assert_eq!(everything(&store)["of the first"].contact_id.as_ref(), Some(&first[0]));
        if round == 1 {
            store.fold().unwrap();
            continue;
        }
        disk = disk.after_power_cut(round);
        store = open(&disk, small());
        assert_eq!(meet(&store, &people, 2).unwrap(), first);
    }
    assert_eq!(store.contact(&[phone(9)]).unwrap(), None);
}

#[test]
fn two_contacts_that_turn_out_to_be_one_are_a_family_of_the_older() {
    let mut disk = SimulatedDisk::new();
    let mut store = open(&disk, small());
    let older = meet(&store, &[vec![phone(1)]], 0).unwrap().remove(0);
    store.append_and_wait(vec![item("a", 1)], WallTime(NOW.0 + 5)).unwrap();
    let younger = store.contact(&[user(1)]).unwrap().unwrap();
    assert_eq!(store.family(&younger), std::slice::from_ref(&younger));
    assert_eq!(meet(&store, &[vec![user(1), phone(1)]], 9).unwrap(), std::slice::from_ref(&older));
    for round in 0..4 {
        for aliases in [[user(1)], [phone(1)]] {
            assert_eq!(store.contact(&aliases).unwrap(), Some(older.clone()), "round {round}");
        }
        for member in [&older, &younger] {
            assert_eq!(store.family(member), [older.clone(), younger.clone()]);
        }
        assert_eq!(everything(&store)["a"].contact_id.as_ref(), Some(&older));
        if round == 1 {
            store.fold().unwrap();
        } else {
            disk = disk.after_power_cut(round);
            store = open(&disk, small());
        }
    }
}

#[test]
fn who_was_met_in_a_group_that_was_refused_is_unknown_now_and_after_a_start() {
    for at in 0..2 {
        let disk = SimulatedDisk::new();
        let store = open(&disk, small());
        let first = meet(&store, &[vec![user(1)]], 0).unwrap();
        disk.inject(disk.operations() + at, Fault::ErrorOnce);
        assert_eq!(meet(&store, &[vec![user(2)], vec![user(1), phone(1)]], 1), Err(Refused::Disk));
        for store in [&store, &open(&disk.after_kill(), small()), &open(&disk.after_power_cut(at), small())] {
            assert_eq!(store.contact(&[user(2)]).unwrap(), None);
            assert_eq!(store.contact(&[phone(1)]).unwrap(), None);
            assert_eq!(store.contact(&[user(1)]).unwrap(), Some(first[0].clone()));
        }
        assert_eq!(meet(&store, &[vec![user(1), phone(1)]], 2).unwrap(), first);
    }
}

#[test]
fn people_who_are_only_met_are_folded_and_too_many_at_once_are_refused() {
    let store = open(&SimulatedDisk::new(), Options { segment_bytes: 1 << 20, ..Options::default() });
    let many =
        |from: u64, count: u64| (from..from + count).map(|number| vec![user(number)]).collect::<Vec<_>>();
    assert_eq!(meet(&store, &many(0, 30_000), 0), Err(Refused::TooLarge));
    for part in 0..10 {
        assert_eq!(meet(&store, &many(part * 2000, 2000), 0).unwrap().len(), 2000);
    }
    wait_for_fold(&store);
    assert!(store.contact(&[user(19_999)]).unwrap().is_some());
}
