//! The store's identity, its format, and how far its log is folded.

use std::io::ErrorKind;

use ring::rand::SecureRandom as _;

use crate::disk::Disk;
use crate::error::{OpenError, ReadError, index_error, io_error, read_error};
use crate::format::Unreadable;
use crate::index::Index;
use crate::index::schema::{self, Checkpoint, Identity};

/// Everything that a new index begins with.
pub(super) fn fill(
    transaction: &redb::WriteTransaction,
    identity: &Identity,
    checkpoint: &Checkpoint,
    format: u32,
) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(schema::META)?;
    meta.insert("format", format.to_le_bytes().as_slice())?;
    meta.insert("identity", schema::to_bytes(identity).as_slice())?;
    meta.insert("checkpoint", schema::to_bytes(checkpoint).as_slice())?;
    transaction.open_table(schema::BLOCKS)?;
    transaction.open_table(schema::SETTLED)?;
    transaction.open_table(schema::DEAD)?;
    transaction.open_table(schema::RETRIES)?;
    transaction.open_table(schema::ALIASES)?;
    transaction.open_table(schema::JOINED)?;
    transaction.open_table(schema::RUNS)?;
    transaction.open_table(schema::VALUES)?;
    Ok(())
}

/// The store's identity, made with the first start. It is kept twice: without the index the file
/// makes the log readable, and without the file the index does.
pub(super) fn identity(disk: &dyn Disk, index: &Index) -> Result<Identity, OpenError> {
    let failed = io_error("the file `identity` can't be read or written");
    let kept = disk.identity().map_err(&failed)?;
    if let Some(identity) = kept.and_then(|bytes| schema::from_bytes(&bytes).ok()) {
        return Ok(identity);
    }
    let known = if disk.has_index().map_err(&failed)? {
        index.reopen(disk).map_err(index_error)?;
        let read = || -> Result<Identity, ReadError> {
            let meta = index.begin_read()?.open_table(schema::META)?;
            let bytes = meta.get("identity")?.ok_or(Unreadable("the index has no identity"))?;
            Ok(schema::from_bytes(bytes.value())?)
        };
        read().map_err(read_error)?
    } else {
        new_identity()?
    };
    disk.keep_identity(&schema::to_bytes(&known)).map_err(&failed)?;
    Ok(known)
}

/// How far the log is folded.
pub(super) fn read_checkpoint(index: &Index) -> Result<Checkpoint, OpenError> {
    let read = || -> Result<(u32, Option<Checkpoint>), ReadError> {
        let transaction = index.begin_read()?;
        let meta = transaction.open_table(schema::META)?;
        let missing = Unreadable("the index has no checkpoint");
        let format =
            meta.get("format")?.and_then(|bytes| bytes.value().try_into().ok().map(u32::from_le_bytes));
        let format = format.ok_or(missing)?;
        // The rest may look otherwise in a later format.
        if format > schema::DATA_FORMAT {
            return Ok((format, None));
        }
        let checkpoint = meta.get("checkpoint")?.ok_or(missing)?;
        Ok((format, Some(schema::from_bytes(checkpoint.value())?)))
    };
    match read().map_err(read_error)? {
        (_, Some(checkpoint)) => Ok(checkpoint),
        (found, None) => Err(OpenError::TooNew { found, known: schema::DATA_FORMAT }),
    }
}

/// What a new index begins with: nothing was found in it that would have to be kept, so a version on trial makes
/// what the most others can read.
pub(super) const fn format_of_new(keep: bool) -> u32 {
    if keep { schema::OLDEST_WRITTEN } else { schema::DATA_FORMAT }
}

/// Raises the format to the one that is written from now on, or keeps the one that is there.
pub(super) fn settle_format(index: &Index, keep: bool) -> Result<(), OpenError> {
    if !keep {
        return raise_format(index);
    }
    let read = || -> Result<Option<u32>, ReadError> {
        let format = index.begin_read()?.open_table(schema::META)?.get("format")?;
        Ok(format.and_then(|bytes| bytes.value().try_into().ok().map(u32::from_le_bytes)))
    };
    match read().map_err(read_error)? {
        Some(found) if found < schema::OLDEST_WRITTEN => {
            Err(OpenError::CannotKeep { found, oldest: schema::OLDEST_WRITTEN })
        }
        _ => Ok(()),
    }
}

/// Notes that a later format is written from now on: an earlier program is to leave the store alone.
fn raise_format(index: &Index) -> Result<(), OpenError> {
    let raise = || -> Result<(), ReadError> {
        let now = schema::DATA_FORMAT.to_le_bytes();
        let transaction = index.begin_read()?;
        if transaction.open_table(schema::META)?.get("format")?.is_some_and(|format| format.value() == now) {
            return Ok(());
        }
        let transaction = index.begin_write()?;
        transaction.open_table(schema::META)?.insert("format", now.as_slice())?;
        transaction.open_table(schema::VALUES)?;
        transaction.commit()?;
        Ok(())
    };
    raise().map_err(read_error)
}

/// Whether it is the index's bytes that are wrong, and not the disk or the place.
pub(super) fn is_damage(error: &OpenError) -> bool {
    match error {
        OpenError::Index(error) => {
            if let redb::Error::Io(error) = &**error {
                return matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
            }
            use redb::Error::{Corrupted, TableDoesNotExist, TableTypeMismatch};
            matches!(**error, Corrupted(_) | TableDoesNotExist(_) | TableTypeMismatch { .. })
        }
        OpenError::Damaged(_) => true,
        OpenError::Io { .. }
        | OpenError::InUse
        | OpenError::TooNew { .. }
        | OpenError::CannotKeep { .. }
        | OpenError::Options(_) => false,
    }
}

fn new_identity() -> Result<Identity, OpenError> {
    let random = ring::rand::SystemRandom::new();
    let mut bytes = [0; 64];
    random.fill(&mut bytes).map_err(|_| OpenError::Options("the system gives no random numbers"))?;
    let mut identity = Identity { store: String::from("s-"), salt: [0; 16], hash_key: [0; 32] };
    for byte in &bytes[..10] {
        identity.store.push_str(&format!("{byte:02x}"));
    }
    identity.salt.copy_from_slice(&bytes[16..32]);
    identity.hash_key.copy_from_slice(&bytes[32..]);
    Ok(identity)
}
