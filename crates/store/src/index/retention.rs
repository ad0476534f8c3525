//! What is let go: delivered history, the oldest first, by age or for want of room.
//!
//! What isn't settled never goes, nor does a dead letter: that has its own row with its own copy.

use std::time::Duration;

use redb::{ReadableTable as _, TableHandle as _, WriteTransaction};

use super::schema;
use crate::format::block;
use crate::options::REMEMBER_DAYS;

/// Of the budget this part is kept free, so that room is made before intake is refused.
const HEADROOM_PART: u64 = 16;

/// What may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Settled up to here.
    pub(crate) floor: u64,
    /// Time that the box has seen pass, in milliseconds.
    pub(crate) seen_ms: u64,
    /// Records whose age is greater go.
    pub(crate) history: Duration,
    /// Bytes of content that are to remain at most.
    pub(crate) target_bytes: u64,
}

/// The bytes of content that a budget leaves.
pub(crate) const fn target(max_bytes: u64) -> u64 {
    max_bytes - max_bytes / HEADROOM_PART
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Everything up to here is gone; 0 where nothing went.
    pub(crate) through: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// Blocks that went for want of room before their time.
    pub(crate) early: u64,
}

/// Drops the oldest blocks as far as `allowance` goes.
pub(crate) fn drop_history(
    transaction: &WriteTransaction,
    content_bytes: u64,
    allowance: Allowance,
) -> Result<Dropped, redb::Error> {
    let mut blocks = transaction.open_table(schema::BLOCKS)?;
    let history_ms = u64::try_from(allowance.history.as_millis()).unwrap_or(u64::MAX);
    let mut dropped = Dropped::default();
    let mut end = None;
    let mut entries = blocks.iter()?.peekable();
    while let Some(entry) = entries.next() {
        let (first, bytes) = entry?;
        let length = bytes.value().len() as u64;
        // A block that can't be read is as old as its place says and ends before the next; its
        // records were counted as lost and settled when delivery came to them.
        let (last, seen_ms, records) = match (block::info(bytes.value()), entries.peek()) {
            (Ok(info), _) => (info.last, info.seen_ms, u64::from(info.count)),
            (Err(_), Some(Ok((next, _)))) => (next.value() - 1, 0, next.value() - first.value()),
            (Err(_), _) => break,
        };
        if last > allowance.floor {
            break;
        }
        let old = allowance.seen_ms.saturating_sub(seen_ms) > history_ms;
        let crowded = content_bytes.saturating_sub(dropped.bytes) > allowance.target_bytes;
        if !old && !crowded {
            break;
        }
        dropped.early += u64::from(!old);
        dropped.through = last;
        dropped.bytes += length;
        dropped.records += records;
        end = Some(first.value());
    }
    drop(entries);
    if let Some(end) = end {
        blocks.retain_in(..=end, |_, _| false)?;
    }
    Ok(dropped)
}

/// Drops the trees of events that are old enough to be forgotten.
pub(crate) fn forget_events(transaction: &WriteTransaction, today: u64) -> Result<(), redb::Error> {
    let is_old = |name: &str| schema::day_of_name(name).is_some_and(|day| day + REMEMBER_DAYS < today);
    let tables = transaction.list_tables()?;
    let old: Vec<String> = tables.map(|table| table.name().to_owned()).filter(|name| is_old(name)).collect();
    let mut filters = transaction.open_table(schema::FILTERS)?;
    for name in old {
        filters.remove(name.as_str())?;
        transaction.delete_table(schema::duplicates(&name))?;
    }
    Ok(())
}
