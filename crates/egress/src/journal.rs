//! What delivery needs of the store.

use std::sync::Arc;

use model::{Record, Sequence};
use policy::delivery::Tail;

use crate::JournalError;

/// The records as the store keeps them.
///
/// The readings but [`Journal::at_hand`] may block on disk: they're called on threads that may. All show only what is
/// durable, and leave out whatever [`Journal::settle`] was called with before the reading began.
/// A record must never appear below one that an earlier reading returned.
pub trait Journal: Send + Sync + 'static {
    /// Unsettled records with a sequence above `after`, in order of sequence, at most `limit`
    /// records and about `bytes` bytes of raw payload, but one record at least if there is one.
    ///
    /// # Errors
    /// When they can't be read; it is tried again after a while.
    fn undelivered(
        &self,
        after: Sequence,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, JournalError>;

    /// What [`Journal::undelivered`] would return, if all that may follow `after` is in memory;
    /// `None` when the disk has to be asked. Never blocks: it is called where delivery runs.
    fn at_hand(&self, after: Sequence, limit: usize, bytes: usize) -> Option<Vec<Arc<Record>>> {
        let _ = (after, limit, bytes);
        None
    }

    /// The same for dead letters that are to be sent again (`replayed` is true), until they're
    /// settled again.
    ///
    /// # Errors
    /// When they can't be read; it is tried again after a while.
    fn replays(&self, after: Sequence, limit: usize, bytes: usize) -> Result<Vec<Arc<Record>>, JournalError>;

    /// Notes what became of records; returns at once, durable with the next group or within 10 s.
    fn settle(&self, settlements: &[(Sequence, Settlement)]);

    /// Changes whenever something new may be there: the newest durable sequence, and a counter of
    /// dead letters that were sent again.
    fn watch(&self) -> tokio::sync::watch::Receiver<Tail>;
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The CRM has it.
    Delivered,
    /// The CRM won't have it: a person decides what happens next.
    DeadLetter {
        /// The answer in words: status, and the beginning of the body if there was one.
        reason: String,
        /// Status code of the last answer.
        status: Option<u16>,
        /// How often it was tried since the last start.
        attempts: u32,
    },
}
