//! What was acknowledged survives: the intake log, the journal, duplicates and dead letters.
//!
//! An append is durable when it is answered, and its records are shown to nobody before. In front
//! stands a short **intake log**, a ring of zero-filled segments that one thread writes: everything
//! that waits shares one write and one sync. A second thread **folds** the log's tail into redb in
//! one large commit now and then. redb is the memory: blocks of records, what is settled, dead
//! letters, hashes of the events that were seen, who is who, and a table of values for what the box
//! itself has to know.
//!
//! What must always hold:
//! - The position up to which the log is folded is committed together with what was folded.
//! - A block of the log that holds an acknowledged record is never rewritten before that.
//! - Sequences are given out in the order of the log and never used twice.
//! - Nothing that isn't settled is dropped, by age or for want of room.
//! - Memory and the time to open don't grow with the backlog: the tail is bounded by the next fold.
//!
//! The crate is synchronous and knows no clock but the monotonic one; wall time is handed in. Start
//! reading at [`Store`], then `writer/`, `log/` and `index/fold.rs`; the formats are described in
//! `docs/formats/`.

mod aside;
mod contacts;
mod dead;
pub mod disk;
mod duplicates;
mod error;
mod folder;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod hand;
mod health;
mod index;
mod keyed;
mod letters;
mod log;
mod lookup;
mod marks;
mod open;
mod options;
mod people;
mod reading;
mod receipts;
mod settled;
mod spoiled;
mod state;
mod store;
mod tail;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transact;
mod unread;
mod values;
mod view;
mod writer;

pub use dead::DeadLetter;
pub use disk::{FolderDisk, note_index_panic};
pub use error::{OpenError, ReadError, Refused};
pub use health::Health;
pub use index::schema::DATA_FORMAT;
pub use lookup::{Reader, Row};
pub use options::{Options, SEGMENT_BYTES_MIN};
pub use reading::{Backlog, Page, Query};
pub use state::Counters;
pub use store::{OnDurable, Store};
pub use transact::{Change, KEY_MAX, OnContacts, TRANSACTION_MAX, Transaction, VALUE_MAX};
pub use writer::Answer;
