//! The journal without faults: order, duplicates, folding, retention, dead letters.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Sequence, WallTime};
use proptest::prelude::*;

use super::{NOW, everything, item, open, small, wait_for_fold, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Query, ReadError, Refused};

#[test]
fn records_come_back_in_order_from_tail_and_blocks() {
    let store = open(&SimulatedDisk::new(), small());
    for number in 0..100 {
        store.append_and_wait(vec![item(&format!("id-{number:03}"), number % 7)], NOW).unwrap();
    }
    wait_for_fold(&store);
    let all = everything(&store);
    assert_eq!(all.len(), 100);
    let order: Vec<_> = all.values().map(|record| record.sequence).collect();
    assert!(order.is_sorted(), "ids were given in the order of their names");
    assert_eq!(all["id-042"].item.raw, item("id-042", 0).raw);
    assert_eq!(waiting(&store).len(), 100);
    assert_eq!(store.backlog().unwrap().oldest_received_at, Some(NOW));
}

#[test]
fn a_duplicate_is_answered_and_takes_no_place() {
    let store = open(&SimulatedDisk::new(), small());
    store.append_and_wait(vec![item("a", 1), item("b", 1), item("a", 1)], NOW).unwrap();
    store.append_and_wait(vec![item("b", 1), item("c", 1)], NOW).unwrap();
    store.fold().unwrap();
    store.append_and_wait(vec![item("a", 1), item("c", 1)], NOW).unwrap();
    assert_eq!(everything(&store).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(store.health().counters.duplicates, 4);
    assert_eq!(store.newest(), Sequence(3));
}

#[test]
fn one_person_keeps_one_name_across_folds() {
    let store = open(&SimulatedDisk::new(), small());
    for number in 0..60 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number % 3)], NOW).unwrap();
        if number % 20 == 10 {
            store.fold().unwrap();
        }
    }
    let names: BTreeSet<_> =
        everything(&store).into_values().map(|record| record.contact_id.clone()).collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn an_after_outside_of_what_is_kept_is_gone() {
    let options = Options { history: Duration::ZERO, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    for number in 0..50 {
        store.append_and_wait(vec![item(&format!("id-{number:03}"), 1)], NOW).unwrap();
    }
    let sequences: Vec<_> = waiting(&store).iter().map(|record| record.sequence).collect();
    store.settle(&sequences[..40]);
    store.flush().unwrap();
    let page = |after| store.page(&Query { after, limit: 1, bytes: 1 }, &|_| true);
    assert!(page(Some(Sequence(51))).is_err(), "not there yet");
    // Ages are whole milliseconds that the box saw pass: fold until one has passed.
    while !matches!(page(Some(Sequence(0))), Err(ReadError::Gone { .. })) {
        store.append_and_wait(vec![item(&format!("more-{}", store.newest()), 1)], NOW).unwrap();
        store.fold().unwrap();
    }
    let oldest = page(None).unwrap().oldest;
    assert_eq!(store.health().records, everything(&store).len() as u64);
    assert!(oldest > Sequence(1) && oldest <= Sequence(41), "what isn't settled stays: {oldest}");
    assert_eq!(waiting(&store)[0].sequence, Sequence(41));
}

#[test]
fn over_the_budget_delivered_history_goes_first_and_then_intake_is_refused_until_there_is_room() {
    let options = Options { max_bytes: 40 << 10, fold_records: 8, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    let noise = |number: u64| {
        let mut item = item(&format!("id-{number:05}"), number);
        let mut state = number | 1;
        item.raw = (0..1000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        item
    };
    let mut number = 0;
    let refused = loop {
        number += 1;
        assert!(number < 1000, "the budget holds");
        if let Err(refused) = store.append_and_wait(vec![noise(number)], NOW) {
            break refused;
        }
    };
    assert_eq!(refused, Refused::Full);
    let kept = waiting(&store);
    assert_eq!(kept.len() as u64, number - 1, "nothing undelivered went");
    store.settle(&kept.iter().map(|record| record.sequence).collect::<Vec<_>>());
    store.flush().unwrap();
    store.fold().unwrap();
    for _ in 0..200 {
        number += 1;
        // Room is made by the folder: a refusal meanwhile is the bounded wait, not the end.
        while store.append_and_wait(vec![noise(number)], NOW).is_err() {
            store.fold().unwrap();
        }
        store.settle(&[store.newest()]);
    }
    assert!(store.health().counters.dropped_early > 0);
    assert!(store.health().live_bytes <= 60 << 10);
}

#[test]
fn a_dead_letter_outlives_its_history_and_comes_back_when_asked() {
    let options = Options { history: Duration::ZERO, ..small() };
    let store = open(&SimulatedDisk::new(), options);
    for number in 0..30 {
        store.append_and_wait(vec![item(&format!("id-{number:03}"), 1)], NOW).unwrap();
    }
    store.give_up(Sequence(3), "400 Bad Request", Some(400), 5, WallTime(7));
    let rest: Vec<_> = (1..=30).filter(|number| *number != 3).map(Sequence).collect();
    store.settle(&rest);
    store.flush().unwrap();
    for step in ["in the tail", "in redb"] {
        assert_eq!(store.dead_letter_count().unwrap(), 1, "{step}");
        let letters = store.dead_letters(Sequence::START, 10, false).unwrap();
        assert_eq!(letters[0].record.as_ref().unwrap().item.id, "id-002", "{step}");
        assert_eq!((letters[0].status, letters[0].attempts, letters[0].at), (Some(400), 5, WallTime(7)));
        assert!(store.replays(Sequence::START, 10).unwrap().is_empty());
        store.fold().unwrap();
    }
    assert_eq!(store.pending(), 0);
    store.retry_dead_letter(Sequence(3)).unwrap();
    for step in ["in the tail", "in redb"] {
        let replays = store.replays(Sequence::START, 10).unwrap();
        assert_eq!(
            (replays.len(), replays[0].sequence, replays[0].replayed),
            (1, Sequence(3), true),
            "{step}"
        );
        store.fold().unwrap();
    }
    store.give_up(Sequence(3), "400 again", Some(400), 1, WallTime(8));
    store.flush().unwrap();
    assert!(store.replays(Sequence::START, 10).unwrap().is_empty());
    assert_eq!(store.dead_letter(Sequence(3)).unwrap().unwrap().reason, "400 again");
    store.fold().unwrap();
    assert_eq!(store.dead_letter(Sequence(3)).unwrap().unwrap().record.unwrap().item.id, "id-002");
    store.retry_dead_letter(Sequence(3)).unwrap();
    store.settle(&[Sequence(3)]);
    store.flush().unwrap();
    assert_eq!(store.dead_letter_count().unwrap(), 0);
    store.fold().unwrap();
    assert_eq!(store.dead_letter_count().unwrap(), 0);
    assert!(store.dead_letters(Sequence::START, 10, false).unwrap().is_empty());
}

#[test]
fn without_a_crm_nothing_counts_as_undelivered() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { deliver: false, ..small() });
    for number in 0..40 {
        store.append_and_wait(vec![item(&format!("id-{number}"), 1)], NOW).unwrap();
    }
    assert_eq!(store.pending(), 0);
    assert!(waiting(&store).is_empty());
    assert_eq!(everything(&store).len(), 40);
}

#[test]
fn a_webhook_larger_than_a_group_is_answered_when_all_of_it_is_durable() {
    let options = Options { segment_bytes: 8 << 20, segments: 2, ..Options::default() };
    let store = open(&SimulatedDisk::new(), options);
    let large: Vec<_> = (0..40)
        .map(|number| {
            let mut item = item(&format!("id-{number:02}"), number);
            item.raw = vec![b'x'; 256 << 10];
            item
        })
        .collect();
    store.append_and_wait(large, NOW).unwrap();
    assert_eq!(everything(&store).len(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Appends, redeliveries, marks, folds and reopenings against a plain set.
    #[test]
    fn agrees_with_a_model(steps in prop::collection::vec((0_u8..10, 0_u64..60), 1..120)) {
        let mut disk = SimulatedDisk::new();
        let mut store = open(&disk, small());
        let mut known = BTreeSet::new();
        let mut settled = BTreeSet::new();
        for (what, number) in steps {
            match what {
                0..=5 => {
                    // Some in company, so that their group is packed.
                    let more = if what == 5 { 12 } else { 0 };
                    let ids: Vec<_> = (number..=number + more).map(|number| format!("id-{number:02}")).collect();
                    let items = ids.iter().map(|id| item(id, number % 5)).collect();
                    store.append_and_wait(items, NOW).unwrap();
                    known.extend(ids);
                }
                6 => {
                    let some: Vec<_> = store.undelivered(Sequence(number / 2), 3, 1 << 20).unwrap();
                    store.settle(&some.iter().map(|record| record.sequence).collect::<Vec<_>>());
                    settled.extend(some.iter().map(|record| record.item.id.clone()));
                }
                7 => store.fold().unwrap(),
                8 => {
                    store.flush().unwrap();
                    drop(store);
                    disk = disk.after_power_cut(number);
                    store = open(&disk, small());
                }
                _ => {
                    store.settle(&[]);
                    drop(store);
                    disk = disk.after_kill();
                    store = open(&disk, small());
                }
            }
        }
        store.flush().unwrap();
        prop_assert_eq!(everything(&store).into_keys().collect::<BTreeSet<_>>(), known.clone());
        let left: BTreeSet<_> = waiting(&store).iter().map(|record| record.item.id.clone()).collect();
        prop_assert_eq!(left, known.difference(&settled).cloned().collect());
        prop_assert_eq!(store.pending(), (known.len() - settled.len()) as u64);
    }
}
