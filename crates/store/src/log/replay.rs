//! Reading the log back after a start.
//!
//! A hole never ends it. Groups start on a block boundary, so behind bytes that can't be read the
//! scan goes on block by block to the next group of this generation: that one is replayed and the
//! hole is counted. Only a hole with nothing valid behind it is the torn end of a power cut. What the
//! disk refuses to read is no torn end, but damage.

use std::io;
use std::sync::Arc;

use super::look::{self, Beginning, Plan};
use super::scan::{Open, Scan};
use super::{Geometry, Position};
use crate::disk::Segment;
use crate::format::entry::Entry;
use crate::format::group::Salt;
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
    /// So many sequences behind the newest record may be those of acknowledged ones that the disk
    /// doesn't give out: they are never given to others.
    pub(crate) lost: u64,
}

/// An entry and where it lies.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) entry: Entry<'a>,
    /// Number of its group.
    pub(crate) group: u64,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) seen_ms: u64,
}

/// Takes what replay finds.
pub(crate) trait Visit {
    fn entry(&mut self, found: &Found<'_>);
    /// Something that can't be read, and is in [`Replayed::holes`] or [`Replayed::damaged`].
    fn damage(&mut self, damage: &Damage<'_>);
}

/// Something that can't be read. Each start finds it again, until it is folded over.
#[derive(Debug)]
pub(crate) struct Damage<'a> {
    pub(crate) place: Place,
    /// As what it counts: a hole as one, else its entries.
    pub(crate) count: u64,
    /// For a person to look at; none where the disk gives none.
    pub(crate) bytes: &'a [u8],
}

/// Where something can't be read.
#[derive(Debug)]
pub(crate) enum Place {
    /// In these bytes.
    Bytes { generation: u64, offset: u64, length: u64 },
    /// Between groups: those from one number up to another, which is not among them.
    Groups { from: u64, to: u64 },
}

impl Damage<'_> {
    /// The same at each start that finds the same, and another one as soon as there is more: the end and the
    /// count are in it.
    pub(crate) fn name(&self) -> String {
        match self.place {
            Place::Bytes { generation, offset, length } => {
                format!("log-{generation}-{offset}-{length}-{}", self.count)
            }
            Place::Groups { from, to } => format!("log-missing-{from}-{to}"),
        }
    }
}

/// Shows everything in the log from `from` on to `visit`, in order.
pub(crate) fn replay(
    segments: &[Arc<dyn Segment>],
    geometry: Geometry,
    salt: &Salt,
    from: Position,
    visit: &mut dyn Visit,
) -> io::Result<Replayed> {
    let beginnings = look(segments, geometry, salt);
    let Plan { generations, overtaken } = look::plan(&beginnings, geometry, from.generation);
    // A generation may be cut short by what the next one says of it, so that is read first.
    let seals: Vec<(u64, u64)> = generations
        .iter()
        .flat_map(|generation| {
            look::seals(&*segments[geometry.slot(*generation) as usize], geometry, salt, *generation)
        })
        .collect();
    let mut done = Replayed { end: from, seen_ms: 0, holes: 0, damaged: 0, lost: 0 };
    let mut open = Open::default();
    for generation in generations {
        let start = if generation == from.generation { from.offset } else { 0 };
        let limit = seals
            .iter()
            .find(|(sealed, _)| *sealed == generation)
            .map_or(geometry.segment_bytes, |(_, end)| (*end).min(geometry.segment_bytes));
        let scan = Scan { segment: &*segments[geometry.slot(generation) as usize], salt, generation, limit };
        scan.run(start, &mut done, &mut open, visit)?;
    }
    if overtaken {
        // Groups were written over that this index never had. What is left of older ones may lie
        // behind the newest: nothing more is written there before all of it is folded.
        if done.holes == 0 {
            done.holes = 1;
            missing(from.number, done.end.number, visit);
        }
        done.end.offset = geometry.segment_bytes;
    }
    if let Some(unread) = open.unread {
        // Acknowledged groups may be in there, and readable the next time: their place is left alone,
        // and their numbers and sequences aren't given to others.
        done.holes += 1;
        done.lost = done.lost.saturating_add(unread.sequences());
        let readable = done.end.number;
        done.end = Position {
            generation: unread.generation,
            offset: geometry.segment_bytes,
            number: done.end.number.saturating_add(geometry.segment_bytes / BLOCK),
        };
        // The next group goes to another segment, which skips a number. A start that finds it sees the place as
        // numbers that are missing: the same ones, so that what was met here isn't new there.
        missing(readable, done.end.number.saturating_add(1), visit);
    }
    done.lost = done.lost.min(LOST_MAX);
    Ok(done)
}

/// A hole of which there are no bytes: groups from one number up to another.
pub(super) fn missing(from: u64, to: u64, visit: &mut dyn Visit) {
    visit.damage(&Damage { place: Place::Groups { from, to }, count: 1, bytes: &[] });
}

/// Where the oldest groups in the ring begin: for a log without an index that says what is folded.
pub(crate) fn oldest(segments: &[Arc<dyn Segment>], geometry: Geometry, salt: &Salt) -> Position {
    look::oldest(&look(segments, geometry, salt))
}

fn look(segments: &[Arc<dyn Segment>], geometry: Geometry, salt: &Salt) -> Vec<Beginning> {
    let segments = segments.iter().enumerate();
    segments.map(|(slot, segment)| Beginning::look(&**segment, geometry, salt, slot)).collect()
}

/// So many sequences are given up at most for what can't be read: more than a ring has records.
const LOST_MAX: u64 = 1 << 20;
