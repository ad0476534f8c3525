//! The tables in redb, and the checkpoint that ties them to the log.

use redb::{ReadTransaction, TableDefinition, TableHandle as _};
use serde::{Deserialize, Serialize};

use crate::format::Unreadable;
use crate::format::group::Salt;
use crate::keyed::Hash;
use crate::log::{Geometry, Position};

/// The data format that this version writes, and the newest that it reads.
///
/// - 1: the first.
/// - 2: the log may hold packed records, which a program that knows only the first would take for damage; a day
///   may have several trees of events.
/// - 3: the log may hold transactions, and there is the table of values.
///
/// The rule for the next one is in `docs/formats/README.md`: it can be written in the way of the one before until
/// the version that brings it is committed, or is raised only then.
pub const DATA_FORMAT: u32 = 3;

/// The oldest format that this version can go on writing where it finds it, as [`crate::Options::keep_format`]
/// wants it. Not 1 and 2: packed records and transactions are written from the first webhook on, no version on a
/// box with two slots has ever written less than 3, and so nobody waits there for a way back.
pub(crate) const OLDEST_WRITTEN: u32 = 3;

// While the two are the same, nothing that writes has to ask which format it is to be.
const _: () = assert!(OLDEST_WRITTEN == DATA_FORMAT);

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

/// The box's own keys to values as in [`crate::format::value`].
pub(crate) const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");

const DUPLICATES: &str = "duplicates-";

/// Name of a tree of hashed events to a filter over it.
pub(crate) const FILTERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("filters");

/// The name of a tree of hashed events that came on `day` or before.
pub(crate) fn duplicates_name(day: u64, number: u64) -> String {
    format!("{DUPLICATES}{day:06}-{number:06}")
}

/// A tree of hashed events.
pub(crate) const fn duplicates(name: &str) -> TableDefinition<'_, Hash, ()> {
    TableDefinition::new(name)
}

/// The day of a tree of hashed events, if a table is one. Stores of format 1 had one tree a day, with
/// nothing behind the day.
pub(crate) fn day_of_name(name: &str) -> Option<u64> {
    let (day, number) =
        name.strip_prefix(DUPLICATES).map(|rest| rest.split_once('-').unwrap_or((rest, "0")))?;
    number.parse::<u64>().ok()?;
    day.parse().ok()
}

/// The names of the trees of hashed events, the oldest first.
pub(crate) fn duplicate_trees(transaction: &ReadTransaction) -> Result<Vec<String>, redb::Error> {
    let tables = transaction.list_tables()?;
    let mut names: Vec<String> = tables
        .filter(|table| day_of_name(table.name()).is_some())
        .map(|table| table.name().to_owned())
        .collect();
    names.sort_unstable();
    Ok(names)
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
    /// Bytes of blocks and dead letters, and of values with their keys.
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
