//! A transaction in postcard, version 1: the body of an entry of the log.
//!
//! One entry, and so one checksum, holds all of it: changes of the table of values, what it taught
//! about contacts, and its records. Torn or damaged, all of it is missing. As for records, this
//! layout is never edited.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::Unreadable;
use super::record_v1::{Lesson, Whole, whole};
use crate::keyed::Hash;
use crate::transact::Change;

const VERSION: u8 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ValuesV1<'a> {
    before: u32,
    met: Vec<MetV1>,
    #[serde(borrow)]
    changes: Vec<ChangeV1<'a>>,
    #[serde(serialize_with = "whole")]
    records: &'a [u8],
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MetV1 {
    contact: u128,
    learned: Vec<Hash>,
    joined: Vec<u128>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChangeV1<'a> {
    #[serde(serialize_with = "whole")]
    key: &'a [u8],
    #[serde(serialize_with = "maybe_whole")]
    value: Option<&'a [u8]>,
}

/// As [`whole`], where there is something.
#[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn maybe_whole<S: Serializer>(bytes: &Option<&[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    bytes.map(Bytes).serialize(serializer)
}

/// What a stored transaction says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    /// Transactions before this one in its group. One of them that can't be read takes those behind
    /// it along: what they build on is missing.
    pub(crate) before: u32,
    /// People who were met, as far as that taught anything.
    pub(crate) met: Vec<Lesson>,
    /// Keys with what they stand for from now on; `None` where that is nothing.
    pub(crate) changes: Vec<(&'a [u8], Option<&'a [u8]>)>,
    /// Its records, as in [`super::block`]; empty where there are none.
    pub(crate) records: &'a [u8],
}

/// The bytes of a transaction.
pub(crate) fn to_bytes(before: u32, met: &[Lesson], changes: &[Change], records: &[u8]) -> Vec<u8> {
    let met = met.iter().map(|lesson| MetV1 {
        contact: lesson.contact,
        learned: lesson.learned.clone(),
        joined: lesson.joined.clone(),
    });
    let changes = changes.iter().map(|change| ChangeV1 { key: &change.key, value: change.value.as_deref() });
    let stored = ValuesV1 { before, met: met.collect(), changes: changes.collect(), records };
    // Writing plain data to memory can't fail; were it to, the transaction would come back as
    // unreadable, which the crash tests would see.
    postcard::serialize_with_flavor(&stored, Whole(vec![VERSION])).unwrap_or_default()
}

/// Reads a transaction back.
///
/// # Errors
/// When the bytes are of another version, or no transaction at all.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Stored<'_>, Unreadable> {
    let stored = parse(bytes)?;
    let met = stored.met.into_iter().map(|met| Lesson {
        contact: met.contact,
        learned: met.learned,
        joined: met.joined,
    });
    Ok(Stored {
        before: stored.before,
        met: met.collect(),
        changes: stored.changes.into_iter().map(|change| (change.key, change.value)).collect(),
        records: stored.records,
    })
}

/// The block of records alone.
pub(crate) fn records(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Unreadable> {
    match bytes {
        Cow::Borrowed(bytes) => Ok(Cow::Borrowed(parse(bytes)?.records)),
        Cow::Owned(bytes) => Ok(Cow::Owned(parse(&bytes)?.records.to_vec())),
    }
}

fn parse(bytes: &[u8]) -> Result<ValuesV1<'_>, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((stored, [])) => Ok(stored),
            _ => Err(Unreadable("a transaction")),
        },
        _ => Err(Unreadable("version of a transaction")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_survives_its_bytes_and_cut_or_lengthened_ones_are_unreadable() {
        let met = [Lesson { contact: 7, learned: vec![[1; 16]], joined: vec![8] }];
        let changes = [
            Change { key: b"key".to_vec(), value: Some(b"value".to_vec()) },
            Change { key: vec![0xFF; 128], value: None },
            Change { key: b"empty".to_vec(), value: Some(Vec::new()) },
        ];
        let bytes = to_bytes(3, &met, &changes, b"records");
        let read = from_bytes(&bytes).unwrap();
        assert_eq!((read.before, read.met.as_slice(), read.records), (3, &met[..], b"records".as_slice()));
        let kept = changes.iter().map(|change| (change.key.as_slice(), change.value.as_deref()));
        assert_eq!(read.changes, kept.collect::<Vec<_>>());
        assert_eq!(records(Cow::Owned(bytes.clone())).unwrap(), b"records".as_slice());
        for end in 0..bytes.len() {
            assert!(from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        assert!(from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}
