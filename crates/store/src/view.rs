//! Reading records: from redb's blocks, then from the log's tail, as one journal.

use std::sync::Arc;
use std::time::Instant;

use model::{Record, Sequence};

use crate::error::ReadError;
use crate::format::block::{self, Slot};
use crate::format::record_v1;
use crate::index::schema;
use crate::state::TailEntry;
use crate::store::Shared;
use crate::tail::{self, Held};

/// Tail entries that are looked up at a time, so that the lock is held for moments.
const TAIL_STEP: usize = 256;

/// What reading comes across.
pub(crate) enum Seen<'a> {
    /// A record.
    Record(&'a Arc<Record>),
    /// Records `first` to `last` can't be read; `bytes` are what stands in their place.
    Damaged { first: u64, last: u64, bytes: &'a [u8] },
}

/// Goes on reading, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    Stop,
}

/// Shows the records after `after` to `visit`, in order, until it says stop. `wanted` may pass
/// over whole blocks unread.
pub(crate) fn scan(
    shared: &Shared,
    after: u64,
    wanted: &dyn Fn(u64, u64) -> bool,
    visit: &mut dyn FnMut(Seen<'_>) -> Flow,
) -> Result<(), ReadError> {
    let mut after = after;
    let mut buffer = Vec::new();
    loop {
        let (unfolded, step) = look(shared, after);
        let Some(step) = step else {
            let Some(reached) = scan_blocks(shared, after, unfolded, wanted, visit)? else { return Ok(()) };
            after = reached.max(unfolded - 1);
            continue;
        };
        if step.is_empty() {
            return Ok(());
        }
        for place in step.chunk_by(TailEntry::is_beside) {
            let (first, last) = (place[0].sequence, place[place.len() - 1].sequence);
            let records = match read_place(shared, place, &mut buffer) {
                Ok(records) => records,
                // Folded and recycled since the look at the tail: redb has it.
                Err(_) if shared.lock().first_unfolded() > first => break,
                // What the disk refuses now it may give later, so it's no damage yet.
                Err(ReadError::Log(error)) if !shared.lock().unread.refused(&place[0], Instant::now()) => {
                    return Err(ReadError::Log(error));
                }
                Err(_) => {
                    if visit(Seen::Damaged { first, last, bytes: &buffer }) == Flow::Stop {
                        return Ok(());
                    }
                    after = last;
                    continue;
                }
            };
            shared.lock().unread.forget(&place[0]);
            for (sequence, record) in records {
                let flow = match record {
                    Ok(record) => visit(Seen::Record(&shown(shared, record))),
                    Err(_) => visit(Seen::Damaged { first: sequence, last: sequence, bytes: &buffer }),
                };
                after = sequence;
                if flow == Flow::Stop {
                    return Ok(());
                }
            }
        }
    }
}

/// The first record that isn't in redb, and the next stretch of the tail; `None` where the next
/// record is in redb.
fn look(shared: &Shared, after: u64) -> (u64, Option<Vec<TailEntry>>) {
    let state = shared.lock();
    let unfolded = state.first_unfolded();
    if after + 1 < unfolded {
        return (unfolded, None);
    }
    let from = state.tail.partition_point(|entry| entry.sequence <= after);
    (unfolded, Some(state.tail.iter().skip(from).take(TAIL_STEP).copied().collect()))
}

/// The records at one place of the log, as far as `place` names them.
fn read_place(shared: &Shared, place: &[TailEntry], buffer: &mut Vec<u8>) -> Result<Vec<Slot>, ReadError> {
    let (first, last) = (place[0].sequence, place[place.len() - 1].sequence);
    match tail::read(&shared.segments, shared.geometry, &shared.salt, &place[0], buffer)? {
        Held::Record(bytes) => Ok(vec![(first, record_v1::from_bytes(Sequence(first), &bytes))]),
        Held::Block(bytes) => {
            let mut records = block::records(&bytes)?;
            records.retain(|(sequence, _)| (first..=last).contains(sequence));
            Ok(records)
        }
    }
}

/// The last sequence that the blocks hold, or `None` where `visit` said stop.
fn scan_blocks(
    shared: &Shared,
    after: u64,
    unfolded: u64,
    wanted: &dyn Fn(u64, u64) -> bool,
    visit: &mut dyn FnMut(Seen<'_>) -> Flow,
) -> Result<Option<u64>, ReadError> {
    let transaction = shared.index.begin_read()?;
    let blocks = transaction.open_table(schema::BLOCKS)?;
    let start = match blocks.range(..=after + 1)?.next_back() {
        Some(entry) => entry?.0.value(),
        None => 0,
    };
    let mut reached = after;
    let mut entries = blocks.range(start..)?.peekable();
    while let Some(entry) = entries.next() {
        let (first, bytes) = entry?;
        let (first, bytes) = (first.value(), bytes.value());
        let last = match (block::info(bytes), entries.peek()) {
            (Ok(info), _) => info.last,
            // A block that isn't whole doesn't know its own end.
            (Err(_), Some(Ok((next, _)))) => next.value() - 1,
            (Err(_), _) => unfolded - 1,
        }
        .max(first);
        if last <= after {
            continue;
        }
        reached = last;
        if !wanted(first, last) {
            continue;
        }
        let Ok(records) = block::records(bytes) else {
            if visit(Seen::Damaged { first, last, bytes }) == Flow::Stop {
                return Ok(None);
            }
            continue;
        };
        for (sequence, record) in records {
            if sequence <= after {
                continue;
            }
            let flow = match record {
                Ok(record) => visit(Seen::Record(&shown(shared, record))),
                Err(_) => visit(Seen::Damaged { first: sequence, last: sequence, bytes }),
            };
            if flow == Flow::Stop {
                return Ok(None);
            }
        }
    }
    Ok(Some(reached))
}

/// Shows a record under the contact that its own was joined with since. The lock is let go of before
/// anybody sees it, who may want it.
fn shown(shared: &Shared, record: Arc<Record>) -> Arc<Record> {
    shared.lock().shown(record)
}
