//! Reading records from the log's tail, through the page cache.

use std::borrow::Cow;
use std::sync::Arc;

use crate::disk::Segment;
use crate::error::ReadError;
use crate::format::Unreadable;
use crate::format::entry::{self, EntryKind};
use crate::format::group::Salt;
use crate::format::values_v1;
use crate::log::Geometry;
use crate::state::TailEntry;

/// What stands at a place of the log.
pub(crate) enum Held<'a> {
    /// The stored bytes of one record.
    Record(Cow<'a, [u8]>),
    /// A block of records.
    Block(Cow<'a, [u8]>),
}

/// Reads what stands where `at` points to; `buffer` is used again from call to call. A place that
/// has been recycled meanwhile has another generation and is unreadable.
pub(crate) fn read<'a>(
    segments: &[Arc<dyn Segment>],
    geometry: Geometry,
    salt: &Salt,
    at: &TailEntry,
    buffer: &'a mut Vec<u8>,
) -> Result<Held<'a>, ReadError> {
    buffer.clear();
    buffer.resize(at.length as usize, 0);
    segments[geometry.slot(at.generation) as usize].read_at(buffer, at.offset)?;
    let entry = entry::read(salt, at.generation, buffer).map_err(ReadError::Damaged)?;
    match entry.kind {
        EntryKind::Record if entry.sequence == at.sequence => Ok(Held::Record(entry.body)),
        // It begins with its own first record, which may have been settled and passed over.
        EntryKind::Block if entry.sequence <= at.sequence => Ok(Held::Block(entry.body)),
        EntryKind::Values if entry.sequence <= at.sequence => {
            values_v1::records(entry.body).map(Held::Block).map_err(ReadError::Damaged)
        }
        EntryKind::Record | EntryKind::Mark | EntryKind::Block | EntryKind::Values => {
            Err(ReadError::Damaged(Unreadable("another entry")))
        }
    }
}
