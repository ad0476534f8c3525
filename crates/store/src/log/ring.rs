//! Writing the log.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::encode::encode;
use super::{Geometry, Position};
use crate::disk::{Disk, Segment};
use crate::format::entry::{self, EntryKind, Mark};
use crate::format::group::{self, Salt};
use crate::options::BLOCK;

/// What is to be written: a record under its sequence, a mark under 0, or a transaction under the
/// sequence of its first record, 0 where it has none.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: EntryKind,
    pub(crate) sequence: u64,
    /// How many records there are from that sequence on.
    pub(crate) records: u64,
    pub(crate) body: Vec<u8>,
}

impl Draft {
    pub(crate) const fn record(sequence: u64, body: Vec<u8>) -> Self {
        Self { kind: EntryKind::Record, sequence, records: 1, body }
    }

    pub(crate) fn mark(mark: &Mark) -> Self {
        Self { kind: EntryKind::Mark, sequence: 0, records: 0, body: mark.to_bytes() }
    }

    pub(super) const fn sequences(&self) -> Range<u64> {
        self.sequence..self.sequence + self.records
    }

    pub(super) const fn bytes(&self) -> u64 {
        (entry::HEADER + self.body.len()) as u64
    }
}

/// Where a record lies in the log: its entry, which it may share with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) sequence: u64,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// Why a group wasn't written. Nothing of it counts then.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Every segment holds what isn't folded yet.
    NoRoom,
    /// The disk refused; the segment is sealed.
    Disk(io::Error),
}

/// The writing end of the log.
#[derive(Debug)]
pub(crate) struct Ring {
    geometry: Geometry,
    salt: Salt,
    segments: Arc<[Arc<dyn Segment>]>,
    at: Position,
    folded: Position,
    /// Marks in the group at `at`, which is written but not synced and may be written over.
    open_marks: Vec<Draft>,
    /// Something before `at` isn't synced.
    unsynced: bool,
    /// Set after a failure: the segment ends at `at`, and these sequences are lost with it.
    sealed: Option<Option<(u64, u64)>>,
    flush: Option<Duration>,
    written: u64,
    buffer: Vec<u8>,
}

