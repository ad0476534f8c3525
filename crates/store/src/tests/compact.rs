//! The index is made smaller on a full disk, whoever reads it, and can be killed at any moment after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::wrapped::WrappedDisk;
use super::{NOW, item, open, small};
use crate::disk::Disk as _;
use crate::disk::simulated::SimulatedDisk;
use crate::index::{Backend, Index, schema};
use crate::{Options, ReadError, Refused};

const ROWS: u64 = 2_000;
const ROW: [u8; 2_000] = [7; 2_000];

/// An index most of which has been let go.
fn hollow() -> (WrappedDisk, Arc<Index>) {
    let disk = WrappedDisk::new(SimulatedDisk::new());
    Index::make(&disk, |transaction| {
        transaction.open_table(schema::BLOCKS)?;
        Ok(())
    })
    .unwrap();
    let index = Arc::new(Index::new(1 << 20));
    index.reopen(&disk).unwrap();
    let transaction = index.begin_write().unwrap();
    let mut blocks = transaction.open_table(schema::BLOCKS).unwrap();
    for row in 0..ROWS {
        blocks.insert(row, ROW.as_slice()).unwrap();
    }
    drop(blocks);
    transaction.commit().unwrap();
    let transaction = index.begin_write().unwrap();
    let mut blocks = transaction.open_table(schema::BLOCKS).unwrap();
    blocks.retain(|row, _| row % 16 == 0).unwrap();
    drop(blocks);
    transaction.commit().unwrap();
    (disk, index)
}

/// Whether the next process would have to go through the whole file.
fn needs_repair(disk: &SimulatedDisk) -> bool {
    let repaired = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&repaired);
    let file = Backend { file: disk.after_kill().index().unwrap(), written: Arc::default() };
    let builder = &mut redb::Database::builder();
    builder.set_repair_callback(move |_| noted.store(true, Ordering::SeqCst));
    drop(builder.create_with_backend(file).unwrap());
    repaired.load(Ordering::SeqCst)
}

#[test]
fn an_index_is_made_smaller_though_somebody_keeps_a_table_open() {
    let (disk, index) = hollow();
    let before = disk.index_bytes().unwrap();
    let kept = index.begin_read().unwrap().open_table(schema::BLOCKS).unwrap();
    assert!(index.compact(&disk).unwrap());
    let after = disk.index_bytes().unwrap();
    assert!(after < before / 4, "{before} and then {after}");
    drop(kept);
    assert!(!index.compact(&disk).unwrap(), "there's nothing more");
    assert_eq!(disk.index_bytes().unwrap(), after);
    let blocks = index.begin_read().unwrap().open_table(schema::BLOCKS).unwrap();
    for row in (0..ROWS).step_by(16) {
        assert_eq!(blocks.get(row).unwrap().unwrap().value(), ROW);
    }
}

#[test]
fn a_kill_after_an_index_was_made_smaller_leaves_nothing_to_repair() {
    let (disk, index) = hollow();
    assert!(!needs_repair(&disk.disk));
    assert!(index.compact(&disk).unwrap());
    assert!(!needs_repair(&disk.disk));
}

#[test]
fn who_reads_while_the_index_is_made_smaller_is_told_so_at_once() {
    let (disk, index) = hollow();
    let (sender, receiver) = sync_channel(1);
    let reader = Arc::clone(&index);
    disk.when_opened(move || {
        let (asked, answered) = sync_channel(1);
        std::thread::spawn(move || _ = asked.send(reader.begin_read().map(|_| ())));
        sender.send(answered.recv_timeout(Duration::from_secs(10))).unwrap();
    });
    index.compact(&disk).unwrap();
    let read = receiver.recv().unwrap().expect("it isn't kept waiting");
    assert!(matches!(read, Err(ReadError::Reopening)));
    index.begin_read().unwrap();
}

#[test]
fn a_webhook_that_needs_the_closed_index_is_told_to_come_again_and_others_are_taken() {
    let disk = SimulatedDisk::new();
    // What is in redb's cache, or in the first page of a tree, can be read from a closed index, too.
    let store = open(&disk, Options { fold_records: 1000, cache_bytes: 0, ..small() });
    for number in 0..20 {
        let some = (0..100).map(|part| item(&format!("{number}-{part}"), 100 * number + part)).collect();
        store.append_and_wait(some, NOW).unwrap();
    }
    store.fold().unwrap();
    store.append_and_wait(vec![item("known", 5000)], NOW).unwrap();
    store.shared.index.close();
    assert_eq!(store.append_and_wait(vec![item("new", 6000)], NOW), Err(Refused::Busy));
    store.append_and_wait(vec![item("known, again", 5000)], NOW).unwrap();
    store.shared.index.reopen(&disk).unwrap();
    store.append_and_wait(vec![item("new", 6000)], NOW).unwrap();
}
