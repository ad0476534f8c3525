//! redb: the memory of the box, written in one large commit at a time.

pub(crate) mod blocks;
pub(crate) mod compaction;
pub(crate) mod fold;
pub(crate) mod retention;
pub(crate) mod schema;
mod values;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, WriteTransaction};

use crate::disk::Disk;
use crate::error::ReadError;

/// The index, which is closed for the moment when redb has latched after an I/O error, or is compacted.
/// The lock is held for moments only: who comes meanwhile is told so, and not kept waiting.
#[derive(Debug)]
pub(crate) struct Index {
    database: RwLock<Option<Database>>,
    cache_bytes: usize,
    written: Arc<AtomicU64>,
}

impl Index {
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self { database: RwLock::new(None), cache_bytes, written: Arc::default() }
    }

    /// Opens redb, or opens it again: after an I/O error every later write would fail otherwise.
    pub(crate) fn reopen(&self, disk: &dyn Disk) -> Result<(), redb::Error> {
        self.close();
        self.put(Some(self.database(disk)?));
        Ok(())
    }

    /// Moves what there is together and gives the end of the file back to the disk; says whether the
    /// disk got something. Takes minutes at gigabytes.
    ///
    /// redb compacts nothing that somebody reads, and who keeps a table open does. So it is done on
    /// a database that nobody has seen, and that is published when all is over.
    ///
    /// After an error the index stays closed until [`Index::reopen`]. Compacting commits without what an
    /// opening needs to repair nothing, so that one has to go through the whole file, as does the next
    /// start after a kill in here.
    pub(crate) fn compact(&self, disk: &dyn Disk) -> Result<bool, redb::Error> {
        let before = disk.index_bytes()?;
        self.close();
        let mut database = self.database(disk)?;
        database.compact()?;
        // Closing records what spares the repair, and does so in the lowest pages: a commit of our own
        // would take pages at the end, and with them all that compacting has given back.
        drop(database);
        self.put(Some(self.database(disk)?));
        Ok(disk.index_bytes()? < before)
    }

    fn database(&self, disk: &dyn Disk) -> Result<Database, redb::Error> {
        let backend = Backend { file: disk.index()?, written: Arc::clone(&self.written) };
        Ok(Database::builder().set_cache_size(self.cache_bytes).create_with_backend(backend)?)
    }

    fn put(&self, database: Option<Database>) {
        let before =
            std::mem::replace(&mut *self.database.write().unwrap_or_else(PoisonError::into_inner), database);
        // Closing may commit, and takes its time.
        drop(before);
    }

    /// Makes the index where there is none: aside, and put in its place when `fill` is through, so
    /// that a power cut leaves a whole one or none.
    pub(crate) fn make(
        disk: &dyn Disk,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        if disk.has_index()? {
            return Ok(());
        }
        let database = Database::builder()
            .create_with_backend(Backend { file: disk.new_index()?, written: Arc::default() })?;
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        fill(&transaction)?;
        transaction.commit()?;
        drop(database);
        Ok(disk.keep_index()?)
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, ReadError> {
        use redb::ReadableDatabase as _;
        match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => Ok(database.begin_read()?),
            None => Err(ReadError::Reopening),
        }
    }

    /// Begins a write whose commit leaves nothing to repair: an opening after a power cut then
    /// takes milliseconds whatever the size. It costs a second sync, once a fold.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, ReadError> {
        match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => {
                let mut transaction = database.begin_write()?;
                transaction.set_quick_repair(true);
                Ok(transaction)
            }
            None => Err(ReadError::Reopening),
        }
    }

    /// Bytes written since the start.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.put(None);
    }
}

/// Lets redb use whatever the disk gives it.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) file: Box<dyn redb::StorageBackend>,
    pub(crate) written: Arc<AtomicU64>,
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.file.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }
}
