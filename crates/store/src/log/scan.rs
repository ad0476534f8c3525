//! Reading one generation, block by block.

use std::io;

use super::Position;
use super::look::read;
use super::replay::{Damage, Found, Place, Replayed, Visit, missing};
use crate::aside::ASIDE_BYTES;
use crate::disk::Segment;
use crate::format::entry;
use crate::format::group::{self, GroupHeader, Salt};
use crate::options::BLOCK;

/// A group has fewer records: two MiB at most, by an account that takes 512 bytes for the least.
const GROUP_RECORDS_MAX: u64 = 8192;

/// What the scan of the generations so far leaves open.
#[derive(Default)]
pub(super) struct Open {
    /// Entries that can't be read in a group that nothing was found behind: torn by a power cut, or
    /// damaged if there is a later group after all.
    torn: Vec<Torn>,
    /// Blocks behind the last group that the disk doesn't give out, and their generation.
    pub(super) unread: Option<Unread>,
}

/// Blocks that can't be read, and behind which nothing was found: each may be a group.
#[derive(Clone, Copy)]
pub(super) struct Unread {
    pub(super) generation: u64,
    blocks: u64,
}

impl Unread {
    /// So many sequences may have been given to records in there.
    pub(super) const fn sequences(self) -> u64 {
        self.blocks.saturating_mul(GROUP_RECORDS_MAX)
    }
}

struct Torn {
    generation: u64,
    offset: u64,
    entries: u32,
    bytes: Vec<u8>,
}

pub(super) struct Scan<'a> {
    pub(super) segment: &'a dyn Segment,
    pub(super) salt: &'a Salt,
    pub(super) generation: u64,
    pub(super) limit: u64,
}

impl Scan<'_> {
    pub(super) fn run(
        &self,
        start: u64,
        done: &mut Replayed,
        open: &mut Open,
        visit: &mut dyn Visit,
    ) -> io::Result<()> {
        let mut offset = start;
        let mut hole = None;
        let mut header = [0; group::HEADER];
        while offset + BLOCK <= self.limit {
            let read = read(self.segment, &mut header, offset);
            if read.is_err() {
                open.unread(self.generation, done.end.generation);
            }
            let known = read.ok().and_then(|()| GroupHeader::read(self.salt, offset, &header).ok()).filter(
                |header| {
                    header.generation == self.generation
                        && (done.end.number..u64::MAX).contains(&header.number)
                        && offset.checked_add(header.extent()).is_some_and(|end| end <= self.limit)
                },
            );
            let Some(header) = known else {
                hole.get_or_insert(offset);
                offset += BLOCK;
                continue;
            };
            if let Some(begin) = hole.take() {
                done.holes += 1;
                self.set_aside(begin, offset, visit);
            } else if header.number > done.end.number.saturating_add(self.generation - done.end.generation) {
                // Going to another segment skips a number; more are groups that aren't there.
                done.holes += 1;
                missing(done.end.number, header.number, visit);
            }
            for damage in open.torn.drain(..) {
                done.damaged += u64::from(damage.entries);
                let Torn { generation, offset, entries, bytes } = &damage;
                let length = bytes.len() as u64;
                let place = Place::Bytes { generation: *generation, offset: *offset, length };
                visit.damage(&Damage { place, count: u64::from(*entries), bytes });
            }
            // Its records have later sequences than any before it.
            if let Some(unread) = open.unread.take() {
                done.lost = done.lost.saturating_add(unread.sequences());
            }
            self.group(offset, &header, done, open, visit)?;
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
        open: &mut Open,
        visit: &mut dyn Visit,
    ) -> io::Result<()> {
        let mut payload = vec![0; usize::try_from(header.payload).unwrap_or(0)];
        let mut at = offset + group::HEADER as u64;
        if let Err(error) = read(self.segment, &mut payload, at) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Err(error);
            }
            // A sector that can't be read costs its group, not the start: a box with one bad sector
            // would never start again. But its sequences were given out.
            done.damaged += u64::from(header.entries);
            done.lost = done.lost.saturating_add(GROUP_RECORDS_MAX);
            let place = self.place(offset, header.extent());
            visit.damage(&Damage { place, count: u64::from(header.entries), bytes: &[] });
            return Ok(());
        }
        let mut rest = payload.as_slice();
        let mut shown = 0;
        while let Some(length) = entry::length(rest).filter(|_| shown < header.entries) {
            let (bytes, behind) = rest.split_at(length);
            match entry::read(self.salt, self.generation, bytes) {
                Ok(entry) => {
                    if entry.sequence > 0 {
                        done.lost = 0;
                    }
                    visit.entry(&Found {
                        entry,
                        group: header.number,
                        generation: self.generation,
                        offset: at,
                        length: u32::try_from(length).unwrap_or(u32::MAX),
                        seen_ms: header.seen_ms,
                    });
                }
                Err(_) => open.torn.push(self.torn(at, 1, bytes)),
            }
            shown += 1;
            at += length as u64;
            rest = behind;
        }
        if shown < header.entries {
            open.torn.push(self.torn(at, header.entries - shown, rest));
        }
        Ok(())
    }

    fn torn(&self, offset: u64, entries: u32, bytes: &[u8]) -> Torn {
        Torn { generation: self.generation, offset, entries, bytes: bytes.to_vec() }
    }

    fn set_aside(&self, begin: u64, end: u64, visit: &mut dyn Visit) {
        let length = usize::try_from(end - begin).unwrap_or(usize::MAX).min(ASIDE_BYTES);
        let mut bytes = vec![0; length];
        // Block by block: one that can't be read stands there as zeros, and costs none beside it.
        for (block, offset) in bytes.chunks_mut(4096).zip((begin..end).step_by(4096)) {
            if read(self.segment, block, offset).is_err() {
                block.fill(0);
            }
        }
        visit.damage(&Damage { place: self.place(begin, end - begin), count: 1, bytes: &bytes });
    }

    const fn place(&self, offset: u64, length: u64) -> Place {
        Place::Bytes { generation: self.generation, offset, length }
    }
}

impl Open {
    /// Notes a block that can't be read. A generation after the next can't have begun where the next
    /// one has not.
    fn unread(&mut self, generation: u64, last: u64) {
        if generation > last + 1 && self.unread.is_none_or(|known| known.generation < generation) {
            return;
        }
        let blocks = self.unread.map_or(0, |known| known.blocks);
        self.unread = Some(Unread { generation, blocks: blocks + 1 });
    }
}
