//! What transactions look like in the log, and values in the index.

use super::{ADVICE, GEOMETRY, SALT, bare_bytes, full, same};
use crate::disk::simulated::SimulatedDisk;
use crate::format::block::{self, BlockBuilder};
use crate::format::entry::{self, EntryKind};
use crate::format::{value, values_v1};
use crate::log::Position;
use crate::log::ring::{Draft, Ring};
use crate::transact::Change;

fn changes() -> [Change; 2] {
    [
        Change { key: b"q\x01".to_vec(), value: Some(b"queued".to_vec()) },
        Change { key: b"k".to_vec(), value: None },
    ]
}

/// A transaction with its records, and one that has none; then a record of a webhook.
#[test]
fn transactions() {
    let met = [full().1];
    let mut builder = BlockBuilder::default();
    builder.push(2, 100, &bare_bytes());
    let (_, block) = builder.finish().unwrap();
    let stored = same("values", &values_v1::to_bytes(0, &met, &changes(), &block));
    let read = values_v1::from_bytes(&stored).unwrap();
    let [put, removed] = changes();
    let kept = [(&*put.key, put.value.as_deref()), (&*removed.key, None)];
    assert_eq!((read.before, &*read.met, &*read.changes, read.records), (0, &met[..], &kept[..], &*block));
    let alone = same("values-alone", &values_v1::to_bytes(1, &[], &changes()[1..], &[]));
    assert_eq!(values_v1::from_bytes(&alone).unwrap().changes, kept[1..]);

    let disk = SimulatedDisk::new();
    let mut ring = Ring::open(&disk, GEOMETRY, SALT, Position::START, Position::START).unwrap();
    let draft = |sequence, records, body| Draft { kind: EntryKind::Values, sequence, records, body };
    let drafts = vec![
        Draft::record(1, bare_bytes()),
        draft(2, 1, stored),
        draft(0, 0, alone),
        Draft::record(3, bare_bytes()),
    ];
    let placed = ring.write(drafts, 100, true).unwrap();
    assert_eq!(placed.iter().map(|place| place.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    let log = same("log-values", &disk.log_bytes(1));
    let place = placed[1].offset as usize;
    let entry = entry::read(&SALT, 1, &log[place..place + placed[1].length as usize]).expect(ADVICE);
    assert_eq!((entry.kind, entry.sequence), (EntryKind::Values, 2));
    assert_eq!(block::records(&values_v1::records(entry.body).unwrap()).unwrap()[0].0, 2);

    assert_eq!(value::from_bytes(&same("value", &value::to_bytes(b"queued"))).unwrap(), b"queued".as_slice());
}
