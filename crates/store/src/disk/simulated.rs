//! A disk in memory whose plug can be pulled and whose operations can be made to fail.
//!
//! What was written and not synced may, after a power cut, be there, be missing, or be there in
//! part, block by block and in any order. Blocks of the log that an unsynced write touched may even
//! hold any bytes at all. For redb's file the sectors stay whole (512 bytes), which is what disks
//! promise and what redb relies on for its header.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redb::StorageBackend;

use self::file::File;
pub(crate) use self::file::Random;
use super::{Disk, Segment};

const SECTOR: usize = 512;
const LOG_BLOCK: usize = 4096;

/// What happens to operations from the chosen one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None of them reaches the disk any more.
    PowerCut,
    /// This one fails; those after it work.
    ErrorOnce,
    /// The disk is full for this many operations that would write.
    FullFor(u64),
}

/// Receipts lie among the segments, in a slot that no ring has.
pub(crate) const RECEIPTS: u32 = u32::MAX;

#[derive(Debug)]
struct Inner {
    segments: Mutex<BTreeMap<u32, Arc<Mutex<File>>>>,
    index: Arc<Mutex<File>>,
    /// The index was put in its place (renamed, and the folder synced).
    made: AtomicBool,
    /// Written atomically.
    identity: Mutex<Option<Vec<u8>>>,
    pub(crate) panics: AtomicU64,
    operations: AtomicU64,
    fault: Mutex<Option<(u64, Fault)>>,
    reserve: Mutex<bool>,
    held: Mutex<()>,
    /// What a sync of the log takes.
    slow: Mutex<Duration>,
    pub(crate) aside: AtomicU64,
}

