//! What hostile bytes may be thrown at: every decoder of a stored format, and the log's replay.
//!
//! Not part of the crate's interface. Whatever the bytes, nothing here panics, and memory stays
//! within a small multiple of their length (for a block within the largest content).

use std::io;
use std::sync::Arc;

use model::Sequence;

use crate::dead;
use crate::disk::Segment;
use crate::format::entry::{self, Mark};
use crate::format::filter::Filter;
use crate::format::group::{self, GroupHeader, Salt};
use crate::format::{block, record_v1, value, values_v1};
use crate::index::schema::{self, Checkpoint, Identity};
use crate::log::replay::{self, Damage, Found, Visit};
use crate::log::{Geometry, Position};
use crate::options::BLOCK;
use crate::settled::Settled;
use crate::transact::Change;

const SALT: Salt = [7; 16];
/// Blocks in a segment of the log that is replayed.
const BLOCKS: usize = 8;
const SEGMENTS: usize = 3;

/// Decodes `bytes` behind the first as the format that the first names, as they are and with
/// their checksum put right; what can be decoded is encoded and decoded to the same again.
pub fn stored(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 12 {
        0 => {
            if let Ok(record) = record_v1::from_bytes(Sequence(1), bytes) {
                let (_, _, lesson) = record_v1::identity(bytes).expect("it was a record just now");
                let again = record_v1::to_bytes(&record.item, record.received_at, &lesson);
                assert_eq!(record_v1::from_bytes(Sequence(1), &again), Ok(record));
            }
        }
        1 => {
            if let Ok(mark) = Mark::from_bytes(bytes) {
                assert_eq!(Mark::from_bytes(&mark.to_bytes()), Ok(mark));
            }
        }
        2 => {
            _ = entry::read(&SALT, 1, bytes);
            let mut bytes = bytes.to_vec();
            entry_checksum(&mut bytes);
            _ = entry::read(&SALT, 1, &bytes);
        }
        3 => {
            _ = GroupHeader::read(&SALT, 0, bytes);
            let mut bytes = bytes.to_vec();
            group_checksum(&mut bytes, 0);
            if let Ok(header) = GroupHeader::read(&SALT, 0, &bytes) {
                assert!(header.extent() >= header.payload);
            }
        }
        4 => {
            let read = |bytes: &[u8]| {
                _ = block::info(bytes);
                _ = block::records(bytes);
            };
            read(bytes);
            let mut bytes = bytes.to_vec();
            block::put_checksum(&mut bytes);
            read(&bytes);
        }
        5 => {
            _ = dead::record_bytes(bytes);
            if let Ok((letter, _)) = dead::from_bytes(1, bytes) {
                let again = dead::to_bytes(&letter, &[]);
                assert!(
                    dead::from_bytes(1, &again)
                        .is_ok_and(|(read, record)| read == letter && record.is_none())
                );
            }
        }
        6 => {
            if let Ok(checkpoint) = schema::from_bytes::<Checkpoint>(bytes) {
                assert_eq!(schema::from_bytes(&schema::to_bytes(&checkpoint)), Ok(checkpoint));
            }
        }
        7 => {
            if let Ok(identity) = schema::from_bytes::<Identity>(bytes) {
                assert_eq!(schema::from_bytes(&schema::to_bytes(&identity)), Ok(identity));
            }
        }
        8 => {
            let mut settled = Settled::new(u64::from(*which));
            settled.load(0, bytes);
            settled.load(1, bytes);
            _ = settled.insert(5000);
            _ = settled.take_dirty();
        }
        10 => {
            if let Ok(values) = values_v1::from_bytes(bytes) {
                let changes = values.changes.iter();
                let changes: Vec<Change> = changes
                    .map(|(key, value)| Change { key: key.to_vec(), value: value.map(<[u8]>::to_vec) })
                    .collect();
                let again = values_v1::to_bytes(values.before, &values.met, &changes, values.records);
                assert_eq!(values_v1::from_bytes(&again), Ok(values));
            }
        }
        11 => {
            if let Ok(content) = value::from_bytes(bytes) {
                assert_eq!(value::from_bytes(&value::to_bytes(&content)), Ok(content));
            }
        }
        _ => {
            if let Ok(filter) = Filter::from_bytes(bytes) {
                _ = filter.may_hold(&[*which; 16]);
                assert_eq!(Filter::from_bytes(&filter.to_bytes()), Ok(filter));
            }
        }
    }
}

