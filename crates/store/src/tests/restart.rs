//! Starts: after a clean stop, after a kill, with another cut of the ring, with a later format.

use std::sync::Arc;
use std::time::Duration;

use model::Sequence;

use super::{NOW, everything, item, open, small, wait_for_fold, waiting};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::index::Index;
use crate::index::schema::{self, Checkpoint};
use crate::{OpenError, Options, Store};

#[test]
fn sequences_go_on_where_they_were() {
    let mut disk = SimulatedDisk::new();
    for round in 0..5_u64 {
        let store = open(&disk, small());
        assert_eq!(store.newest(), Sequence(round * 10));
        for number in 0..10 {
            store.append_and_wait(vec![item(&format!("id-{round}-{number}"), number)], NOW).unwrap();
        }
        drop(store);
        disk = disk.after_power_cut(round);
    }
    assert_eq!(everything(&open(&disk, small())).len(), 50);
}

#[test]
fn marks_survive_a_kill_at_once_and_a_power_cut_after_a_sync() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    for number in 0..10 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    store.settle(&[Sequence(1), Sequence(3)]);
    let left = |disk: &SimulatedDisk| waiting(&open(disk, small())).len();
    assert_eq!(left(&disk.after_kill()), 8);
    store.flush().unwrap();
    for seed in 0..20 {
        assert_eq!(left(&disk.after_power_cut(seed)), 8);
    }
}

#[test]
fn another_cut_of_the_ring_keeps_everything() {
    let mut disk = SimulatedDisk::new();
    let mut count = 0;
    for (segments, segment_bytes) in
        [(3, 64 << 10), (2, 64 << 10), (5, 64 << 10), (4, 128 << 10), (3, 32 << 10)]
    {
        let store = open(&disk, Options { segments, segment_bytes, ..small() });
        assert_eq!(everything(&store).len(), count);
        for number in 0..15 {
            store
                .append_and_wait(vec![item(&format!("id-{segments}-{segment_bytes}-{number}"), 1)], NOW)
                .unwrap();
        }
        count += 15;
        drop(store);
        disk = disk.after_power_cut(u64::from(segments));
    }
    assert_eq!(waiting(&open(&disk, small())).len(), count);
}

/// Cuts to go over to from the one in [`small`], which is 3 of 64 KiB.
const CUTS: [(u32, u64); 6] =
    [(3, 32 << 10), (3, 128 << 10), (2, 64 << 10), (4, 64 << 10), (5, 256 << 10), (2, 16 << 10)];

fn take_thirty(store: &Store) {
    for number in 0..30 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
}

#[test]
fn another_cut_of_the_ring_at_the_start_that_finds_no_index_loses_nothing_either() {
    for (segments, segment_bytes) in CUTS {
        for (damaged, cuts_before) in [(false, false), (true, false), (false, true)] {
            let unfolded = Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() };
            let disk = SimulatedDisk::new();
            if cuts_before {
                // Not all segments of an earlier cut were written over.
                let store = open(&disk, Options { segments: 6, ..unfolded.clone() });
                for number in 0..96 {
                    store.append_and_wait(vec![item(&format!("before-{number}"), 1)], NOW).unwrap();
                }
            }
            let store = open(&disk, unfolded.clone());
            take_thirty(&store);
            drop(store);
            if damaged {
                disk.damage_index(0, &[0; 64]);
            } else {
                crate::disk::Disk::set_index_aside(&disk).unwrap();
            }
            let kept_aside = disk.set_aside_count();
            let when = format!("{segments} of {segment_bytes}, {damaged}, {cuts_before}");
            let cut = Options { segments, segment_bytes, ..unfolded };
            let store = open(&disk, cut.clone());
            let ours = |store: &Store| everything(store).keys().filter(|id| id.starts_with("id-")).count();
            assert_eq!(ours(&store), 30, "{when}");
            store.append_and_wait(vec![item("more", 1)], NOW).unwrap();
            drop(store);
            let disk_after = disk.after_power_cut(1);
            let store = open(&disk_after, cut);
            assert_eq!(ours(&store), 30, "{when}");
            assert!(everything(&store).contains_key("more"), "{when}");
            assert!(disk.set_aside_count() <= kept_aside + u64::from(damaged), "{when}: all was folded");
        }
    }
}

