//! The intake log: a short ring of zero-filled segments in front of redb.
//!
//! All that waits shares one write and one sync. Groups start on a block boundary and are never
//! rewritten once a caller was told that they're durable. What has been folded into redb is
//! recycled: a segment's place holds a new generation then, which every checksum contains.

pub(crate) mod cut;
mod encode;
mod look;
pub(crate) mod replay;
pub(crate) mod ring;
mod scan;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    /// Which filling of the ring's places; starts at 1 and only grows.
    pub(crate) generation: u64,
    /// Byte offset in the segment; a block boundary.
    pub(crate) offset: u64,
    /// Number that the group at this place has or will have.
    pub(crate) number: u64,
}

impl Position {
    /// The beginning of a new log.
    pub(crate) const START: Self = Self { generation: 1, offset: 0, number: 1 };
}

/// How a ring is cut; stored, since a log can only be read with the cut it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Geometry {
    pub(crate) segments: u32,
    pub(crate) segment_bytes: u64,
}

impl Geometry {
    /// The place in the ring that a generation fills.
    pub(crate) fn slot(self, generation: u64) -> u32 {
        u32::try_from(generation % u64::from(self.segments)).unwrap_or(0)
    }
}