impl Ring {
    /// Opens the segments and goes on at `at`; what stands before `folded` is free.
    pub(crate) fn open(
        disk: &dyn Disk,
        geometry: Geometry,
        salt: Salt,
        at: Position,
        folded: Position,
    ) -> io::Result<Self> {
        Ok(Self {
            geometry,
            salt,
            segments: open_segments(disk, geometry)?,
            at,
            folded,
            open_marks: Vec::new(),
            unsynced: false,
            sealed: None,
            flush: None,
            written: 0,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn segments(&self) -> Arc<[Arc<dyn Segment>]> {
        Arc::clone(&self.segments)
    }

    /// Where the next group goes; everything before is durable or holds only marks.
    pub(crate) const fn position(&self) -> Position {
        self.at
    }

    /// Bytes of log between what is folded and the end.
    pub(crate) fn unfolded_bytes(&self) -> u64 {
        let generations = self.at.generation - self.folded.generation;
        (generations * self.geometry.segment_bytes + self.at.offset).saturating_sub(self.folded.offset)
    }

    /// Bytes handed to the segments since the start.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// The measured time of a sync, smoothed; `None` before the first.
    pub(crate) const fn flush_time(&self) -> Option<Duration> {
        self.flush
    }

    /// Whether marks wait for a sync.
    pub(crate) const fn is_unsynced(&self) -> bool {
        self.unsynced || !self.open_marks.is_empty()
    }

    /// Everything before `position` is in redb.
    pub(crate) fn set_folded(&mut self, position: Position) {
        self.folded = position;
    }

    /// Whether a group with `bytes` more than the marks on hand finds a place.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let marks: u64 = self.open_marks.iter().map(Draft::bytes).sum();
        let fits = self.at.offset + group::extent(marks + bytes) <= self.geometry.segment_bytes;
        (fits && self.sealed.is_none()) || self.next_is_free()
    }

    fn next_is_free(&self) -> bool {
        self.at.generation + 1 < self.folded.generation + u64::from(self.geometry.segments)
    }

    /// Writes `drafts` as one group and, with `sync`, returns when it is durable. Without, the
    /// group must hold marks only.
    pub(crate) fn write(
        &mut self,
        drafts: Vec<Draft>,
        seen_ms: u64,
        sync: bool,
    ) -> Result<Vec<Placed>, WriteError> {
        let mut whole = std::mem::take(&mut self.open_marks);
        whole.extend(drafts);
        let result = self.write_whole(&mut whole, seen_ms, sync);
        if !matches!(result, Ok(Written { closed: true, .. })) {
            // Until a group with them is closed, marks stay on hand to be written again.
            whole.retain(|draft| draft.kind == EntryKind::Mark);
            self.open_marks = whole;
        }
        result.map(|written| written.placed)
    }

    fn write_whole(
        &mut self,
        drafts: &mut Vec<Draft>,
        seen_ms: u64,
        sync: bool,
    ) -> Result<Written, WriteError> {
        let payload: u64 = drafts.iter().map(Draft::bytes).sum();
        self.make_room(payload, drafts)?;
        let placed = encode(&mut self.buffer, &self.salt, self.at, seen_ms, drafts);
        let extent = self.buffer.len() as u64;
        // The first group of a segment is durable before another stands behind it: replay takes a
        // segment that doesn't begin with its generation for one that wasn't begun.
        let sync = sync || (self.at.offset == 0 && extent > BLOCK);
        let outcome = self.put(sync);
        if let Err(error) = outcome {
            let sequences = || drafts.iter().flat_map(Draft::sequences);
            self.sealed = Some(sequences().min().zip(sequences().max()));
            return Err(WriteError::Disk(error));
        }
        let closed = sync || extent > BLOCK;
        if closed {
            self.at.offset += extent;
            self.at.number += 1;
            self.unsynced = !sync;
        }
        Ok(Written { placed, closed })
    }

    /// Moves to the next segment where the group doesn't fit, or after a failure.
    fn make_room(&mut self, payload: u64, drafts: &mut Vec<Draft>) -> Result<(), WriteError> {
        let fits = self.at.offset + group::extent(payload) <= self.geometry.segment_bytes;
        if fits && self.sealed.is_none() {
            return Ok(());
        }
        let next = self.at.generation + 1;
        // What doesn't fit into an empty segment must not be written behind its end, where no
        // replay looks.
        if !self.next_is_free() || group::extent(payload) > self.geometry.segment_bytes {
            return Err(WriteError::NoRoom);
        }
        if self.sealed.is_none() && self.unsynced {
            if let Err(error) = self.sync() {
                self.sealed = Some(None);
                return Err(WriteError::Disk(error));
            }
            self.unsynced = false;
        }
        if let Some(burned) = self.sealed {
            let seal = Mark::Sealed { generation: self.at.generation, end: self.at.offset, burned };
            drafts.insert(0, Draft::mark(&seal));
            let bytes: u64 = drafts.iter().map(Draft::bytes).sum();
            if group::extent(bytes) > self.geometry.segment_bytes {
                drafts.remove(0);
                return Err(WriteError::NoRoom);
            }
        }
        self.sealed = None;
        self.unsynced = false;
        // The old segment may still end with an open group of marks under the present number.
        self.at = Position { generation: next, offset: 0, number: self.at.number + 1 };
        Ok(())
    }

    fn put(&mut self, sync: bool) -> io::Result<()> {
        let slot = self.geometry.slot(self.at.generation) as usize;
        self.segments[slot].write_at(&self.buffer, self.at.offset)?;
        self.written += self.buffer.len() as u64;
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
        if sync { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let slot = self.geometry.slot(self.at.generation) as usize;
        let start = Instant::now();
        self.segments[slot].sync()?;
        let took = start.elapsed();
        self.flush = Some(self.flush.map_or(took, |smooth| (smooth * 7 + took) / 8));
        Ok(())
    }

    /// Makes marks durable that no group has taken along.
    pub(crate) fn sync_marks(&mut self, seen_ms: u64) -> Result<(), WriteError> {
        if self.is_unsynced() { self.write(Vec::new(), seen_ms, true).map(|_| ()) } else { Ok(()) }
    }
}

/// A write buffer larger than this isn't kept for the next group.
const BUFFER_KEPT: usize = 2 << 20;

struct Written {
    placed: Vec<Placed>,
    /// The group stands and the next goes behind it.
    closed: bool,
}

pub(crate) fn open_segments(disk: &dyn Disk, geometry: Geometry) -> io::Result<Arc<[Arc<dyn Segment>]>> {
    (0..geometry.segments).map(|slot| disk.segment(slot, geometry.segment_bytes)).collect()
}
