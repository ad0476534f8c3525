//! A version on trial writes no later format than it finds.

use std::sync::Arc;

use super::restart::change;
use super::{NOW, everything, item, open, small};
use crate::disk::simulated::SimulatedDisk;
use crate::index::Index;
use crate::index::schema::{self, OLDEST_WRITTEN};
use crate::{DATA_FORMAT, OpenError, Options, Store};

fn on_trial() -> Options {
    Options { keep_format: true, ..small() }
}

fn format(disk: &SimulatedDisk) -> u32 {
    let index = Index::new(1 << 20);
    index.reopen(disk).unwrap();
    let meta = index.begin_read().unwrap().open_table(schema::META).unwrap();
    let format = meta.get("format").unwrap().unwrap().value().try_into().map(u32::from_le_bytes).unwrap();
    drop(meta);
    index.close();
    format
}

#[test]
fn an_earlier_format_that_cannot_be_written_is_refused_on_trial_and_raised_after() {
    for earlier in 1..OLDEST_WRITTEN {
        let disk = SimulatedDisk::new();
        let store = open(&disk, small());
        store.append_and_wait(vec![item("a", 1)], NOW).unwrap();
        drop(store);
        change(&disk, "format", |_| earlier.to_le_bytes().to_vec());
        let log = disk.log_bytes(0);
        let opened = Store::open(Arc::new(disk.clone()), on_trial(), Box::new(|_| {}));
        let Some(OpenError::CannotKeep { found, oldest }) = opened.err() else { panic!("it was opened") };
        assert_eq!((found, oldest), (earlier, OLDEST_WRITTEN));
        assert_eq!((format(&disk), disk.log_bytes(0)), (earlier, log), "nothing may be written");
        assert_eq!(everything(&open(&disk, small())).len(), 1);
        assert_eq!(format(&disk), DATA_FORMAT);
    }
}

#[test]
fn a_format_that_can_be_written_stays_what_it_is() {
    for found in OLDEST_WRITTEN..=DATA_FORMAT {
        let disk = SimulatedDisk::new();
        drop(open(&disk, small()));
        change(&disk, "format", |_| found.to_le_bytes().to_vec());
        let store = open(&disk, on_trial());
        store.append_and_wait(vec![item("a", 1)], NOW).unwrap();
        store.fold().unwrap();
        drop(store);
        assert_eq!(format(&disk), found);
        assert_eq!(everything(&open(&disk, small())).len(), 1);
    }
}

#[test]
fn a_new_store_is_made_in_the_oldest_format_while_on_trial() {
    let disk = SimulatedDisk::new();
    drop(open(&disk, on_trial()));
    assert_eq!(format(&disk), OLDEST_WRITTEN);
}
