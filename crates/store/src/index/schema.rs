//! The tables in redb, and the checkpoint that ties them to the log.

use redb::{ReadTransaction, TableDefinition, TableHandle as _};
use serde::{Deserialize, Serialize};

use crate::format::Unreadable;
use crate::format::group::Salt;
use crate::keyed::Hash;
use crate::log::{Geometry, Position};

/// The format that this version writes, and the newest that it reads.
///
/// - 1: the first.
/// - 2: the log may hold packed records ([`crate::format::entry::EntryKind::Block`]), which a
///   program that knows only the first would take for damage.
pub(crate) const FORMAT: u32 = 2;

/// Single values by name: `format`, `identity`, `checkpoint`.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// First sequence to a block of records.
pub(crate) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
/// Chunk number to bits of what is settled above the floor.
pub(crate) const SETTLED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("settled");
/// Sequence to a dead letter with its record.
pub(crate) const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead");
/// Sequences of dead letters that a person wants sent again.
pub(crate) const RETRIES: TableDefinition<'_, u64, ()> = TableDefinition::new("retries");
/// Hashed alias to contact.
pub(crate) const ALIASES: TableDefinition<'_, Hash, u128> = TableDefinition::new("aliases");
/// Contact to the older one that it was joined with.
pub(crate) const JOINED: TableDefinition<'_, u128, u128> = TableDefinition::new("joined");
/// Number to a sorted run of hashed events that aren't in a tree yet.
pub(crate) const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");

const DUPLICATES: &str = "duplicates-";

/// The name of a day's tree of hashed events.
pub(crate) fn duplicates_name(day: u64) -> String {
    format!("{DUPLICATES}{day:06}")
}

/// A day's tree of hashed events.
pub(crate) const fn duplicates(name: &str) -> TableDefinition<'_, Hash, ()> {
    TableDefinition::new(name)
}

/// The day whose tree a table is, if it is one.
pub(crate) fn day_of_name(name: &str) -> Option<u64> {
    name.strip_prefix(DUPLICATES).and_then(|day| day.parse().ok())
}

/// The days that have a tree, the oldest first.
pub(crate) fn duplicate_days(transaction: &ReadTransaction) -> Result<Vec<u64>, redb::Error> {
    let mut days: Vec<u64> =
        transaction.list_tables()?.filter_map(|table| day_of_name(table.name())).collect();
    days.sort_unstable();
    Ok(days)
}

/// What a store is given once, when it is made; in a file of its own, too, since the log can't be
/// read without it and the index may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The store's id, as the API shows it.
    pub(crate) store: String,
    /// Where every checksum of the log begins.
    pub(crate) salt: Salt,
    /// The key of the index hashes.
    pub(crate) hash_key: [u8; 32],
}

/// How far the log is folded, written in the same commit as what was folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Replay begins here.
    pub(crate) position: Position,
    /// The ring that the position is in.
    pub(crate) geometry: Geometry,
    /// The next record's sequence; everything below that exists is in the blocks.
    pub(crate) next_sequence: u64,
    /// Milliseconds that the box has seen pass.
    pub(crate) seen_ms: u64,
    /// Everything up to here is settled.
    pub(crate) floor: u64,
    /// Records that aren't settled.
    pub(crate) pending: u64,
    /// Everything up to here was dropped by age or for want of room.
    pub(crate) dropped: u64,
    /// Bytes of blocks and dead letters.
    pub(crate) content_bytes: u64,
    /// Records in the blocks.
    pub(crate) records: u64,
    /// Number of the next run of hashed events.
    pub(crate) next_run: u64,
    /// The day whose events the runs hold.
    pub(crate) day: u64,
}

impl Checkpoint {
    /// Of a store without a record.
    pub(crate) const fn new(geometry: Geometry) -> Self {
        Self {
            position: Position::START,
            geometry,
            next_sequence: 1,
            seen_ms: 0,
            floor: 0,
            pending: 0,
            dropped: 0,
            content_bytes: 0,
            records: 0,
            next_run: 0,
            day: 0,
        }
    }
}

/// How far the log is folded, as the index says.
pub(crate) fn checkpoint(transaction: &ReadTransaction) -> Result<Checkpoint, crate::ReadError> {
    let meta = transaction.open_table(META)?;
    let bytes = meta.get("checkpoint")?.ok_or(Unreadable("the index has no checkpoint"))?;
    Ok(from_bytes(bytes.value())?)
}

const VERSION: u8 = 1;

/// A value of [`META`]: a version and postcard.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

/// Reads a value of [`META`].
pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            _ => Err(Unreadable("a value of the index")),
        },
        _ => Err(Unreadable("version of a value of the index")),
    }
}
