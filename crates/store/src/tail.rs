//! Reading a record from the log's tail, through the page cache.

use std::sync::Arc;

use crate::disk::Segment;
use crate::error::ReadError;
use crate::format::Unreadable;
use crate::format::entry::{self, EntryKind};
use crate::format::group::Salt;
use crate::log::Geometry;
use crate::state::TailEntry;

/// Reads the stored bytes of the record that `entry` points to; `buffer` is used again from call
/// to call. A place that has been recycled meanwhile has another generation and is unreadable.
pub(crate) fn read_entry<'a>(
    segments: &[Arc<dyn Segment>],
    geometry: Geometry,
    salt: &Salt,
    at: &TailEntry,
    buffer: &'a mut Vec<u8>,
) -> Result<std::borrow::Cow<'a, [u8]>, ReadError> {
    buffer.clear();
    buffer.resize(at.length as usize, 0);
    segments[geometry.slot(at.generation) as usize].read_at(buffer, at.offset)?;
    match entry::read(salt, at.generation, buffer) {
        Ok(entry) if entry.kind == EntryKind::Record && entry.sequence == at.sequence => Ok(entry.body),
        Ok(_) => Err(ReadError::Damaged(Unreadable("another entry"))),
        Err(unreadable) => Err(ReadError::Damaged(unreadable)),
    }
}
