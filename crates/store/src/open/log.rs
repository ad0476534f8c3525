//! The log as a start finds it on the disk.

use std::sync::Arc;

use crate::disk::{Disk, Segment};
use crate::error::{OpenError, io_error};
use crate::format::group::Salt;
use crate::log::{Geometry, Position, cut, replay, ring};
use crate::options::BLOCK;

/// Opens the segments and makes sure that what is read from them is on the disk.
///
/// The process before this one may have been killed between a write and its sync, or told that its
/// sync had failed. Memory shows both groups whole. The first becomes durable here. The second was
/// refused to its sender, and memory is all it is in: the kernel takes it for written. To go by
/// memory would be to answer the sender, who comes again, that it is there; and what is acknowledged
/// behind it would be lost with it if it stood at the beginning of a segment.
///
/// So memory is let go, and a start after a kill finds what it would find after a power cut. The
/// other way, writing such a group once more at its place, would write over blocks that may hold
/// acknowledged records: nobody can tell by looking which of the two kinds the last group is.
pub(super) fn open(disk: &dyn Disk, geometry: Geometry) -> Result<Arc<[Arc<dyn Segment>]>, OpenError> {
    let segments = ring::open_segments(disk, geometry).map_err(io_error("the intake log can't be opened"))?;
    for segment in segments.iter() {
        segment.refresh().map_err(io_error("the intake log can't be synced"))?;
    }
    Ok(segments)
}

/// The cut of the log, and where its oldest groups begin, where no index says it. `wanted` is the cut of
/// a log that isn't there.
pub(super) fn find(
    disk: &dyn Disk,
    salt: &Salt,
    wanted: Geometry,
) -> Result<(Geometry, Position), OpenError> {
    let lengths = disk.segment_lengths().map_err(io_error("the folder can't be read"))?;
    if lengths.is_empty() {
        return Ok((wanted, Position::START));
    }
    let cut = cut_of(disk, salt, &lengths, wanted)?;
    Ok((cut, replay::oldest(&open(disk, cut)?, cut, salt)))
}

/// The cut is that of the files that are there: the options may have changed in the same start.
fn cut_of(disk: &dyn Disk, salt: &Salt, lengths: &[u64], wanted: Geometry) -> Result<Geometry, OpenError> {
    let bytes = lengths.first().copied().unwrap_or(0);
    if bytes < 2 * BLOCK || !bytes.is_multiple_of(BLOCK) {
        return Ok(wanted);
    }
    let alike = lengths.iter().take_while(|length| **length == bytes).count();
    let there = Geometry { segments: u32::try_from(alike).unwrap_or(u32::MAX), segment_bytes: bytes };
    Ok(cut::of(&open(disk, there)?, bytes, salt).unwrap_or(wanted))
}