#[test]
fn a_power_cut_at_every_operation_of_a_start_with_another_cut_loses_nothing() {
    let unfolded = Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() };
    let begin = |index_is_lost: bool| {
        let disk = SimulatedDisk::new();
        take_thirty(&open(&disk, unfolded.clone()));
        let disk = disk.after_kill();
        if index_is_lost {
            crate::disk::Disk::set_index_aside(&disk).unwrap();
        }
        disk
    };
    for (segments, segment_bytes) in [(2, 64 << 10), (4, 128 << 10)] {
        let cut = Options { segments, segment_bytes, ..unfolded.clone() };
        for index_is_lost in [false, true] {
            let whole = begin(index_is_lost);
            drop(open(&whole, cut.clone()));
            for at in 0..whole.operations() {
                let disk = begin(index_is_lost);
                disk.inject(at, Fault::PowerCut);
                drop(Store::open(Arc::new(disk.clone()), cut.clone(), Box::new(|_| {})));
                let found = open(&disk.after_power_cut(at), if at % 2 == 0 { small() } else { cut.clone() });
                assert_eq!(everything(&found).len(), 30, "{segments}, {index_is_lost}, operation {at}");
            }
        }
    }
}

#[test]
fn another_cut_at_the_start_of_a_folder_without_an_index_loses_nothing_either() {
    for (segments, segment_bytes) in CUTS {
        let folder = tempfile::tempdir().unwrap();
        let open = |options| {
            let disk = crate::FolderDisk::new(folder.path()).unwrap();
            Store::open(Arc::new(disk), options, Box::new(|_| {})).unwrap()
        };
        let unfolded = Options { fold_records: 1000, fold_bytes: u64::MAX, ..small() };
        take_thirty(&open(unfolded.clone()));
        std::fs::remove_file(folder.path().join("index.redb")).unwrap();
        let store = open(Options { segments, segment_bytes, ..unfolded });
        assert_eq!(everything(&store).len(), 30, "{segments} of {segment_bytes}");
        let log: Vec<_> = std::fs::read_dir(folder.path().join("log")).unwrap().map(Result::unwrap).collect();
        assert_eq!(log.len(), segments as usize, "no segment of another cut is left");
        assert!(log.iter().all(|file| file.metadata().unwrap().len() == segment_bytes));
        assert!(!folder.path().join("damaged").exists(), "all was folded");
    }
}

#[test]
fn a_log_that_nobody_can_read_any_more_is_set_aside_and_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let open = |options| {
        let disk = crate::FolderDisk::new(folder.path()).unwrap();
        Store::open(Arc::new(disk), options, Box::new(|_| {})).unwrap()
    };
    take_thirty(&open(small()));
    let old = std::fs::read(folder.path().join("log/1.seg")).unwrap();
    for name in ["index.redb", "identity"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let store = open(Options { segment_bytes: 128 << 10, ..small() });
    assert_eq!(everything(&store).len(), 0);
    let aside = std::fs::read_dir(folder.path().join("damaged")).unwrap().map(Result::unwrap);
    assert!(aside.into_iter().any(|file| std::fs::read(file.path()).unwrap() == old));
}

/// Changes a closed store's index behind its back.
pub(super) fn change(disk: &SimulatedDisk, name: &str, value: impl Fn(&Checkpoint) -> Vec<u8>) {
    let index = Index::new(1 << 20);
    index.reopen(disk).unwrap();
    let now = schema::checkpoint(&index.begin_read().unwrap()).unwrap();
    let transaction = index.begin_write().unwrap();
    transaction.open_table(schema::META).unwrap().insert(name, value(&now).as_slice()).unwrap();
    transaction.commit().unwrap();
    index.close();
}

