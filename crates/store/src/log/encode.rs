//! A group in bytes: entry by entry, or its records packed together where that saves a block.
//!
//! Records of one group resemble one another: some sixteen that come together take one block of the
//! disk instead of three. One that comes alone has its block to itself either way, and isn't packed.

use super::Position;
use super::ring::{Draft, Placed};
use crate::format::block::{self, BlockBuilder};
use crate::format::entry::{self, EntryKind};
use crate::format::group::{self, GroupHeader, Salt};
use crate::options::BLOCK;

/// Puts `drafts` into `out` as the group at `at`, padded to whole blocks.
pub(super) fn encode(
    out: &mut Vec<u8>,
    salt: &Salt,
    at: Position,
    seen_ms: u64,
    drafts: &[Draft],
) -> Vec<Placed> {
    let plain: u64 = drafts.iter().map(Draft::bytes).sum();
    let mut group = Group { out, salt, at, placed: Vec::with_capacity(drafts.len()), entries: 0 };
    group.begin();
    if group::extent(plain) > BLOCK {
        group.put_packed(drafts, seen_ms);
        if group::extent(group.payload()) >= group::extent(plain) {
            group.begin();
            group.put_plain(drafts);
        }
    } else {
        group.put_plain(drafts);
    }
    group.finish(seen_ms);
    group.placed
}

struct Group<'a> {
    out: &'a mut Vec<u8>,
    salt: &'a Salt,
    at: Position,
    placed: Vec<Placed>,
    entries: u32,
}

impl Group<'_> {
    fn begin(&mut self) {
        self.out.clear();
        self.out.resize(group::HEADER, 0);
        self.placed.clear();
        self.entries = 0;
    }

    fn payload(&self) -> u64 {
        (self.out.len() - group::HEADER) as u64
    }

    fn put_plain(&mut self, drafts: &[Draft]) {
        for draft in drafts {
            let place = self.entry(draft.kind, draft.sequence, &draft.body);
            self.placed.extend(draft.sequences().map(|sequence| Placed { sequence, ..place }));
        }
    }

    /// Marks and transactions stay where they are among the records.
    fn put_packed(&mut self, drafts: &[Draft], seen_ms: u64) {
        for run in drafts.chunk_by(|one, other| one.kind == other.kind) {
            if run[0].kind == EntryKind::Record {
                self.put_blocks(run, seen_ms);
            } else {
                self.put_plain(run);
            }
        }
    }

    /// Packs records into as few blocks as may be, of about the same size.
    fn put_blocks(&mut self, records: &[Draft], seen_ms: u64) {
        let whole: usize = records.iter().map(|draft| block::room_of(&draft.body)).sum();
        let part = whole.div_ceil(whole.div_ceil(block::CONTENT_BYTES).max(1));
        let mut builder = BlockBuilder::default();
        let mut begin = 0;
        for (place, draft) in records.iter().enumerate() {
            builder.push(draft.sequence, seen_ms, &draft.body);
            let last = place + 1 == records.len();
            if (last || builder.is_filled(part))
                && let Some((first, bytes)) = builder.finish()
            {
                let at = self.entry(EntryKind::Block, first, &bytes);
                let packed = records[begin..=place].iter();
                self.placed.extend(packed.map(|draft| Placed { sequence: draft.sequence, ..at }));
                begin = place + 1;
            }
        }
    }

    fn entry(&mut self, kind: EntryKind, sequence: u64, body: &[u8]) -> Placed {
        let generation = self.at.generation;
        let offset = self.at.offset + self.out.len() as u64;
        let length = entry::write(self.out, self.salt, generation, kind, sequence, body);
        self.entries += 1;
        Placed { sequence, generation, offset, length }
    }

    fn finish(&mut self, seen_ms: u64) {
        let header = GroupHeader {
            generation: self.at.generation,
            number: self.at.number,
            seen_ms,
            payload: self.payload(),
            entries: self.entries,
        };
        header.write(self.salt, self.at.offset, &mut self.out[..group::HEADER]);
        let extent = usize::try_from(header.extent()).unwrap_or(usize::MAX);
        self.out.resize(extent, 0);
    }
}
