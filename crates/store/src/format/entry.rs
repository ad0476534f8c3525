//! An entry of a group: one record, some records packed, one change to what became of records, or a
//! transaction of the box's own.
//!
//! ```text
//! 0   4  bytes of body
//! 4   4  crc32 of the generation and of the bytes 8 to the end of the body
//! 8   8  sequence of the record, or of the first of several; 0 where there is none
//! 16  2  kind
//! 18  2  zero
//! 20  4  key that the body is sealed with
//! 24     body
//! ```

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::group::{Salt, crc};
use super::seal::{self, KeyId};
use super::{Unreadable, take};

pub(crate) const HEADER: usize = 24;

/// What an entry says. The numbers are stored: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum EntryKind {
    /// The body is a record as in [`super::record_v1`].
    Record = 1,
    /// The body is a [`Mark`] in postcard behind its version.
    Mark = 2,
    /// The body is some records packed together, as in [`super::block`], which names its own key.
    Block = 3,
    /// The body is a transaction as in [`super::values_v1`], its records included.
    Values = 4,
}

/// A change to what became of records, or to the log itself. Variants are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mark {
    /// The CRM has these; nothing is left to do.
    Settled(Vec<u64>),
    /// The CRM refused this one for good.
    Dead { sequence: u64, reason: String, status: Option<u16>, attempts: u32, at_ms: i64 },
    /// A person wants this dead letter sent again.
    Retry { sequence: u64 },
    /// A person has thrown this dead letter away.
    Dropped { sequence: u64 },
    /// The generation before this one ends at `end`: what stands behind was refused to its senders.
    /// Sequences `burned.0` to `burned.1` were given to it and are never used.
    Sealed { generation: u64, end: u64, burned: Option<(u64, u64)> },
}

const MARK_VERSION: u8 = 1;

impl Mark {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![MARK_VERSION];
        // Writing plain data to memory can't fail; were it to, the mark would be an empty one,
        // which replay counts and passes over.
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&MARK_VERSION, body)) => match postcard::take_from_bytes(body) {
                Ok((mark, [])) => Ok(mark),
                _ => Err(Unreadable("a mark")),
            },
            _ => Err(Unreadable("version of a mark")),
        }
    }
}

/// One entry as it stands in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: EntryKind,
    pub(crate) sequence: u64,
    pub(crate) body: Cow<'a, [u8]>,
}

/// Adds an entry to `out` and says how many bytes it took.
pub(crate) fn write(
    out: &mut Vec<u8>,
    salt: &Salt,
    generation: u64,
    kind: EntryKind,
    sequence: u64,
    body: &[u8],
) -> u32 {
    let (key, body) = match kind {
        EntryKind::Block => (KeyId::PLAIN, Cow::Borrowed(body)),
        EntryKind::Record | EntryKind::Mark | EntryKind::Values => seal::seal(body),
    };
    let start = out.len();
    // No body is near 4 GiB: a webhook has 4 MiB at most and a mark a few KiB.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out.extend([0; 4]);
    out.extend(sequence.to_le_bytes());
    out.extend((kind as u16).to_le_bytes());
    out.extend([0; 2]);
    out.extend(key.0.to_le_bytes());
    out.extend(body.as_ref());
    let sum = crc(salt, &[&generation.to_le_bytes(), &out[start + 8..]]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    u32::try_from(out.len() - start).unwrap_or(u32::MAX)
}

/// Bytes of the entry that begins `bytes`, header included; `None` where that can't be.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let whole = length.checked_add(HEADER)?;
    (whole <= bytes.len()).then_some(whole)
}

/// Reads the entry that fills `bytes`.
pub(crate) fn read<'a>(salt: &Salt, generation: u64, bytes: &'a [u8]) -> Result<Entry<'a>, Unreadable> {
    if length(bytes) != Some(bytes.len()) {
        return Err(Unreadable("length of an entry"));
    }
    let sum = crc(salt, &[&generation.to_le_bytes(), &bytes[8..]]);
    let mut rest = bytes;
    take::<4>(&mut rest)?;
    if u32::from_le_bytes(take(&mut rest)?) != sum {
        return Err(Unreadable("checksum of an entry"));
    }
    let sequence = u64::from_le_bytes(take(&mut rest)?);
    let kind = match u16::from_le_bytes(take(&mut rest)?) {
        1 => EntryKind::Record,
        2 => EntryKind::Mark,
        3 => EntryKind::Block,
        4 => EntryKind::Values,
        _ => return Err(Unreadable("kind of an entry")),
    };
    take::<2>(&mut rest)?;
    let key = KeyId(u32::from_le_bytes(take(&mut rest)?));
    Ok(Entry { kind, sequence, body: seal::open(key, rest)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = [7; 16];

    #[test]
    fn an_entry_survives_its_bytes_and_no_changed_bit_does() {
        let mut bytes = Vec::new();
        let taken = write(&mut bytes, &SALT, 5, EntryKind::Record, 42, b"body");
        assert_eq!(taken as usize, bytes.len());
        let entry = read(&SALT, 5, &bytes).unwrap();
        assert_eq!(
            (entry.kind, entry.sequence, entry.body.as_ref()),
            (EntryKind::Record, 42, b"body".as_slice())
        );
        assert!(read(&SALT, 6, &bytes).is_err(), "another generation");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&SALT, 5, &changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn marks_survive_their_bytes() {
        for mark in [
            Mark::Settled(vec![1, 300, u64::MAX]),
            Mark::Dead { sequence: 1, reason: "400".into(), status: Some(400), attempts: 5, at_ms: -1 },
            Mark::Retry { sequence: 2 },
            Mark::Dropped { sequence: 3 },
            Mark::Sealed { generation: 4, end: 8192, burned: Some((5, 6)) },
        ] {
            assert_eq!(Mark::from_bytes(&mark.to_bytes()), Ok(mark));
        }
    }

    #[test]
    fn a_mark_of_another_version_or_with_bytes_behind_it_is_unreadable() {
        let mut bytes = Mark::Retry { sequence: 2 }.to_bytes();
        bytes.push(0);
        assert!(Mark::from_bytes(&bytes).is_err());
        bytes.pop();
        bytes[0] = 2;
        assert!(Mark::from_bytes(&bytes).is_err());
        assert!(Mark::from_bytes(&[]).is_err());
    }
}