#[test]
fn a_store_of_a_later_format_is_left_alone() {
    let disk = SimulatedDisk::new();
    drop(open(&disk, small()));
    change(&disk, "format", |_| 4_u32.to_le_bytes().to_vec());
    for keep_format in [false, true] {
        let options = Options { keep_format, ..small() };
        let opened = Store::open(Arc::new(disk.clone()), options, Box::new(|_| {}));
        assert!(matches!(opened.err(), Some(OpenError::TooNew { found: 4, known: 3 })));
    }
}

#[test]
fn a_store_of_an_earlier_format_is_taken_over_and_says_so() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("a", 1)], NOW).unwrap();
    drop(store);
    change(&disk, "format", |_| 1_u32.to_le_bytes().to_vec());
    let index = Index::new(1 << 20);
    index.reopen(&disk).unwrap();
    let transaction = index.begin_write().unwrap();
    assert!(transaction.delete_table(schema::VALUES).unwrap(), "there was none then");
    transaction.commit().unwrap();
    index.close();
    let store = open(&disk, small());
    assert_eq!((everything(&store).len(), store.value(b"key").unwrap()), (1, None));
    drop(store);
    index.reopen(&disk).unwrap();
    let meta = index.begin_read().unwrap().open_table(schema::META).unwrap();
    assert_eq!(meta.get("format").unwrap().unwrap().value(), [3, 0, 0, 0]);
}

#[test]
fn an_event_is_remembered_for_eight_days_and_forgotten_after_ten() {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("the first", 1)], NOW).unwrap();
    store.fold().unwrap();
    drop(store);
    for day in 1..=12 {
        // The log says what was seen last: it is folded, so only the checkpoint counts.
        change(&disk, "checkpoint", |now| {
            schema::to_bytes(&Checkpoint { seen_ms: day * DAY_MS + DAY_MS / 2, ..now.clone() })
        });
        let store = open(&disk, small());
        let ours = format!("of day {day}");
        store.append_and_wait(vec![item(&ours, 1)], NOW).unwrap();
        store.fold().unwrap();
        store.append_and_wait(vec![item(&ours, 1)], NOW).unwrap();
        if day <= 9 {
            store.append_and_wait(vec![item("the first", 1)], NOW).unwrap();
        }
        store.flush().unwrap();
        assert_eq!(store.newest(), Sequence(day + 1), "on day {day}");
        store.fold().unwrap();
        drop(store);
    }
    let index = Index::new(1 << 20);
    index.reopen(&disk).unwrap();
    let trees = schema::duplicate_trees(&index.begin_read().unwrap()).unwrap();
    let days = trees.iter().filter_map(|name| schema::day_of_name(name));
    assert_eq!(days.collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    let filters = index.begin_read().unwrap().open_table(schema::FILTERS).unwrap();
    assert_eq!(redb::ReadableTableMetadata::len(&filters).unwrap(), 10, "filters go with their trees");
    drop(filters);
    index.close();
    let store = open(&disk, small());
    store.append_and_wait(vec![item("the first", 1)], NOW).unwrap();
    assert_eq!(store.newest(), Sequence(14), "taken for a new one, so many days later");
}

