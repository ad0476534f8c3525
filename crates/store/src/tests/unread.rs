//! A disk that refuses to read the log for a moment costs nothing, and one that refuses for good
//! costs what it refuses.

use std::sync::Arc;
use std::time::Duration;

use model::Sequence;

use super::wrapped::WrappedDisk;
use super::{NOW, everything, item, small, waiting};
use crate::disk::simulated::SimulatedDisk;
use crate::hand::Hand;
use crate::unread::Unread;
use crate::{Options, Query, ReadError, Store};

/// Every byte of a place is refused if this one is: it is behind the header of its group.
const IN_GROUP: u64 = 100;
const FOR_GOOD: u32 = u32::MAX;

fn open(disk: &WrappedDisk, deliver: bool) -> Store {
    let options = Options { fold_records: 1000, deliver, ..small() };
    let store = Store::open(Arc::new(disk.clone()), options, Box::new(|_| {})).unwrap();
    // Readings needn't wait for one another to count, and nothing is read from memory.
    let mut state = store.shared.lock();
    state.unread = Unread::apart(Duration::ZERO);
    drop(state);
    store
}

/// Eight records, and a webhook of twenty more that are packed, each of them in a group of its own.
fn filled(disk: &WrappedDisk) -> Store {
    filled_for(disk, true)
}

fn filled_for(disk: &WrappedDisk, deliver: bool) -> Store {
    let store = open(disk, deliver);
    for number in 0..8 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    let many = (0..20).map(|number| item(&format!("packed {number:02}"), number)).collect();
    store.append_and_wait(many, NOW).unwrap();
    let newest = store.newest();
    store.shared.lock().hand = Hand::behind(newest.0);
    store
}

fn disk() -> WrappedDisk {
    WrappedDisk::new(SimulatedDisk::new())
}

fn is_refusal<T>(read: &Result<T, ReadError>) -> bool {
    matches!(read, Err(ReadError::Log(_)))
}

/// Block, first sequence and number of records of the third group and of the packed one.
const PLACES: [(u64, u64, usize); 2] = [(2, 3, 1), (8, 9, 20)];

#[test]
fn a_reading_that_is_refused_once_is_asked_again_and_nothing_is_lost() {
    for (block, first, _) in PLACES {
        let disk = disk();
        let store = filled(&disk);
        disk.refuse(1, block * 4096 + IN_GROUP, 1);
        let before = store.undelivered(Sequence::START, 100, 1 << 20).unwrap();
        assert_eq!(before.len() as u64, first - 1, "what stands before it is delivered meanwhile");
        assert_eq!(waiting(&store).len(), 28);
        disk.refuse(1, block * 4096 + IN_GROUP, 1);
        assert!(is_refusal(&store.undelivered(Sequence(first - 1), 100, 1 << 20)));
        let behind = store.undelivered(Sequence(first - 1), 100, 1 << 20).unwrap();
        assert_eq!(behind.len() as u64, 28 - (first - 1));
        assert_eq!((store.pending(), everything(&store).len()), (28, 28));
        assert_eq!((store.health().counters.damaged, disk.disk.set_aside_count()), (0, 0));
    }
}

#[test]
fn a_page_ends_before_what_the_disk_refuses_and_the_next_one_says_so() {
    let disk = disk();
    let store = filled(&disk);
    disk.refuse(1, 2 * 4096 + IN_GROUP, 2);
    let page = |after| store.page(&Query { after, limit: 100, bytes: 1 << 20 }, &|_| true);
    let first = page(None).unwrap();
    assert_eq!((first.records.len(), first.next), (2, Sequence(2)));
    assert!(is_refusal(&page(Some(first.next))));
    assert_eq!(page(Some(first.next)).unwrap().records.len(), 26);
}

