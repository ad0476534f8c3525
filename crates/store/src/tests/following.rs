//! Who follows the journal by `next` comes to its end, and past no record that may still appear.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{Item, Sequence};

use super::lost::{BLOCK, nine, unfolded};
use super::{NOW, item, open, small, when_open};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::{Change, Options, Page, Query, ReadError, Refused, Store, Transaction};

fn page(store: &Store, after: Option<Sequence>, limit: usize) -> Page {
    when_open(|| store.page(&Query { after, limit, bytes: 1 << 20 }, &|_| true))
}

/// Reads on behind `after` as the gateway does, until nothing is left: what came, and where it ends.
fn follow(store: &Store, after: Option<Sequence>) -> (Vec<String>, Sequence) {
    let mut ids = Vec::new();
    let mut after = after;
    for _ in 0..100 {
        let page = page(store, after, 1);
        ids.extend(page.records.iter().map(|record| record.item.id.clone()));
        after = Some(page.next);
        if page.next >= page.newest {
            assert!(page.next >= store.newest(), "who asks for the newest first comes to it, too");
            return (ids, page.next);
        }
    }
    panic!("still at {after:?} of {}", store.newest());
}

fn send(store: &Store, id: &str) {
    store.append_and_wait(vec![item(id, 1)], NOW).unwrap();
}

/// A store whose last group was refused, as a start after a kill finds it.
fn refused_at_the_end(options: &Options, folded: bool) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, options.clone());
    for id in ["a", "b"] {
        send(&store, id);
    }
    disk.inject(disk.operations() + 1, Fault::ErrorOnce);
    let items: Vec<Item> = (0..5).map(|number| item(&format!("refused-{number}"), 1)).collect();
    let own = Transaction { items, ..Transaction::default() };
    assert_eq!(store.transact_and_wait(own, NOW), Err(Refused::Disk));
    // A value names no record.
    let changes = vec![Change { key: b"k".to_vec(), value: Some(b"v".to_vec()) }];
    store.transact_and_wait(Transaction { changes, ..Transaction::default() }, NOW).unwrap();
    drop(store);
    let disk = disk.after_kill();
    if folded {
        open(&disk, options.clone()).fold().unwrap();
    }
    disk.after_kill()
}

#[test]
fn sequences_of_a_refused_group_at_the_end_keep_nobody_from_arriving() {
    for folded in [false, true] {
        let store = open(&refused_at_the_end(&unfolded(), folded), unfolded());
        assert_eq!(store.newest(), Sequence(7), "five of them went down");
        let (ids, next) = follow(&store, None);
        assert_eq!((ids, next), (vec!["a".to_owned(), "b".to_owned()], Sequence(7)), "folded {folded}");
        assert_eq!(follow(&store, Some(next)).1, next);
        let nothing = store.page(&Query { after: None, limit: 5, bytes: 1 << 20 }, &|_| false).unwrap();
        assert_eq!((nothing.records.len(), nothing.next), (0, next), "nor who wants none of them");
        send(&store, "c");
        assert_eq!(follow(&store, Some(next)).0, ["c"]);
    }
}

#[test]
fn blocks_at_the_end_that_cannot_be_read_keep_nobody_from_arriving_and_no_record_is_passed() {
    for first in 8..11 {
        let disk = nine();
        for block in first..11 {
            disk.fail_reads(1, block * BLOCK, 0, u64::MAX);
        }
        let store = open(&disk, unfolded());
        let (mut ids, next) = follow(&store, None);
        let gone = ids.len();
        drop(store);
        // The disk comes to itself, and what stood there is behind what was read.
        let store = open(&disk.after_kill(), unfolded());
        ids.extend(follow(&store, Some(next)).0);
        assert_eq!((ids.len(), next.0), (17, gone as u64), "from block {first} on");
        send(&store, "behind");
        assert_eq!(follow(&store, Some(Sequence(17))).0, ["behind"]);
    }
}

#[test]
fn who_was_further_when_the_end_was_lost_goes_on_from_there() {
    let disk = nine();
    disk.fail_reads(1, 8 * BLOCK, 0, u64::MAX);
    let store = open(&disk, unfolded());
    assert_eq!(store.newest(), Sequence(8));
    assert_eq!(follow(&store, Some(Sequence(17))), (Vec::new(), Sequence(17)));
    send(&store, "behind");
    let (ids, next) = follow(&store, Some(Sequence(17)));
    assert_eq!((ids, next), (vec!["behind".to_owned()], store.newest()));
}

#[test]
fn a_record_that_the_disk_refuses_for_now_is_not_passed() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, unfolded());
    for number in 0..8 {
        send(&store, &format!("id-{number}"));
    }
    disk.fail_reads(1, 4 * BLOCK, 0, u64::MAX);
    let before = page(&store, None, 100);
    assert_eq!((before.records.len(), before.next), (4, Sequence(4)));
    let query = Query { after: Some(before.next), limit: 100, bytes: 1 << 20 };
    assert!(store.page(&query, &|_| true).is_err());
    disk.heal();
    assert_eq!(follow(&store, Some(before.next)).0.len(), 4);
}

#[test]
fn history_that_goes_while_it_is_read_is_not_passed_over() {
    let store = open(&SimulatedDisk::new(), Options { history: Duration::ZERO, ..unfolded() });
    for number in 0..8 {
        send(&store, &format!("id-{number}"));
    }
    store.settle(&(1..=8).map(Sequence).collect::<Vec<_>>());
    while store.shared.lock().dropped < 8 {
        store.fold().unwrap();
    }
    // The commit is there, and the word of it isn't yet.
    store.shared.lock().dropped = 0;
    let page = page(&store, Some(Sequence(0)), 10);
    assert_eq!((page.records.len(), page.next), (0, Sequence(0)));
    store.shared.lock().dropped = 8;
    let query = Query { after: Some(page.next), limit: 10, bytes: 1 << 20 };
    assert!(matches!(store.page(&query, &|_| true), Err(ReadError::Gone { .. })), "that is what it is told");
}

#[test]
fn who_follows_while_records_come_and_are_folded_misses_none() {
    let store = open(&SimulatedDisk::new(), Options { fold_records: 5, ..small() });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let last = over.load(Ordering::Acquire);
                let page = page(&store, after, 7);
                seen.extend(page.records.iter().map(|record| record.sequence.0));
                after = Some(page.next);
                if last && page.next == page.newest {
                    return seen;
                }
            }
        });
        for number in 0..400 {
            send(&store, &format!("id-{number}"));
        }
        over.store(true, Ordering::Release);
        assert_eq!(reader.join().unwrap(), (1..=400).collect::<Vec<_>>());
    });
}
