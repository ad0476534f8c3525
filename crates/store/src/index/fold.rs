//! Folding the log's tail into redb: one commit for thousands of records.
//!
//! The position up to which the log is folded is written in the same commit, so a power cut before
//! it leaves the log to be replayed, and one after it leaves nothing to be done.

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableTable as _, Table, WriteTransaction};

use super::Index;
use super::blocks::{self, Content, Lost};
use super::retention::{self, Allowance, Dropped};
use super::schema::{self, Checkpoint};
use super::values;
use crate::contacts::{Contacts, ContactsFold};
use crate::dead::{self, DeadChange};
use crate::disk::Segment;
use crate::duplicates::{Duplicates, DuplicatesFold};
use crate::error::ReadError;
use crate::format::block;
use crate::format::filter::Filter;
use crate::format::group::Salt;
use crate::log::{Geometry, Position};
use crate::settled::{CHUNK_BYTES, Settled};
use crate::state::{State, TailEntry};
use crate::values::Changes;

/// What is to be folded, taken at one instant between two groups.
pub(crate) struct Fold {
    pub(crate) position: Position,
    pub(crate) seen_ms: u64,
    pub(crate) day: u64,
    pub(crate) entries: Vec<TailEntry>,
    pub(crate) next_sequence: u64,
    pub(crate) floor: u64,
    pub(crate) pending: u64,
    pub(crate) settled: Vec<(u64, Option<[u8; CHUNK_BYTES]>)>,
    pub(crate) dead: Vec<(u64, DeadChange)>,
    pub(crate) duplicates: DuplicatesFold,
    pub(crate) contacts: ContactsFold,
    pub(crate) values: Arc<Changes>,
}

/// What a fold is taken from.
pub(crate) struct Memory<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) duplicates: &'a Duplicates,
    pub(crate) contacts: &'a Contacts,
}

impl Fold {
    /// Takes everything that isn't in redb, up to `position` in the log.
    pub(crate) fn take(
        memory: Memory<'_>,
        position: Position,
        seen_ms: u64,
        day: u64,
        close_day: bool,
    ) -> Self {
        let state = memory.state;
        Self {
            position,
            seen_ms,
            day,
            entries: state.tail.iter().copied().collect(),
            next_sequence: state.newest + 1,
            floor: state.settled.floor(),
            pending: state.pending,
            settled: state.settled.take_dirty(),
            dead: state.dead.iter().map(|(sequence, change)| (*sequence, change.clone())).collect(),
            duplicates: memory.duplicates.snapshot(close_day),
            contacts: memory.contacts.snapshot(),
            values: state.values.take(),
        }
    }
}

/// What a fold did.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) dropped: Dropped,
    /// Records that can't be read from the log any more.
    pub(crate) lost: Vec<Lost>,
}

/// Where the entries of a fold are read from.
pub(crate) struct Log<'a> {
    pub(crate) segments: &'a [Arc<dyn Segment>],
    pub(crate) geometry: Geometry,
    pub(crate) salt: &'a Salt,
    /// Told of each place that the disk refuses: whether it is to be taken for lost.
    pub(crate) given_up: &'a dyn Fn(&TailEntry) -> bool,
}

/// How long history stays, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) history: Duration,
    pub(crate) target_bytes: u64,
}

/// Writes `fold` behind `before` in one commit.
pub(crate) fn fold(
    index: &Index,
    log: &Log<'_>,
    fold: &Fold,
    before: &Checkpoint,
    keep: Keep,
) -> Result<Folded, ReadError> {
    let transaction = index.begin_write()?;
    let mut next = before.clone();
    let (content, lost) = blocks::write(&transaction, log, fold, &mut next)?;
    write_dead(&transaction, fold, &content, &mut next)?;
    drop(content);
    write_settled(&transaction, fold)?;
    write_duplicates(&transaction, fold, &mut next)?;
    write_contacts(&transaction, fold)?;
    values::write(&transaction, &fold.values, &mut next)?;
    next.position = fold.position;
    next.next_sequence = fold.next_sequence;
    next.seen_ms = fold.seen_ms;
    next.floor = fold.floor;
    next.pending = fold.pending;
    // Room that was made while this fold waited has moved the floor ahead of it.
    advance_floor(&transaction, &mut next, before.floor)?;
    finish(transaction, next, keep, lost)
}

/// Lets go what may go and commits the checkpoint with everything that it speaks of.
fn finish(
    transaction: WriteTransaction,
    mut next: Checkpoint,
    keep: Keep,
    lost: Vec<Lost>,
) -> Result<Folded, ReadError> {
    let allowance = Allowance {
        floor: next.floor,
        seen_ms: next.seen_ms,
        history: keep.history,
        target_bytes: keep.target_bytes,
    };
    let dropped = retention::drop_history(&transaction, next.content_bytes, allowance)?;
    next.content_bytes = next.content_bytes.saturating_sub(dropped.bytes);
    next.records = next.records.saturating_sub(dropped.records);
    next.dropped = next.dropped.max(dropped.through);
    transaction.open_table(schema::META)?.insert("checkpoint", schema::to_bytes(&next).as_slice())?;
    transaction.commit()?;
    Ok(Folded { checkpoint: next, dropped, lost })
}

