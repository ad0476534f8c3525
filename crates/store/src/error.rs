//! What can go wrong, and whose turn it is then.

use std::io;

/// Why a store couldn't be opened. Always the operator's turn; the message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or a file in it can't be made, read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("the store is in use by another process: stop that one, or give this one another [store] path")]
    InUse,
    /// The store was written by a later version.
    #[error(
        "the store has format {found} and this version reads up to {known}: install the version that wrote it, or a later one"
    )]
    TooNew {
        /// The format on disk.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// The store is of an earlier format, is to stay of it, and this version can't write it.
    #[error(
        "the store has format {found}, and this version, which is on trial and may raise nothing, writes {oldest} or later: start the version before it once more, then update to one between the two"
    )]
    CannotKeep {
        /// The format on disk.
        found: u32,
        /// The oldest format that this version can go on writing.
        oldest: u32,
    },
    /// The index's bytes aren't what was written.
    #[error("the index is damaged: {0}")]
    Damaged(crate::format::Unreadable),
    /// redb refused the file.
    #[error("the index can't be opened: {0}")]
    Index(Box<redb::Error>),
    /// The options contradict one another.
    #[error("{0}")]
    Options(&'static str),
}

/// Why an event wasn't taken. Nothing of it is on disk as far as the caller may assume; whoever
/// sent it should send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The disk or the budget is full of undelivered records.
    #[error("the disk or the budget is full")]
    Full,
    /// More waits than the store takes on, or folding lags behind.
    #[error("the store is busy")]
    Busy,
    /// The disk refused the write.
    #[error("the disk refused the write")]
    Disk,
    /// A transaction is larger than one may be: it is to be made smaller, not sent again.
    #[error("the transaction is too large")]
    TooLarge,
    /// The store is closing or has given up; the process should be restarted.
    #[error("the store is closed")]
    Closed,
}

/// Why something couldn't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// `after` lies outside of what is kept.
    #[error("only records {oldest} to {newest} are kept")]
    Gone {
        /// The oldest record that is kept.
        oldest: model::Sequence,
        /// The newest record.
        newest: model::Sequence,
    },
    /// redb refused; it is being reopened.
    #[error("the index can't be read: {0}")]
    Index(Box<redb::Error>),
    /// The disk refuses to read the intake log, which it may do for a moment only: to be asked again.
    #[error("the intake log can't be read: {0}")]
    Log(#[from] io::Error),
    /// The bytes aren't what was written.
    #[error(transparent)]
    Damaged(#[from] crate::format::Unreadable),
    /// The index is closed for the moment, after an error.
    #[error("the index is being reopened")]
    Reopening,
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for ReadError {
            fn from(error: $error) -> Self {
                Self::Index(Box::new(error.into()))
            }
        }
    )*};
}

from_redb!(redb::Error, redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

pub(crate) fn io_error(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { what: what.to_owned(), source }
}

pub(crate) fn index_error(error: redb::Error) -> OpenError {
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        OpenError::InUse
    } else {
        OpenError::Index(Box::new(error))
    }
}

pub(crate) fn read_error(error: ReadError) -> OpenError {
    let what = |what: &str| what.to_owned();
    match error {
        ReadError::Index(error) => index_error(*error),
        ReadError::Log(source) => OpenError::Io { what: what("the intake log can't be read"), source },
        ReadError::Gone { .. } | ReadError::Damaged(_) | ReadError::Reopening => OpenError::Io {
            what: what("the index can't be read"),
            source: io::Error::other(error.to_string()),
        },
    }
}