impl Inner {
    /// Counts an operation and says whether it fails.
    fn step(&self, writes: bool) -> io::Result<()> {
        let now = self.operations.fetch_add(1, Ordering::SeqCst);
        match *self.fault.lock().unwrap() {
            Some((at, Fault::PowerCut)) if now >= at => Err(io::Error::other("power cut")),
            Some((at, Fault::ErrorOnce)) if now == at => Err(io::Error::other("injected")),
            Some((at, Fault::FullFor(many))) if writes && (at..at + many).contains(&now) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk(Arc<Inner>);

impl SimulatedDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            segments: Mutex::default(),
            index: Arc::new(Mutex::new(File::new(0, SECTOR, false))),
            made: AtomicBool::new(false),
            identity: Mutex::new(None),
            panics: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            fault: Mutex::new(None),
            reserve: Mutex::new(false),
            held: Mutex::new(()),
            slow: Mutex::default(),
            aside: AtomicU64::new(0),
        }))
    }

    pub(crate) fn inject(&self, at: u64, fault: Fault) {
        *self.0.fault.lock().unwrap() = Some((at, fault));
    }

    /// Lets no sync of the log through for as long as what is returned is kept.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.held.lock().unwrap()
    }

    /// Makes each sync of the log take `time` from now on.
    pub(crate) fn slow_down(&self, time: Duration) {
        *self.0.slow.lock().unwrap() = time;
    }

    pub(crate) fn operations(&self) -> u64 {
        self.0.operations.load(Ordering::SeqCst)
    }

    pub(crate) fn set_aside_count(&self) -> u64 {
        self.0.aside.load(Ordering::SeqCst)
    }

    /// The disk as it is found after the plug was pulled.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let found = Self::new();
        for (slot, file) in self.0.segments.lock().unwrap().iter() {
            let bytes = file.lock().unwrap().after_cut(&mut random);
            found.put_segment(*slot, bytes);
        }
        let bytes = self.0.index.lock().unwrap().after_cut(&mut random);
        let mut index = found.0.index.lock().unwrap();
        index.live.clone_from(&bytes);
        index.durable = bytes;
        drop(index);
        self.put_small_files(&found);
        found
    }

    /// The disk as another process finds it after this one was killed: the page cache is whole.
    pub(crate) fn after_kill(&self) -> Self {
        let found = Self::new();
        for (slot, file) in self.0.segments.lock().unwrap().iter() {
            found.put_segment(*slot, file.lock().unwrap().live.clone());
        }
        let bytes = self.0.index.lock().unwrap().live.clone();
        let mut index = found.0.index.lock().unwrap();
        index.live.clone_from(&bytes);
        index.durable = bytes;
        drop(index);
        self.put_small_files(&found);
        found
    }

    fn put_small_files(&self, found: &Self) {
        found.0.made.store(self.0.made.load(Ordering::SeqCst), Ordering::SeqCst);
        found.0.identity.lock().unwrap().clone_from(&self.0.identity.lock().unwrap());
    }

    pub(crate) fn note_panic(&self) {
        self.0.panics.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn lose_identity(&self) {
        *self.0.identity.lock().unwrap() = None;
    }

    /// Changes bytes of the index behind everybody's back.
    pub(crate) fn damage_index(&self, offset: usize, bytes: &[u8]) {
        let mut file = self.0.index.lock().unwrap();
        file.live[offset..offset + bytes.len()].copy_from_slice(bytes);
        file.durable[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn put_segment(&self, slot: u32, bytes: Vec<u8>) {
        let mut file = File::new(0, LOG_BLOCK, true);
        file.live.clone_from(&bytes);
        file.durable = bytes;
        self.0.segments.lock().unwrap().insert(slot, Arc::new(Mutex::new(file)));
    }

    /// Changes bytes of the log behind everybody's back.
    pub(crate) fn damage_log(&self, slot: u32, offset: usize, bytes: &[u8]) {
        let segments = self.0.segments.lock().unwrap();
        let mut file = segments[&slot].lock().unwrap();
        file.live[offset..offset + bytes.len()].copy_from_slice(bytes);
        file.durable[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn log_bytes(&self, slot: u32) -> Vec<u8> {
        self.0.segments.lock().unwrap()[&slot].lock().unwrap().live.clone()
    }
}

impl Disk for SimulatedDisk {
    fn segment(&self, slot: u32, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        let mut segments = self.0.segments.lock().unwrap();
        let length = bytes as usize;
        let known = segments.get(&slot).filter(|file| file.lock().unwrap().live.len() == length).cloned();
        let file = known.unwrap_or_else(|| {
            let file = Arc::new(Mutex::new(File::new(length, LOG_BLOCK, true)));
            segments.insert(slot, Arc::clone(&file));
            file
        });
        Ok(Arc::new(SimulatedSegment { file, inner: Arc::clone(&self.0) }))
    }

    fn receipts(&self, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        self.segment(RECEIPTS, bytes)
    }

    fn identity(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.identity.lock().unwrap().clone())
    }

    fn keep_identity(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.step(true)?;
        *self.0.identity.lock().unwrap() = Some(bytes.to_vec());
        Ok(())
    }

    fn index_panics(&self) -> io::Result<u64> {
        Ok(self.0.panics.load(Ordering::SeqCst))
    }

    fn forget_index_panics(&self) -> io::Result<()> {
        self.0.panics.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn set_index_aside(&self) -> io::Result<()> {
        self.0.step(true)?;
        self.0.aside.fetch_add(1, Ordering::SeqCst);
        self.0.made.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn has_index(&self) -> io::Result<bool> {
        Ok(self.0.made.load(Ordering::SeqCst))
    }

    fn new_index(&self) -> Result<Box<dyn StorageBackend>, redb::DatabaseError> {
        *self.0.index.lock().unwrap() = File::new(0, SECTOR, false);
        self.index()
    }

    fn keep_index(&self) -> io::Result<()> {
        self.0.step(true)?;
        self.0.made.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn index(&self) -> Result<Box<dyn StorageBackend>, redb::DatabaseError> {
        Ok(Box::new(SimulatedIndex { file: Arc::clone(&self.0.index), inner: Arc::clone(&self.0) }))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 30)
    }

    fn index_bytes(&self) -> io::Result<u64> {
        Ok(self.0.index.lock().unwrap().live.len() as u64)
    }

    fn keep_reserve(&self) -> io::Result<()> {
        *self.0.reserve.lock().unwrap() = true;
        Ok(())
    }

    fn release_reserve(&self) -> io::Result<()> {
        *self.0.reserve.lock().unwrap() = false;
        Ok(())
    }

    fn set_aside(&self, _name: &str, _bytes: &[u8]) -> io::Result<()> {
        self.0.aside.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct SimulatedSegment {
    file: Arc<Mutex<File>>,
    inner: Arc<Inner>,
}

impl fmt::Debug for SimulatedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedSegment")
    }
}

impl Segment for SimulatedSegment {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let file = self.file.lock().unwrap();
        let from = file
            .live
            .get(offset as usize..offset as usize + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let outcome = self.inner.step(false);
        if outcome.is_ok() || self.inner.operations.load(Ordering::SeqCst).is_multiple_of(2) {
            // A failed write may have got through or not.
            self.file.lock().unwrap().write(offset as usize, data);
        }
        outcome
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.inner.held.lock().unwrap());
        let slow = *self.inner.slow.lock().unwrap();
        if !slow.is_zero() {
            std::thread::sleep(slow);
        }
        self.inner.step(false)?;
        self.file.lock().unwrap().sync();
        Ok(())
    }
}

struct SimulatedIndex {
    file: Arc<Mutex<File>>,
    inner: Arc<Inner>,
}

impl fmt::Debug for SimulatedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedIndex")
    }
}

impl StorageBackend for SimulatedIndex {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = self.file.lock().unwrap();
        let from = file
            .live
            .get(offset as usize..offset as usize + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.step(true)?;
        self.file.lock().unwrap().set_len(len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.step(false)?;
        self.file.lock().unwrap().sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.step(true)?;
        self.file.lock().unwrap().write(offset as usize, data);
        Ok(())
    }
}
