//! Dead letters: what the CRM refused for good, until a person decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Record, Sequence, WallTime};
use serde::{Deserialize, Serialize};

use crate::format::seal::{self, KeyId};
use crate::format::{Unreadable, record_v1};

/// A record that the CRM refused, and why.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record; `None` where its bytes are lost to damage.
    pub record: Option<Arc<Record>>,
    /// The record's place, which is also the letter's name.
    pub sequence: Sequence,
    /// What the CRM said, in words.
    pub reason: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, by the box's clock.
    pub at: WallTime,
    /// True when a person has asked for another try that isn't through yet.
    pub retrying: bool,
}

/// A letter without its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) reason: String,
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) at_ms: i64,
}

/// What changed about a letter since the last fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeadChange {
    /// There is one, as this says; `retry` when a person wants it sent again.
    Put { letter: Letter, retry: bool },
    /// The one in redb is to be sent again.
    Retry,
    /// There is none any more.
    Gone,
}

/// The changes since the last fold.
pub(crate) type DeadChanges = BTreeMap<u64, DeadChange>;

/// Notes that a person wants a letter sent again.
pub(crate) fn retry(changes: &mut DeadChanges, sequence: u64) {
    match changes.get_mut(&sequence) {
        Some(DeadChange::Put { retry, .. }) => *retry = true,
        Some(DeadChange::Gone | DeadChange::Retry) => {}
        None => {
            changes.insert(sequence, DeadChange::Retry);
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct LetterV1<'a> {
    reason: &'a str,
    status: Option<u16>,
    attempts: u32,
    at_ms: i64,
    key: u32,
    record: &'a [u8],
}

const VERSION: u8 = 1;

/// A letter as redb keeps it, with its own copy of the record.
pub(crate) fn to_bytes(letter: &Letter, record: &[u8]) -> Vec<u8> {
    let (key, record) = seal::seal(record);
    let stored = LetterV1 {
        reason: &letter.reason,
        status: letter.status,
        attempts: letter.attempts,
        at_ms: letter.at_ms,
        key: key.0,
        record: &record,
    };
    postcard::to_extend(&stored, vec![VERSION]).unwrap_or_default()
}

/// Reads a letter and its record back.
pub(crate) fn from_bytes(sequence: u64, bytes: &[u8]) -> Result<(Letter, Option<Arc<Record>>), Unreadable> {
    let Some((&VERSION, body)) = bytes.split_first() else {
        return Err(Unreadable("version of a dead letter"));
    };
    let Ok((stored, [])) = postcard::take_from_bytes::<LetterV1<'_>>(body) else {
        return Err(Unreadable("a dead letter"));
    };
    let record = seal::open(KeyId(stored.key), stored.record)
        .and_then(|record| record_v1::from_bytes(Sequence(sequence), &record))
        .ok();
    let letter = Letter {
        reason: stored.reason.to_owned(),
        status: stored.status,
        attempts: stored.attempts,
        at_ms: stored.at_ms,
    };
    Ok((letter, record))
}

/// The stored bytes of a letter's record; `None` where there are none.
pub(crate) fn record_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&VERSION, body) = bytes.split_first()? else { return None };
    let (stored, _) = postcard::take_from_bytes::<LetterV1<'_>>(body).ok()?;
    let record = seal::open(KeyId(stored.key), stored.record).ok()?;
    (!record.is_empty()).then(|| record.into_owned())
}
