//! Room that is made on a full disk, of what was delivered since the last fold.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use model::Sequence;

use super::wrapped::WrappedDisk;
use super::{NOW, item, open, small, waiting};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::folder::Folder;
use crate::index::compaction::Compaction;
use crate::index::fold::{self, Keep};
use crate::index::{Index, schema};
use crate::{Options, ReadError, Store};

/// Forty records in the index, all delivered but the last two, and the index knows nothing of that:
/// the marks are in the log alone.
fn delivered_since_the_fold() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_records: 1000, ..small() });
    for number in 0..40 {
        store.append_and_wait(vec![item(&format!("id-{number:02}"), number % 5)], NOW).unwrap();
    }
    store.fold().unwrap();
    store.settle(&(1..=38).map(Sequence).collect::<Vec<_>>());
    store.flush().unwrap();
    drop(store);
    disk.after_kill()
}

/// Makes room as the folder does; `Err` when the disk stops in the middle.
fn make_room(disk: &SimulatedDisk) -> Result<fold::Folded, crate::ReadError> {
    let index = Index::new(1 << 20);
    index.reopen(disk)?;
    let before = schema::checkpoint(&index.begin_read()?)?;
    assert_eq!((before.floor, before.pending), (0, 40));
    fold::make_room(&index, &before, Keep { history: Duration::MAX, target_bytes: 0 }, 38)
}

#[test]
fn the_floor_moves_and_what_waited_below_it_is_out_of_the_count() {
    let disk = delivered_since_the_fold();
    let folded = make_room(&disk).unwrap();
    assert_eq!((folded.checkpoint.floor, folded.checkpoint.pending), (38, 2));
    assert!(folded.dropped.bytes > 0 && folded.dropped.through <= 38);
    let store = open(&disk, small());
    assert_eq!((store.pending(), waiting(&store).len()), (2, 2), "the marks are replayed and change nothing");
    store.append_and_wait(vec![item("more", 1)], NOW).unwrap();
    store.fold().unwrap();
    assert_eq!((store.pending(), waiting(&store).len()), (3, 3));
}

#[test]
fn a_power_cut_while_room_is_made_costs_nothing_undelivered() {
    for step in 0.. {
        let disk = delivered_since_the_fold();
        disk.inject(disk.operations() + step, Fault::PowerCut);
        let made = make_room(&disk).is_ok();
        let store = open(&disk.after_power_cut(step), small());
        assert_eq!((store.pending(), waiting(&store).len()), (2, 2), "cut at {step}");
        if made {
            assert!(step > 5, "there were operations to cut");
            return;
        }
    }
}

#[test]
fn a_full_disk_that_nothing_can_be_done_about_does_not_have_the_index_compacted_over_and_over() {
    let disk = WrappedDisk::new(SimulatedDisk::new());
    let store = Store::open(Arc::new(disk.clone()), small(), Box::new(|_| {})).unwrap();
    for number in 0..20 {
        store.append_and_wait(vec![item(&format!("id-{number:02}"), number)], NOW).unwrap();
    }
    store.fold().unwrap();
    let checkpoint = schema::checkpoint(&store.shared.index.begin_read().unwrap()).unwrap();
    let mut folder = Folder {
        shared: Arc::clone(&store.shared),
        disk: Arc::new(disk.clone()),
        checkpoint,
        orders: sync_channel(1).1,
        done: sync_channel(1).0,
        wake: Box::new(|| {}),
        history: Duration::MAX,
        max_bytes: u64::MAX,
        proved: true,
        compaction: Compaction::default(),
    };
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = ReadError::Index(Box::new(redb::Error::Io(full)));
    // One after the error, and two more for a compaction.
    let mut opened = || {
        let before = disk.openings();
        folder.recover(&full);
        disk.openings() - before
    };
    assert_eq!([opened(), opened(), opened()], [3, 1, 1]);
    store.settle(&(1..=20).map(Sequence).collect::<Vec<_>>());
    let gone = std::iter::repeat_with(&mut opened).take(10).collect::<Vec<_>>();
    assert_eq!(
        gone.iter().filter(|opened| **opened == 3).count(),
        1,
        "when all that may go has gone: {gone:?}"
    );
    assert!(gone[0] == 1 && gone[9] == 1);
}