/// Replays a log of three small segments that hold `bytes`. Each entry there is shown once at
/// most, and a second replay from the end that was found finds nothing more.
pub fn log(bytes: &[u8]) {
    let size = BLOCKS * usize::try_from(BLOCK).unwrap_or(usize::MAX);
    let mut whole = vec![0; SEGMENTS * size];
    let length = bytes.len().min(whole.len());
    whole[..length].copy_from_slice(&bytes[..length]);
    // A guess at bytes never gets a checksum right: what looks like a group is made one.
    for (place, block) in whole.chunks_exact_mut(size / BLOCKS).enumerate() {
        if block.starts_with(b"wgl1") && block[4..8] == [0; 4] {
            let mut rest = &mut block[group::HEADER..];
            while let Some(length) = entry::length(rest).filter(|_| rest[4..8] == [0; 4]) {
                let (entry, behind) = rest.split_at_mut(length);
                entry_checksum(entry);
                rest = behind;
            }
            group_checksum(block, (place % BLOCKS) as u64 * BLOCK);
        }
    }
    let segments: Vec<Arc<dyn Segment>> = whole
        .chunks_exact(size)
        // Generation 1 fills the place 1.
        .cycle()
        .skip(SEGMENTS - 1)
        .take(SEGMENTS)
        .map(|bytes| Arc::new(Memory(bytes.to_vec())) as Arc<dyn Segment>)
        .collect();
    let geometry = Geometry { segments: 3, segment_bytes: size as u64 };
    let mut seen = Seen::default();
    let replayed =
        replay::replay(&segments, geometry, &SALT, Position::START, &mut seen).expect("memory can be read");
    assert!(seen.entries.is_sorted() && seen.bytes <= whole.len());
    seen.entries.dedup();
    assert_eq!(seen.entries.len(), seen.count, "each place is shown once");
    let end = replayed.end;
    assert!(end.offset <= geometry.segment_bytes);
    let mut more = Seen::default();
    let again = replay::replay(&segments, geometry, &SALT, end, &mut more).expect("memory can be read");
    assert_eq!((again.end, more.count), (end, 0));
}

#[derive(Default)]
struct Seen {
    entries: Vec<(u64, u64)>,
    count: usize,
    bytes: usize,
}

impl Visit for Seen {
    fn entry(&mut self, found: &Found<'_>) {
        _ = Mark::from_bytes(&found.entry.body);
        _ = record_v1::identity(&found.entry.body);
        _ = block::content(&found.entry.body);
        _ = block::records(&found.entry.body);
        _ = values_v1::from_bytes(&found.entry.body);
        self.entries.push((found.generation, found.offset));
        self.count += 1;
        self.bytes += found.length as usize;
    }

    fn damage(&mut self, _damage: &Damage<'_>) {}
}

fn entry_checksum(bytes: &mut [u8]) {
    if bytes.len() >= entry::HEADER {
        let sum = group::crc(&SALT, &[&1_u64.to_le_bytes(), &bytes[8..]]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}

fn group_checksum(bytes: &mut [u8], offset: u64) {
    if bytes.len() >= group::HEADER {
        let sum = group::sum(&SALT, offset, bytes);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}

#[derive(Debug)]
struct Memory(Vec<u8>);

impl Segment for Memory {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = from.checked_add(out.len()).and_then(|to| self.0.get(from..to));
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, _data: &[u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn refresh(&self) -> io::Result<()> {
        Ok(())
    }
}
