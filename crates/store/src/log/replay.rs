//! Reading the log back after a start.
//!
//! A hole never ends it. Groups start on a block boundary, so behind bytes that can't be read the
//! scan goes on block by block to the next group of this generation: that one is replayed and the
//! hole is counted. Only a hole with nothing valid behind it is the torn end of a power cut.

use std::io;
use std::sync::Arc;

use super::{Geometry, Position};
use crate::disk::Segment;
use crate::format::entry::{self, Entry, EntryKind, Mark};
use crate::format::group::{self, GroupHeader, Salt};
use crate::options::BLOCK;

/// What replay found, beside the entries it showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Where the log goes on.
    pub(crate) end: Position,
    /// Time that the box had seen pass, by the last group; 0 without one.
    pub(crate) seen_ms: u64,
    /// Places where something acknowledged may be missing.
    pub(crate) holes: u64,
    /// Entries that couldn't be read in a group that could.
    pub(crate) damaged: u64,
}

/// An entry and where it lies.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) entry: Entry<'a>,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) seen_ms: u64,
}

/// Takes what replay finds.
pub(crate) trait Visit {
    fn entry(&mut self, found: &Found<'_>);
    /// Bytes that can't be read, for a person to look at.
    fn damage(&mut self, generation: u64, offset: u64, bytes: &[u8]);
}

/// Shows everything in the log from `from` on to `visit`, in order.
pub(crate) fn replay(
    segments: &[Arc<dyn Segment>],
    geometry: Geometry,
    salt: &Salt,
    from: Position,
    visit: &mut dyn Visit,
) -> io::Result<Replayed> {
    let mut done = Replayed { end: from, seen_ms: 0, holes: 0, damaged: 0 };
    let generations: Vec<u64> = (from.generation..from.generation + u64::from(geometry.segments))
        .filter(|generation| {
            *generation == from.generation || may_hold(segments, geometry, salt, *generation)
        })
        .collect();
    // A generation may be cut short by what the next one says of it, so that is read first.
    let seals: Vec<(u64, u64)> = generations
        .iter()
        .flat_map(|generation| {
            seals(&*segments[geometry.slot(*generation) as usize], geometry, salt, *generation)
        })
        .collect();
    for generation in generations {
        let start = if generation == from.generation { from.offset } else { 0 };
        let limit = seals
            .iter()
            .find(|(sealed, _)| *sealed == generation)
            .map_or(geometry.segment_bytes, |(_, end)| (*end).min(geometry.segment_bytes));
        let scan = Scan { segment: &*segments[geometry.slot(generation) as usize], salt, generation, limit };
        scan.run(start, &mut done, visit)?;
    }
    Ok(done)
}

/// Where the oldest groups in the ring begin: for a log without an index that says what is folded.
pub(crate) fn oldest(segments: &[Arc<dyn Segment>], geometry: Geometry, salt: &Salt) -> Position {
    let mut block = [0; FIRST_BYTES];
    let firsts = segments.iter().enumerate().filter_map(|(slot, segment)| {
        segment.read_at(&mut block, 0).ok()?;
        let header = GroupHeader::read(salt, &block).ok()?;
        let placed = geometry.slot(header.generation) as usize == slot;
        placed.then_some(Position { generation: header.generation, offset: 0, number: header.number })
    });
    firsts.min().unwrap_or(Position::START)
}

/// The first block of a segment.
const FIRST_BYTES: usize = 4096;

/// Whether a segment may hold groups of `generation`: not where it begins with a group of an
/// earlier one, or with the zeros it was made of. Its first group was durable before any later one.
fn may_hold(segments: &[Arc<dyn Segment>], geometry: Geometry, salt: &Salt, generation: u64) -> bool {
    let mut block = [0; FIRST_BYTES];
    if segments[geometry.slot(generation) as usize].read_at(&mut block, 0).is_err() {
        return true;
    }
    match GroupHeader::read(salt, &block) {
        Ok(header) => header.generation == generation,
        Err(_) => block.iter().any(|byte| *byte != 0),
    }
}

/// What the first group of `generation` says about the ends of those before: it begins with that.
fn seals(segment: &dyn Segment, geometry: Geometry, salt: &Salt, generation: u64) -> Vec<(u64, u64)> {
    let mut block = [0; FIRST_BYTES];
    let mut seals = Vec::new();
    let Some(header) =
        segment.read_at(&mut block, 0).ok().and_then(|()| GroupHeader::read(salt, &block).ok())
    else {
        return seals;
    };
    if header.generation != generation || header.extent() > geometry.segment_bytes {
        return seals;
    }
    let mut rest = &block[group::HEADER..];
    while let Some(length) = entry::length(rest) {
        let (bytes, behind) = rest.split_at(length);
        let Ok(Entry { kind: EntryKind::Mark, body, .. }) = entry::read(salt, generation, bytes) else {
            break;
        };
        if let Ok(Mark::Sealed { generation, end, .. }) = Mark::from_bytes(&body) {
            seals.push((generation, end));
        }
        rest = behind;
    }
    seals
}

struct Scan<'a> {
    segment: &'a dyn Segment,
    salt: &'a Salt,
    generation: u64,
    limit: u64,
}

