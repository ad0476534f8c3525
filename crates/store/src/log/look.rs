//! Which generations the ring holds, by a look at how its segments begin.

use std::io;

use super::{Geometry, Position};
use crate::disk::Segment;
use crate::format::entry::{self, Entry, EntryKind, Mark};
use crate::format::group::{self, GroupHeader, Salt};
use crate::options::BLOCK;

/// So often a read is tried before its bytes count as damage: a bus that hiccups once must not cost
/// a group. The kernel has waited and tried by itself each time, so there is no pause between.
const READ_TRIES: u32 = 3;
/// So much of a segment is looked at to see what it holds. At each start this is read of segments
/// that weren't begun yet, so it has to stay small.
const PROBE_BLOCKS: u64 = 16;
/// A generation beyond this is none: a box that fills a segment each second gets nowhere near.
const GENERATION_MAX: u64 = 1 << 62;
/// The first block of a segment.
const FIRST_BYTES: usize = 4096;

/// Reads from the log, more than once where the disk says that it can't.
pub(super) fn read(segment: &dyn Segment, out: &mut [u8], offset: u64) -> io::Result<()> {
    let mut tries = 1;
    loop {
        match segment.read_at(out, offset) {
            // Too short a segment isn't going to grow.
            Err(error) if tries < READ_TRIES && error.kind() != io::ErrorKind::UnexpectedEof => tries += 1,
            outcome => return outcome,
        }
    }
}

/// How a segment begins.
pub(super) struct Beginning {
    /// The groups that begin at one of the first block starts, with their offsets.
    groups: Vec<(u64, GroupHeader)>,
    /// Nothing but the zeros that the segment was made of.
    blank: bool,
}

impl Beginning {
    /// Looks at the segment in place `slot` of a ring that is cut like `geometry`.
    pub(super) fn look(segment: &dyn Segment, geometry: Geometry, salt: &Salt, slot: usize) -> Self {
        let mut beginning = Self::anywhere(segment, geometry.segment_bytes, salt);
        beginning.groups.retain(|(_, header)| geometry.slot(header.generation) as usize == slot);
        beginning
    }

    /// Looks at a segment whose place nobody knows.
    pub(super) fn anywhere(segment: &dyn Segment, bytes: u64, salt: &Salt) -> Self {
        let mut beginning = Self { groups: Vec::new(), blank: true };
        let mut block = [0; FIRST_BYTES];
        for place in 0..(bytes / BLOCK).min(PROBE_BLOCKS) {
            let offset = place * BLOCK;
            if read(segment, &mut block, offset).is_err() {
                beginning.blank = false;
                continue;
            }
            beginning.blank &= block.iter().all(|byte| *byte == 0);
            let header = GroupHeader::read(salt, offset, &block).ok();
            let header = header.filter(|header| header.generation < GENERATION_MAX);
            beginning.groups.extend(header.map(|header| (offset, header)));
        }
        beginning
    }

    /// The generation that the segment begins with.
    pub(super) fn generation(&self) -> Option<u64> {
        self.groups.first().map(|(_, header)| header.generation)
    }

    fn has(&self, generation: u64) -> bool {
        self.groups.iter().any(|(_, header)| header.generation == generation)
    }

    /// Whether the segment may hold groups of `generation`. Not where it was never written, or begins
    /// with a group of another one, since a generation's first group was durable before any other
    /// of it. Should the disk have lost that one all the same, those behind it tell.
    fn may_hold(&self, generation: u64) -> bool {
        let begins_with_another = self.groups.first().is_some_and(|(offset, _)| *offset == 0);
        self.has(generation) || !(self.blank || begins_with_another)
    }
}

/// The generations to be read, and whether the ring has gone round since `from` was the oldest.
pub(super) struct Plan {
    pub(super) generations: Vec<u64>,
    pub(super) overtaken: bool,
}

/// Looks for what there is from generation `from` on.
///
/// Usually all of it is within one round of the ring. An index that was put back from an older copy
/// knows nothing of the rounds since: what they have left is at the newest generations.
pub(super) fn plan(beginnings: &[Beginning], geometry: Geometry, from: u64) -> Plan {
    let round = u64::from(geometry.segments);
    let headers = beginnings.iter().flat_map(|beginning| &beginning.groups);
    let present: Vec<u64> =
        headers.map(|(_, header)| header.generation).filter(|generation| *generation >= from).collect();
    let newest = present.iter().copied().max().unwrap_or(from);
    let overtaken = newest >= from + round;
    let mut generations: Vec<u64> = (from..from + round).chain(present).collect();
    if overtaken {
        // Behind what a segment begins with there may be the rest of what it held a round before.
        generations.extend((newest + 1).saturating_sub(2 * round).max(from)..=newest);
    }
    generations.sort_unstable();
    generations.dedup();
    // Where a later generation has begun there was one before it, whatever its segment begins with.
    let mut later = false;
    let mut held: Vec<u64> = generations
        .into_iter()
        .rev()
        .filter(|generation| {
            let beginning = &beginnings[geometry.slot(*generation) as usize];
            let holds = *generation == from || later || beginning.may_hold(*generation);
            later |= beginning.has(*generation);
            holds
        })
        .collect();
    held.reverse();
    Plan { generations: held, overtaken }
}

/// What the first group of `generation` says about the ends of those before: it begins with that.
pub(super) fn seals(
    segment: &dyn Segment,
    geometry: Geometry,
    salt: &Salt,
    generation: u64,
) -> Vec<(u64, u64)> {
    let mut block = [0; FIRST_BYTES];
    let mut seals = Vec::new();
    let Some(header) =
        read(segment, &mut block, 0).ok().and_then(|()| GroupHeader::read(salt, 0, &block).ok())
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

/// Where the oldest groups in the ring begin: for a log without an index that says what is folded.
pub(super) fn oldest(beginnings: &[Beginning]) -> Position {
    let firsts = beginnings.iter().filter_map(|beginning| beginning.groups.first());
    let positions = firsts.map(|(_, header)| Position {
        generation: header.generation,
        offset: 0,
        number: header.number,
    });
    positions.min().unwrap_or(Position::START)
}