#[test]
fn a_day_of_many_trees_knows_all_of_its_events_with_filters_or_without() {
    let disk = SimulatedDisk::new();
    let ids = |round: u64| (0..30).map(move |number| item(&format!("id-{round}-{number:02}"), number));
    for round in 0..4 {
        let store = open(&disk, small());
        store.append_and_wait(ids(round).collect(), NOW).unwrap();
        store.fold().unwrap();
        drop(store);
        // As if the day had just begun: what came goes into a tree of its own.
        change(&disk, "checkpoint", |now| schema::to_bytes(&Checkpoint { day: now.day + 1, ..now.clone() }));
        open(&disk, small()).fold().unwrap();
    }
    let damage = |row: &dyn Fn(&str) -> Option<&'static [u8]>| {
        let index = Index::new(1 << 20);
        index.reopen(&disk).unwrap();
        let names = schema::duplicate_trees(&index.begin_read().unwrap()).unwrap();
        assert_eq!(names.len(), 4);
        let transaction = index.begin_write().unwrap();
        let mut filters = transaction.open_table(schema::FILTERS).unwrap();
        for name in &names {
            match row(name) {
                Some(bytes) => drop(filters.insert(name.as_str(), bytes).unwrap()),
                None => drop(filters.remove(name.as_str()).unwrap()),
            }
        }
        drop(filters);
        transaction.commit().unwrap();
        index.close();
    };
    for step in ["filters", "damaged filters", "no filters"] {
        match step {
            "damaged filters" => damage(&|_| Some(b"damage")),
            "no filters" => damage(&|_| None),
            _ => {}
        }
        let store = open(&disk, small());
        store.append_and_wait((0..4).flat_map(ids).collect(), NOW).unwrap();
        assert_eq!((store.newest(), store.health().counters.duplicates), (Sequence(120), 120), "{step}");
    }
}

#[test]
fn an_index_in_a_folder_can_be_opened_again_under_its_readers() {
    use crate::disk::FolderDisk;
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::new(folder.path()).unwrap();
    let disk = Arc::new(disk);
    drop(Store::open(disk.clone(), small(), Box::new(|_| {})).unwrap());
    let index = Index::new(1 << 20);
    for _ in 0..3 {
        index.reopen(&*disk).unwrap();
        let held = index.begin_read().unwrap();
        let _table = held.open_table(schema::BLOCKS).unwrap();
        index.reopen(&*disk).unwrap();
        index.begin_write().unwrap().commit().unwrap();
    }
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = crate::FolderDisk::new(folder.path())?;
        Store::open(Arc::new(disk), small(), Box::new(|_| {}))
    };
    let first = open().unwrap();
    assert!(matches!(open().err(), Some(crate::OpenError::InUse)));
    first.append_and_wait(vec![item("a", 1)], NOW).unwrap();
    drop(first);
    let again = open().unwrap();
    assert_eq!(everything(&again).len(), 1);
}

#[test]
fn a_start_that_reads_is_met_by_no_fold() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { hold_folds: true, ..small() });
    for number in 0..30 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    let wakes = || (0..10).for_each(|_| store.flush().unwrap());
    wakes();
    assert_eq!((store.health().counters.folds, everything(&store).len()), (0, 30), "one was due");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| store.fold());
        wakes();
        store.begin_folding();
        assert_eq!(asked.join().unwrap(), Ok(()), "who asks is heard when it has begun");
    });
    drop(store);

    // What is due goes by itself, without anything that comes.
    let store = open(&disk.after_kill(), Options { hold_folds: true, ..small() });
    let folded = store.health().counters.folds;
    for number in 30..60 {
        store.append_and_wait(vec![item(&format!("id-{number}"), number)], NOW).unwrap();
    }
    store.flush().unwrap();
    assert_eq!(store.health().counters.folds, folded);
    store.begin_folding();
    wait_for_fold(&store);

    // A log that is full is no trap.
    let store =
        open(&SimulatedDisk::new(), Options { hold_folds: true, fold_wait: Duration::ZERO, ..small() });
    let full = (0..10_000)
        .find(|number| store.append_and_wait(vec![item(&format!("id-{number}"), 1)], NOW).is_err());
    assert!(full.is_some());
    store.begin_folding();
    wait_for_fold(&store);
    store.append_and_wait(vec![item("behind", 1)], NOW).unwrap();
}
