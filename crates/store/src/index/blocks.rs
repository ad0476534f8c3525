//! The part of a fold that moves records from the log into blocks.

use std::collections::BTreeMap;

use redb::{Table, WriteTransaction};

use super::fold::{Fold, Log};
use super::schema::{self, Checkpoint};
use crate::error::ReadError;
use crate::format::block::{self, BlockBuilder};
use crate::state::TailEntry;
use crate::tail::{self, Held};

/// A block of the log with so much content goes into the index as it is; what is smaller is packed
/// anew together with its neighbours, since small blocks pack badly.
const AS_IT_IS_BYTES: usize = block::CONTENT_BYTES / 2;

/// A place of the log that can't be read: its first record, how many there are, and what stands there.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) bytes: Vec<u8>,
}
/// Bytes of records that a dead letter of the same fold needs.
pub(super) type Content = BTreeMap<u64, Vec<u8>>;

/// Writes the records of `fold` and counts them in `next`. After an error nothing of it may be committed.
pub(super) fn write(
    transaction: &WriteTransaction,
    log: &Log<'_>,
    fold: &Fold,
    next: &mut Checkpoint,
) -> Result<(Content, Vec<Lost>), ReadError> {
    let mut blocks = Blocks {
        table: transaction.open_table(schema::BLOCKS)?,
        builder: BlockBuilder::default(),
        next,
        fold,
        content: Content::new(),
    };
    let mut lost = Vec::new();
    let mut refused = Ok(());
    let mut bytes = Vec::new();
    for place in fold.entries.chunk_by(TailEntry::is_beside) {
        let known = match tail::read(log.segments, log.geometry, log.salt, &place[0], &mut bytes) {
            Ok(Held::Record(record)) => {
                blocks.push(&place[0], &record)?;
                1
            }
            Ok(Held::Block(block)) => blocks.take(place, &block)?,
            // What the disk refuses now it may give later, and behind a fold nothing asks for it again.
            // The others are read all the same, so that several bad places are tried at once.
            Err(ReadError::Log(error)) if !(log.given_up)(&place[0]) => {
                refused = Err(ReadError::Log(error));
                continue;
            }
            Err(_) => 0,
        };
        // A record that is lost keeps its place, as one that nobody can read: whoever delivers comes
        // to it, counts it and settles it. Without it the floor would wait there for ever.
        for entry in &place[known..] {
            blocks.push(entry, &[])?;
        }
        if let Some(first) = place.get(known) {
            let records = (place.len() - known) as u64;
            lost.push(Lost { first: first.sequence, records, bytes: bytes.clone() });
        }
    }
    refused?;
    blocks.insert()?;
    Ok((blocks.content, lost))
}

struct Blocks<'a> {
    table: Table<'a, u64, &'static [u8]>,
    builder: BlockBuilder,
    next: &'a mut Checkpoint,
    fold: &'a Fold,
    content: Content,
}

impl Blocks<'_> {
    /// Adds one record.
    fn push(&mut self, entry: &TailEntry, record: &[u8]) -> Result<(), redb::Error> {
        if self.has_letter(entry.sequence..=entry.sequence) {
            self.content.insert(entry.sequence, record.to_vec());
        }
        if !self.builder.fits(record.len()) {
            self.insert()?;
        }
        self.builder.push(entry.sequence, entry.seen_ms, record);
        self.next.records += 1;
        Ok(())
    }

    /// Adds the records at `place`, which the log holds packed, and says how many of them.
    fn take(&mut self, place: &[TailEntry], bytes: &[u8]) -> Result<usize, redb::Error> {
        let (first, last) = (place[0].sequence, place[place.len() - 1].sequence);
        let whole = block::info(bytes).is_ok_and(|info| usize::from(info.count) == place.len());
        let large = |content| content >= AS_IT_IS_BYTES;
        let begun = self.builder.content();
        if whole
            && block::content(bytes).is_ok_and(large)
            && (begun == 0 || large(begun))
            && !self.has_letter(first..=last)
        {
            self.insert()?;
            self.next.content_bytes += bytes.len() as u64;
            self.next.records += place.len() as u64;
            self.table.insert(first, bytes)?;
            return Ok(place.len());
        }
        let mut known = 0;
        let mut outcome = Ok(());
        // What can't be unpacked is lost, and the caller sees that it isn't here.
        let _ = block::each(bytes, |sequence, record| {
            if let Some(entry) =
                place.get(known).filter(|entry| entry.sequence == sequence && outcome.is_ok())
            {
                outcome = self.push(entry, record);
                known += 1;
            }
        });
        outcome.map(|()| known)
    }

    fn has_letter(&self, sequences: std::ops::RangeInclusive<u64>) -> bool {
        let dead = &self.fold.dead;
        let from = dead.partition_point(|(sequence, _)| sequence < sequences.start());
        dead.get(from).is_some_and(|(sequence, _)| sequences.contains(sequence))
    }

    fn insert(&mut self) -> Result<(), redb::Error> {
        if let Some((first, bytes)) = self.builder.finish() {
            self.next.content_bytes += bytes.len() as u64;
            self.table.insert(first, bytes.as_slice())?;
        }
        Ok(())
    }
}
