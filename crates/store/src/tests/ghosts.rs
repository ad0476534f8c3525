//! What a failed sync leaves in the page cache: there for every reader, and not on the disk.

use std::collections::BTreeSet;

use super::{NOW, everything, item, open, small, waiting};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::{Options, Store};

/// Webhooks before the fault strikes, so that it meets each place of two segments.
const WEBHOOKS: u64 = 40;
/// As many as the store takes before it gives up.
const FAILURES_MAX: u64 = 3;

/// What the outside world was told.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    refused: BTreeSet<String>,
}

fn options() -> Options {
    // Few folds, so that the log is what everything hangs on.
    Options { fold_records: 64, ..small() }
}

fn send(store: &Store, told: &mut Told, id: &str) {
    // Webhooks of one block, of several, and with marks beside them.
    let length = if id.ends_with('7') { 6_000_u64 } else { 100 };
    let mut one = item(id, 1);
    one.raw = (0..length).map(|place| (place * 7 + place / 251) as u8 | 1).collect();
    if store.append_and_wait(vec![one], NOW).is_ok() {
        told.refused.remove(id);
        told.acknowledged.insert(id.to_owned());
    } else {
        told.refused.insert(id.to_owned());
    }
}

/// Meta comes again with all that was refused.
fn send_again(store: &Store, told: &mut Told) {
    for id in std::mem::take(&mut told.refused) {
        send(store, told, &id);
    }
    assert!(told.refused.is_empty(), "nothing stands in the way: {:?}", told.refused);
}

fn check(disk: &SimulatedDisk, told: &Told, when: &str) {
    let store = open(disk, options());
    let all = everything(&store);
    let missing: Vec<_> = told.acknowledged.iter().filter(|id| !all.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{when}: acknowledged and gone: {missing:?}");
    assert_eq!(waiting(&store).len(), all.len(), "{when}");
}

/// A life whose syncs fail from `at` on, `many` of them; then a kill, a second life, a power cut.
fn life(at: u64, many: u64, more: u64) {
    let when = format!("{many} from sync {at} on, {more} behind");
    let disk = SimulatedDisk::new();
    let store = open(&disk, options());
    let mut told = Told::default();
    disk.inject(disk.syncs() + at, Fault::SyncsFail(many));
    let mut left = more;
    for number in 0..WEBHOOKS + FAILURES_MAX {
        send(&store, &mut told, &format!("id-{number:02}"));
        if told.refused.len() as u64 >= many {
            if left == 0 {
                break;
            }
            left -= 1;
        }
    }
    assert_eq!(told.refused.len() as u64, many, "{when}");
    let killed = disk.after_kill();
    drop(store);
    let store = open(&killed, options());
    assert_eq!(store.health().counters.holes, 0, "{when}: a refused group is no hole");
    send_again(&store, &mut told);
    for number in 0..5 {
        send(&store, &mut told, &format!("later-{number}"));
    }
    drop(store);
    for seed in 0..3 {
        check(&killed.after_power_cut(seed), &told, &when);
    }
}

#[test]
fn a_failed_sync_leaves_nothing_behind_that_a_later_start_believes() {
    for at in 0..WEBHOOKS {
        life(at, 1, 0);
        life(at, 1, 2);
    }
}

#[test]
fn a_store_that_gave_the_disk_up_comes_back_and_keeps_what_it_takes() {
    for at in 0..WEBHOOKS {
        life(at, 2, 0);
        life(at, FAILURES_MAX, 0);
    }
}

#[test]
fn a_sync_that_fails_at_a_start_is_not_taken_for_done_by_the_next_one() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, options());
    let mut told = Told::default();
    for number in 0..10 {
        send(&store, &mut told, &format!("id-{number:02}"));
    }
    // Killed between the write and the sync.
    let held = disk.hold();
    store.append(vec![item("unsynced", 1)], NOW, Box::new(|_| {}));
    while disk.log_bytes(1)[10 * 4096] == 0 {
        std::thread::yield_now();
    }
    let killed = disk.after_kill();
    drop(held);
    drop(store);
    killed.inject(killed.syncs(), Fault::SyncsFail(4));
    let refused = Store::open(std::sync::Arc::new(killed.clone()), options(), Box::new(|_| {}));
    assert!(refused.is_err(), "nothing is shown that isn't durable");
    let killed = killed.after_kill();
    let store = open(&killed, options());
    send(&store, &mut told, "unsynced");
    send(&store, &mut told, "later");
    drop(store);
    check(&killed.after_power_cut(1), &told, "after a start that failed");
}

/// Log and index alike: what the index says is folded is written over in the log. (redb writes its
/// header once more when it is opened, so a commit that only memory knew of becomes a real one.)
#[test]
fn a_disk_that_refuses_everything_until_a_kill_costs_nothing_acknowledged() {
    let folding = Options { fold_records: 12, fold_wait: std::time::Duration::from_millis(20), ..small() };
    let rarely = Options { fold_records: 10_000, fold_bytes: u64::MAX, ..small() };
    let life = |disk: &SimulatedDisk, told: &mut Told| {
        let store = Store::open(std::sync::Arc::new(disk.clone()), folding.clone(), Box::new(|_| {}));
        let Ok(store) = store else { return disk.after_kill() };
        for number in 0..30 {
            send(&store, told, &format!("id-{number:02}"));
        }
        disk.after_kill()
    };
    let whole = SimulatedDisk::new();
    life(&whole, &mut Told::default());
    for at in 0..whole.operations() {
        let disk = SimulatedDisk::new();
        disk.inject(at, Fault::AllFail);
        let mut told = Told::default();
        let killed = life(&disk, &mut told);
        let store = open(&killed, rarely.clone());
        send_again(&store, &mut told);
        for number in 0..33 {
            send(&store, &mut told, &format!("later-{number:02}"));
        }
        drop(store);
        for seed in 0..3 {
            check(&killed.after_power_cut(seed), &told, &format!("operation {at}"));
        }
    }
}

#[test]
fn a_power_cut_at_every_operation_of_a_start_after_a_kill_costs_nothing_acknowledged() {
    for (webhooks, failing) in [(3, 0), (16, 0), (17, 1), (20, FAILURES_MAX)] {
        let disk = SimulatedDisk::new();
        let store = open(&disk, options());
        let mut told = Told::default();
        for number in 0..webhooks {
            send(&store, &mut told, &format!("id-{number:02}"));
        }
        disk.inject(disk.syncs(), Fault::SyncsFail(failing));
        for number in 0..failing {
            send(&store, &mut told, &format!("refused-{number}"));
        }
        assert_eq!((told.acknowledged.len() as u64, told.refused.len() as u64), (webhooks, failing));
        let whole = disk.after_kill();
        drop(open(&whole, options()));
        for at in 0..whole.operations() {
            let killed = disk.after_kill();
            killed.inject(at, Fault::PowerCut);
            drop(Store::open(std::sync::Arc::new(killed.clone()), options(), Box::new(|_| {})));
            for seed in 0..5 {
                check(
                    &killed.after_power_cut(seed),
                    &told,
                    &format!("{webhooks}, {failing}, operation {at}"),
                );
            }
        }
    }
}