#[test]
fn what_the_disk_refuses_for_good_is_set_aside_and_the_others_are_delivered() {
    for (block, first, records) in PLACES {
        let disk = disk();
        let store = filled(&disk);
        disk.refuse(1, block * 4096 + IN_GROUP, FOR_GOOD);
        let mut refusals = 0;
        let mut found = Vec::new();
        let mut after = Sequence::START;
        while store.pending() > 0 {
            match store.undelivered(after, 100, 1 << 20) {
                Ok(some) if some.is_empty() => break,
                Ok(some) => {
                    after = some[some.len() - 1].sequence;
                    found.extend(some.iter().map(|record| record.sequence.0));
                }
                Err(error) => {
                    assert!(is_refusal::<()>(&Err(error)));
                    refusals += 1;
                    assert!(refusals < 10, "one bad place stops nothing for ever");
                }
            }
        }
        let others: Vec<u64> = (1..=28).filter(|at| !(first..first + records as u64).contains(at)).collect();
        assert!(refusals >= 2, "given up after {refusals}");
        assert_eq!((found, store.pending()), (others, 28 - records as u64));
        assert_eq!(store.health().counters.damaged, records as u64);
        assert!(disk.disk.set_aside_count() > 0);
        store.fold().unwrap();
        store.append_and_wait(vec![item("behind", 1)], NOW).unwrap();
        drop(store);
        let store = super::open(&disk.disk.after_kill(), small());
        assert_eq!((waiting(&store).len(), store.pending()), (29 - records, 29 - records as u64));
        assert_eq!(store.health().counters.damaged, 0, "counted once");
    }
}

#[test]
fn a_fold_that_is_refused_once_is_tried_again_and_nothing_is_lost() {
    for (block, ..) in PLACES {
        let disk = disk();
        let store = filled(&disk);
        disk.refuse(1, block * 4096 + IN_GROUP, 1);
        store.fold().unwrap();
        assert!(store.health().counters.fold_failures > 0, "it was refused");
        drop(store);
        let store = super::open(&disk.disk.after_kill(), small());
        assert_eq!((everything(&store).len(), waiting(&store).len()), (28, 28));
        assert_eq!((store.health().counters.damaged, disk.disk.set_aside_count()), (0, 0));
    }
}

#[test]
fn what_a_fold_goes_on_without_is_counted_where_nobody_delivers_too() {
    for (block, first, records) in PLACES {
        let disk = disk();
        let store = filled_for(&disk, false);
        disk.refuse(1, block * 4096 + IN_GROUP, FOR_GOOD);
        tried_before(&store, first);
        store.fold().unwrap();
        assert_eq!(store.health().counters.damaged, records as u64);
        assert_eq!(everything(&store).len(), 28 - records);
    }
}

/// All who read count together; others come first here, so that the fold needn't wait for its tries.
fn tried_before(store: &Store, first: u64) {
    for _ in 0..3 {
        let query = Query { after: Some(Sequence(first - 1)), limit: 1, bytes: 1 << 20 };
        assert!(is_refusal(&store.page(&query, &|_| true)));
    }
}

#[test]
fn a_fold_tries_several_bad_places_at_once() {
    let disk = disk();
    let store = filled(&disk);
    for (block, first, _) in PLACES {
        disk.refuse(1, block * 4096 + IN_GROUP, FOR_GOOD);
        tried_before(&store, first);
    }
    store.fold().unwrap();
    assert_eq!((store.health().counters.fold_failures, waiting(&store).len()), (1, 7));
}

#[test]
fn a_fold_goes_on_without_what_the_disk_refuses_for_good() {
    for (block, first, records) in PLACES {
        let disk = disk();
        let store = filled(&disk);
        disk.refuse(1, block * 4096 + IN_GROUP, FOR_GOOD);
        tried_before(&store, first);
        store.fold().unwrap();
        assert!(disk.disk.set_aside_count() > 0);
        assert!(!store.health().fold_failing, "the box goes on");
        assert_eq!(store.pending(), 28, "and whoever delivers comes to it");
        let left = waiting(&store);
        assert_eq!((left.len(), store.pending()), (28 - records, 28 - records as u64));
        assert_eq!(store.health().counters.damaged, records as u64);
        store.append_and_wait(vec![item("behind", 1)], NOW).unwrap();
        store.fold().unwrap();
        assert_eq!(waiting(&store).len(), 29 - records);
    }
}