/// Makes room alone: drops delivered history and nothing else. For a disk too full for a fold.
///
/// `floor` is what is settled by now, within what is folded. The last fold may have known nothing
/// of it: when an outage has filled the disk, all that can go was delivered since.
pub(crate) fn make_room(
    index: &Index,
    before: &Checkpoint,
    keep: Keep,
    floor: u64,
) -> Result<Folded, ReadError> {
    let transaction = index.begin_write()?;
    let mut next = before.clone();
    advance_floor(&transaction, &mut next, floor)?;
    finish(transaction, next, keep, Vec::new())
}

/// Moves the floor of `next` up to `floor`, below which everything is settled by now. What was
/// pending there isn't any more, so that a replay of its marks finds nothing left to count.
fn advance_floor(
    transaction: &WriteTransaction,
    next: &mut Checkpoint,
    floor: u64,
) -> Result<(), redb::Error> {
    if floor <= next.floor {
        return Ok(());
    }
    let mut settled = Settled::new(next.floor);
    for entry in transaction.open_table(schema::SETTLED)?.iter()? {
        let (chunk, bytes) = entry?;
        settled.load(chunk.value(), bytes.value());
    }
    let waited = (next.floor + 1..=floor).filter(|sequence| !settled.contains(*sequence)).count();
    next.pending = next.pending.saturating_sub(waited as u64);
    next.floor = floor;
    Ok(())
}

fn write_dead(
    transaction: &WriteTransaction,
    fold: &Fold,
    content: &Content,
    next: &mut Checkpoint,
) -> Result<(), ReadError> {
    let mut letters = transaction.open_table(schema::DEAD)?;
    let mut retries = transaction.open_table(schema::RETRIES)?;
    let blocks = transaction.open_table(schema::BLOCKS)?;
    for (sequence, change) in &fold.dead {
        match change {
            DeadChange::Put { letter, retry } => {
                let mut record = match content.get(sequence) {
                    Some(record) => Some(record.clone()),
                    None => find_in_blocks(&blocks, *sequence)?,
                };
                if record.is_none() {
                    record = letters.get(sequence)?.and_then(|old| dead::record_bytes(old.value()));
                }
                let bytes = dead::to_bytes(letter, &record.unwrap_or_default());
                next.content_bytes += bytes.len() as u64;
                if let Some(old) = letters.insert(sequence, bytes.as_slice())? {
                    next.content_bytes = next.content_bytes.saturating_sub(old.value().len() as u64);
                }
                if *retry {
                    retries.insert(sequence, ())?;
                } else {
                    retries.remove(sequence)?;
                }
            }
            DeadChange::Retry => {
                if letters.get(sequence)?.is_some() {
                    retries.insert(sequence, ())?;
                }
            }
            DeadChange::Gone => {
                if let Some(old) = letters.remove(sequence)? {
                    next.content_bytes = next.content_bytes.saturating_sub(old.value().len() as u64);
                }
                retries.remove(sequence)?;
            }
        }
    }
    Ok(())
}

fn find_in_blocks(
    blocks: &Table<'_, u64, &'static [u8]>,
    sequence: u64,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let Some(entry) = blocks.range(..=sequence)?.next_back() else { return Ok(None) };
    let (_, bytes) = entry?;
    let mut found = None;
    // Damage was counted when the record was read for delivery; the letter stands without it.
    let _ = block::each(bytes.value(), |place, record| {
        if place == sequence {
            found = Some(record.to_vec());
        }
    });
    Ok(found)
}

fn write_settled(transaction: &WriteTransaction, fold: &Fold) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::SETTLED)?;
    for (chunk, bytes) in &fold.settled {
        match bytes {
            Some(bytes) => table.insert(chunk, bytes.as_slice())?,
            None => table.remove(chunk)?,
        };
    }
    Ok(())
}

fn write_duplicates(
    transaction: &WriteTransaction,
    fold: &Fold,
    next: &mut Checkpoint,
) -> Result<(), redb::Error> {
    let mut runs = transaction.open_table(schema::RUNS)?;
    if fold.duplicates.into_tree {
        // A tree of its own: sorted into an empty one they fill page after page, where a tree that
        // is there would be written anew with every page of it.
        if !fold.duplicates.hashes.is_empty() {
            let name = schema::duplicates_name(fold.day, next.next_run);
            next.next_run += 1;
            let mut tree = transaction.open_table(schema::duplicates(&name))?;
            for hash in &fold.duplicates.hashes {
                tree.insert(hash, ())?;
            }
            let filter = Filter::over(&fold.duplicates.hashes).to_bytes();
            transaction.open_table(schema::FILTERS)?.insert(name.as_str(), filter.as_slice())?;
        }
        runs.retain(|_, _| false)?;
        retention::forget_events(transaction, fold.day)?;
    } else if !fold.duplicates.hashes.is_empty() {
        runs.insert(next.next_run, fold.duplicates.hashes.as_flattened())?;
        next.next_run += 1;
    }
    next.day = fold.day;
    Ok(())
}

fn write_contacts(transaction: &WriteTransaction, fold: &Fold) -> Result<(), redb::Error> {
    let mut aliases = transaction.open_table(schema::ALIASES)?;
    for (hash, contact) in &fold.contacts.learned {
        aliases.insert(hash, contact)?;
    }
    let mut joined = transaction.open_table(schema::JOINED)?;
    for (from, to) in &fold.contacts.joined {
        joined.insert(from, to)?;
    }
    Ok(())
}
