//! The writer's sign of life: it comes whatever the disk answers, as long as it answers.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::{NOW, item, open, small};
use crate::disk::simulated::{Fault, SimulatedDisk};
use crate::options::JOBS_MAX;
use crate::{Options, Refused, Store};

/// Far longer than a writer that isn't held needs.
const LONG: Duration = Duration::from_secs(60);
/// Long enough for a writer that isn't held to answer nearly always.
const SHORT: Duration = Duration::from_millis(50);

fn ping(store: &Store) -> Receiver<Result<(), Refused>> {
    let (sender, receiver) = sync_channel(1);
    store.ping(Box::new(move |result| _ = sender.send(result)));
    receiver
}

fn append(store: &Store, id: &str) -> Receiver<Result<(), Refused>> {
    let (sender, receiver) = sync_channel(1);
    store.append(vec![item(id, 1)], NOW, Box::new(move |result| _ = sender.send(result)));
    receiver
}

#[test]
fn an_idle_writer_answers_and_touches_no_disk() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    append(&store, "a").recv_timeout(LONG).unwrap().unwrap();
    store.fold().unwrap();
    let before = (disk.operations(), disk.syncs(), store.health());
    for _ in 0..100 {
        assert_eq!(ping(&store).recv_timeout(LONG), Ok(Ok(())));
    }
    assert_eq!((disk.operations(), disk.syncs(), store.health()), before);
}

#[test]
fn a_writer_that_hangs_in_a_sync_does_not_answer() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, small());
    let hung = disk.hold();
    let written = append(&store, "a");
    let asked = ping(&store);
    assert_eq!(asked.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    drop(hung);
    assert_eq!(asked.recv_timeout(LONG), Ok(Ok(())));
    assert_eq!(written.recv_timeout(LONG), Ok(Ok(())));
}

#[test]
fn a_disk_that_refuses_or_is_full_is_an_answer() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { fold_wait: Duration::from_millis(1), ..small() });
    disk.inject(disk.operations(), Fault::AllFail);
    for number in 0..5 {
        let (written, asked) = (append(&store, &format!("id-{number}")), ping(&store));
        assert_eq!(asked.recv_timeout(LONG), Ok(Ok(())));
        assert!(written.recv_timeout(LONG).unwrap().is_err());
    }
    assert!(store.health().broken, "the process will be restarted, and not by a watchdog");

    let disk = SimulatedDisk::new();
    let store = open(&disk, Options { max_bytes: 4 << 10, ..small() });
    let full = (0..100).find(|number| append(&store, &format!("id-{number}")).recv().unwrap().is_err());
    assert!(full.is_some());
    assert_eq!(ping(&store).recv_timeout(LONG), Ok(Ok(())));
}

#[test]
fn a_full_queue_is_no_sign_of_life_and_a_closed_store_says_so() {
    let disk = SimulatedDisk::new();
    // Room for the largest group: one that finds none is refused before the disk is asked.
    let store = open(&disk, Options { segment_bytes: 4 << 20, ..small() });
    let hung = disk.hold();
    // How many the group takes along that hangs is the machine's affair; the queue is full behind it.
    let is_full = |number: usize| {
        let _waits = append(&store, &format!("id-{number}"));
        ping(&store).try_recv() == Ok(Err(Refused::Busy))
    };
    assert!((0..100 * JOBS_MAX).any(is_full));
    drop(hung);
    store.close();
    assert_eq!(ping(&store).recv_timeout(LONG), Ok(Err(Refused::Closed)));
}
