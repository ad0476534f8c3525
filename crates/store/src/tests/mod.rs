//! The store's promises, on a disk whose plug is pulled at every operation.
#![allow(clippy::cast_possible_truncation, reason = "test sizes are small")]

mod bounds;
mod compact;
mod damage;
mod faults;
mod following;
mod formats;
mod ghosts;
mod golden;
mod hand;
mod journal;
mod known;
mod lost;
mod meeting;
mod ping;
mod receipts;
mod replay;
mod restart;
mod room;
mod torn;
mod transact;
mod unread;
mod values;
mod wrapped;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Account, Alias, AliasKind, Contact, Item, Kind, Record, Sequence, WallTime};

use crate::disk::simulated::SimulatedDisk;
use crate::{Options, Query, ReadError, Store};

/// A store so small that everything rolls over within a handful of records.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        segments: 3,
        fold_records: 24,
        fold_bytes: 96 << 10,
        fold_wait: Duration::from_secs(5),
        cache_bytes: 1 << 20,
        ..Options::default()
    }
}

/// Waits for a fold that nobody asked for.
pub(crate) fn wait_for_fold(store: &Store) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.health().counters.folds == 0 {
        assert!(Instant::now() < deadline, "nothing was folded");
        std::thread::yield_now();
    }
}

pub(crate) fn open(disk: &SimulatedDisk, options: Options) -> Store {
    Store::open(Arc::new(disk.clone()), options, Box::new(|_| {})).expect("the store opens")
}

pub(crate) fn item(id: &str, user: u64) -> Item {
    Item {
        kind: Kind::MessageReceived,
        source: "/wagate/1".into(),
        id: id.into(),
        time: Some(WallTime(1_795_214_595_000)),
        account: Account { waba_id: None, phone_number_id: Some("1".into()), phone: None },
        contact: Some(Contact {
            user_id: Some(format!("HK.{user}")),
            aliases: vec![Alias { kind: AliasKind::UserId, value: format!("HK.{user}") }],
            ..Contact::default()
        }),
        group: None,
        via: None,
        field: "messages".into(),
        reason: String::new(),
        raw: format!(r#"{{"id":"{id}","text":{{"body":"{}"}}}}"#, "x".repeat(id.len() * 40)).into_bytes(),
    }
}

pub(crate) const NOW: WallTime = WallTime(1_795_214_596_000);

/// Asks again while the index is being reopened after a fault; the folder sees to that.
fn when_open<T>(mut read: impl FnMut() -> Result<T, ReadError>) -> T {
    loop {
        match read() {
            Ok(read) => return read,
            Err(ReadError::Reopening) => std::thread::yield_now(),
            Err(ReadError::Index(error))
                if matches!(*error, redb::Error::DatabaseClosed | redb::Error::PreviousIo) =>
            {
                std::thread::yield_now();
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Every record of the store, by id; fails where an id is there twice or the order is wrong.
pub(crate) fn everything(store: &Store) -> BTreeMap<String, Arc<Record>> {
    let mut all = BTreeMap::new();
    let mut after = None;
    let mut last = Sequence::START;
    loop {
        let query = Query { after, limit: 7, bytes: 1 << 20 };
        let page = when_open(|| match store.page(&query, &|_| true) {
            Err(ReadError::Gone { .. }) => Ok(None),
            other => other.map(Some),
        });
        let Some(page) = page else {
            // On a full disk delivered history goes while it is read.
            (all, after, last) = (BTreeMap::new(), None, Sequence::START);
            continue;
        };
        if page.records.is_empty() {
            return all;
        }
        for record in page.records {
            assert!(record.sequence > last, "{} behind {last}", record.sequence);
            last = record.sequence;
            let id = record.item.id.clone();
            assert!(all.insert(id.clone(), record).is_none(), "{id} is there twice");
        }
        assert!(page.next >= last, "what cannot be read may stand behind");
        after = Some(page.next);
    }
}

/// Every record that waits for delivery.
pub(crate) fn waiting(store: &Store) -> Vec<Arc<Record>> {
    let mut all = Vec::new();
    let mut after = Sequence::START;
    loop {
        let some = when_open(|| store.undelivered(after, 5, 1 << 20));
        let Some(last) = some.last() else { return all };
        after = last.sequence;
        all.extend(some);
    }
}
