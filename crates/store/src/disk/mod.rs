//! The disk as the store sees it: segments of the log, one index file, a reserve.
//!
//! A trait, so that the tests can pull the plug at every write.

mod folder;
#[cfg(any(test, feature = "test-util"))]
#[allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "for tests, with small sizes")]
#[cfg_attr(not(test), allow(dead_code, reason = "others need a part of it"))]
pub(crate) mod simulated;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use folder::{FolderDisk, note_index_panic};

/// What a store lies on.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens the log segment in place `slot`; makes it, zero-filled to `bytes` and with its folder
    /// synced, where it isn't there. One of another size is moved out of the way, for a person to
    /// look at: nobody has said that what it holds is anywhere else.
    ///
    /// # Errors
    /// What the system says.
    fn segment(&self, slot: u32, bytes: u64) -> io::Result<Arc<dyn Segment>>;

    /// The lengths of the segments that are there, from place 0 on up to the first that isn't.
    ///
    /// # Errors
    /// What the system says.
    fn segment_lengths(&self) -> io::Result<Vec<u64>>;

    /// Removes the segments in the first `count` places: what they hold is in the index.
    ///
    /// # Errors
    /// What the system says; some may be left.
    fn remove_segments(&self, count: u32) -> io::Result<()>;

    /// Opens the file of receipts; makes it, zero-filled to `bytes`, where it isn't there or has another
    /// size. It is never synced but where the store says so.
    ///
    /// # Errors
    /// What the system says.
    fn receipts(&self, bytes: u64) -> io::Result<Arc<dyn Segment>>;

    /// Throws the receipts away, durably; nothing where there are none.
    ///
    /// # Errors
    /// What the system says: they may still be there, or come back with the next power cut.
    fn forget_receipts(&self) -> io::Result<()>;

    /// What was kept with [`Disk::keep_identity`]; `None` in a folder without a store.
    ///
    /// # Errors
    /// What the system says.
    fn identity(&self) -> io::Result<Option<Vec<u8>>>;

    /// Keeps the store's identity beside the index, so that the log can be read without one.
    ///
    /// # Errors
    /// What the system says.
    fn keep_identity(&self, bytes: &[u8]) -> io::Result<()>;

    /// How often reading the index has ended in a panic since the last fold that came through; see
    /// [`crate::note_index_panic`].
    ///
    /// # Errors
    /// What the system says.
    fn index_panics(&self) -> io::Result<u64>;

    /// Starts that count again.
    ///
    /// # Errors
    /// What the system says.
    fn forget_index_panics(&self) -> io::Result<()>;

    /// Moves an index that can't be read out of the way, for a person to look at.
    ///
    /// # Errors
    /// What the system says.
    fn set_index_aside(&self) -> io::Result<()>;

    /// Whether there is an index that was made to the end.
    ///
    /// # Errors
    /// What the system says.
    fn has_index(&self) -> io::Result<bool>;

    /// An empty file to make the index in; what a making that was cut short left is thrown away.
    ///
    /// # Errors
    /// What redb or the system says.
    fn new_index(&self) -> Result<Box<dyn redb::StorageBackend>, redb::DatabaseError>;

    /// Puts the index that was made, and closed, in its place.
    ///
    /// # Errors
    /// What the system says.
    fn keep_index(&self) -> io::Result<()>;

    /// Opens the index. Called again after an I/O error, when redb has let go of the one before.
    ///
    /// # Errors
    /// What redb or the system says.
    fn index(&self) -> Result<Box<dyn redb::StorageBackend>, redb::DatabaseError>;

    /// Bytes that can still be written, as far as the file system knows.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Bytes that the index file takes on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn index_bytes(&self) -> io::Result<u64>;

    /// Makes the reserve, where it isn't there: real bytes, given back by [`Disk::release_reserve`]
    /// so that a full disk can still record a deletion.
    ///
    /// # Errors
    /// What the system says; a disk too full for it is no harm.
    fn keep_reserve(&self) -> io::Result<()>;

    /// Gives the reserve back to the file system.
    ///
    /// # Errors
    /// What the system says.
    fn release_reserve(&self) -> io::Result<()>;

    /// Keeps bytes that nobody can read any more for a person to look at; bounded, and those of a version on trial
    /// more so: they alone never are so many that [`Disk::is_aside`] can't say any more.
    ///
    /// # Errors
    /// What the system says; the store goes on without. The name may stay all the same, with less behind it: on a
    /// full disk that is what tells the next start that the damage was met.
    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Whether bytes were set aside under this name; also when there are so many already that nobody can say.
    fn is_aside(&self, name: &str) -> bool;
}

/// One zero-filled segment of the log.
pub trait Segment: Debug + Send + Sync {
    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes `data` at `offset`, which never grows the file.
    ///
    /// # Errors
    /// What the system says; nothing is known then of the blocks that `data` covers.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when everything written is durable (`fdatasync`).
    ///
    /// # Errors
    /// What the system says. Never to be retried: the kernel may have dropped what it couldn't write.
    fn sync(&self) -> io::Result<()>;

    /// Makes durable what was written, and lets go of what memory holds of it: what is read from here
    /// on is what stands on the disk. For a start, which may come upon what another process wrote.
    ///
    /// After a sync that failed the kernel goes on showing bytes that it has given up writing, and
    /// the next sync, or the next process, is told that all is well.
    ///
    /// # Errors
    /// What the system says.
    fn refresh(&self) -> io::Result<()>;
}