impl Scan<'_> {
    fn run(&self, start: u64, done: &mut Replayed, visit: &mut dyn Visit) -> io::Result<()> {
        let mut offset = start;
        let mut hole = None;
        let mut header = [0; group::HEADER];
        while offset + BLOCK <= self.limit {
            let read = self.segment.read_at(&mut header, offset);
            let known =
                read.ok().and_then(|()| GroupHeader::read(self.salt, &header).ok()).filter(|header| {
                    header.generation == self.generation
                        && header.number >= done.end.number
                        && offset.checked_add(header.extent()).is_some_and(|end| end <= self.limit)
                });
            let Some(header) = known else {
                hole.get_or_insert(offset);
                offset += BLOCK;
                continue;
            };
            if let Some(begin) = hole.take() {
                done.holes += 1;
                self.set_aside(begin, offset, visit);
            } else if header.number > done.end.number + (self.generation - done.end.generation) {
                // Going to another segment skips a number; more are groups that aren't there.
                done.holes += 1;
            }
            self.group(offset, &header, done, visit)?;
            offset += header.extent();
            done.end = Position { generation: self.generation, offset, number: header.number + 1 };
            done.seen_ms = done.seen_ms.max(header.seen_ms);
        }
        Ok(())
    }

    fn group(
        &self,
        offset: u64,
        header: &GroupHeader,
        done: &mut Replayed,
        visit: &mut dyn Visit,
    ) -> io::Result<()> {
        let mut payload = vec![0; usize::try_from(header.payload).unwrap_or(0)];
        let mut at = offset + group::HEADER as u64;
        if let Err(error) = self.segment.read_at(&mut payload, at) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Err(error);
            }
            // A sector that can't be read costs its group, not the start.
            done.damaged += u64::from(header.entries);
            return Ok(());
        }
        let mut rest = payload.as_slice();
        let mut shown = 0;
        while let Some(length) = entry::length(rest).filter(|_| shown < header.entries) {
            let (bytes, behind) = rest.split_at(length);
            match entry::read(self.salt, self.generation, bytes) {
                Ok(entry) => visit.entry(&Found {
                    entry,
                    generation: self.generation,
                    offset: at,
                    length: u32::try_from(length).unwrap_or(u32::MAX),
                    seen_ms: header.seen_ms,
                }),
                Err(_) => {
                    done.damaged += 1;
                    visit.damage(self.generation, at, bytes);
                }
            }
            shown += 1;
            at += length as u64;
            rest = behind;
        }
        if shown < header.entries {
            done.damaged += u64::from(header.entries - shown);
            visit.damage(self.generation, at, rest);
        }
        Ok(())
    }

    fn set_aside(&self, begin: u64, end: u64, visit: &mut dyn Visit) {
        let length = usize::try_from((end - begin).min(ASIDE_BYTES)).unwrap_or(0);
        let mut bytes = vec![0; length];
        if self.segment.read_at(&mut bytes, begin).is_ok() {
            visit.damage(self.generation, begin, &bytes);
        }
    }
}

/// Of a hole so much is kept for a person to look at.
const ASIDE_BYTES: u64 = 1 << 20;
