//! A disk in memory whose plug can be pulled and whose operations can be made to fail.
//!
//! What was written and not synced may, after a power cut, be there, be missing, or be there in
//! part, block by block and in any order. Blocks of the log that an unsynced write touched may even
//! hold any bytes at all. For redb's file the sectors stay whole (512 bytes), which is what disks
//! promise and what redb relies on for its header.

mod file;
mod handles;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redb::StorageBackend;

use self::file::File;
pub(crate) use self::file::Random;
use self::handles::{SimulatedIndex, SimulatedSegment};
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
    /// None of them works any more, while memory still shows what was written.
    AllFail,
    /// So many syncs of the log fail; the number of the first counts these syncs alone.
    SyncsFail(u64),
}

/// A block of a segment that can't be read.
#[derive(Debug, Clone, Copy)]
struct BadBlock {
    slot: u32,
    offset: u64,
    /// So often it can at first.
    after: u64,
    /// So often it can't then; and then it can.
    times: u64,
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
    syncs: AtomicU64,
    bad: Mutex<Vec<BadBlock>>,
    fault: Mutex<Option<(u64, Fault)>>,
    reserve: Mutex<bool>,
    held: Mutex<()>,
    /// What a sync of the log takes.
    slow: Mutex<Duration>,
    pub(crate) aside: AtomicU64,
    names_aside: Mutex<BTreeSet<String>>,
}

impl Inner {
    /// Counts an operation and says whether it fails.
    fn step(&self, writes: bool) -> io::Result<()> {
        let now = self.operations.fetch_add(1, Ordering::SeqCst);
        match *self.fault.lock().unwrap() {
            Some((at, Fault::PowerCut)) if now >= at => Err(io::Error::other("power cut")),
            Some((at, Fault::ErrorOnce)) if now == at => Err(io::Error::other("injected")),
            Some((at, Fault::AllFail)) if now >= at => Err(io::Error::other("injected")),
            Some((at, Fault::FullFor(many))) if writes && (at..at + many).contains(&now) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn is_cut(&self) -> bool {
        matches!(*self.fault.lock().unwrap(), Some((_, Fault::PowerCut)))
    }

    /// Whether the write that just failed reached the disk all the same. Once the power is gone none does.
    fn gets_through(&self) -> bool {
        let operations = self.operations.load(Ordering::SeqCst);
        let gone = matches!(*self.fault.lock().unwrap(), Some((at, Fault::PowerCut)) if operations > at + 1);
        !gone && operations.is_multiple_of(2)
    }

    /// Counts a sync of the log and says whether it fails.
    fn step_sync(&self) -> io::Result<()> {
        let now = self.syncs.fetch_add(1, Ordering::SeqCst);
        self.step(false)?;
        match *self.fault.lock().unwrap() {
            Some((at, Fault::SyncsFail(many))) if (at..at + many).contains(&now) => {
                Err(io::Error::other("injected"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a read of the log comes upon a bad block.
    fn step_read(&self, slot: u32, offset: u64, length: u64) -> io::Result<()> {
        for block in self.bad.lock().unwrap().iter_mut() {
            let end = block.offset + LOG_BLOCK as u64;
            if block.slot != slot || block.offset >= offset + length || offset >= end {
                continue;
            }
            if block.after > 0 {
                block.after -= 1;
            } else if block.times > 0 {
                block.times -= 1;
                return Err(io::Error::other("bad block"));
            }
        }
        Ok(())
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
            syncs: AtomicU64::new(0),
            bad: Mutex::default(),
            fault: Mutex::new(None),
            reserve: Mutex::new(false),
            held: Mutex::new(()),
            slow: Mutex::default(),
            aside: AtomicU64::new(0),
            names_aside: Mutex::default(),
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

    /// Syncs of the log so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// Lets reads of a block of the log fail so many times, once it was read so often.
    pub(crate) fn fail_reads(&self, slot: u32, offset: u64, after: u64, times: u64) {
        self.0.bad.lock().unwrap().push(BadBlock { slot, offset, after, times });
    }

    /// Every block can be read again.
    pub(crate) fn heal(&self) {
        self.0.bad.lock().unwrap().clear();
    }

    /// The bytes of the index, to be put back later.
    pub(crate) fn copy_index(&self) -> Vec<u8> {
        self.0.index.lock().unwrap().durable.clone()
    }

    pub(crate) fn put_index(&self, bytes: &[u8]) {
        let mut file = File::new(0, SECTOR, false);
        file.live = bytes.to_vec();
        file.durable = bytes.to_vec();
        *self.0.index.lock().unwrap() = file;
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

    /// The disk as another process finds it after this one was killed: the page cache is whole, with
    /// what isn't durable yet, and with what never will be.
    pub(crate) fn after_kill(&self) -> Self {
        let found = Self::new();
        for (slot, file) in self.0.segments.lock().unwrap().iter() {
            let file = Arc::new(Mutex::new(file.lock().unwrap().clone()));
            found.0.segments.lock().unwrap().insert(*slot, file);
        }
        *found.0.index.lock().unwrap() = self.0.index.lock().unwrap().clone();
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
        let known = segments.get(&slot).cloned();
        let fits = known.clone().filter(|file| file.lock().unwrap().live.len() == length);
        let file = fits.unwrap_or_else(|| {
            if known.is_some() {
                self.0.aside.fetch_add(1, Ordering::SeqCst);
            }
            let file = Arc::new(Mutex::new(File::new(length, LOG_BLOCK, true)));
            segments.insert(slot, Arc::clone(&file));
            file
        });
        Ok(Arc::new(SimulatedSegment { slot, file, inner: Arc::clone(&self.0) }))
    }

    fn segment_lengths(&self) -> io::Result<Vec<u64>> {
        let segments = self.0.segments.lock().unwrap();
        let there = (0..).map_while(|slot| segments.get(&slot));
        Ok(there.map(|file| file.lock().unwrap().live.len() as u64).collect())
    }

    fn remove_segments(&self, count: u32) -> io::Result<()> {
        self.0.step(false)?;
        self.0.segments.lock().unwrap().retain(|slot, _| *slot >= count);
        Ok(())
    }

    fn receipts(&self, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        self.0.step(!self.0.segments.lock().unwrap().contains_key(&RECEIPTS))?;
        self.segment(RECEIPTS, bytes)
    }

    fn forget_receipts(&self) -> io::Result<()> {
        self.0.step(false)?;
        self.0.segments.lock().unwrap().remove(&RECEIPTS);
        Ok(())
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

    fn set_aside(&self, name: &str, _bytes: &[u8]) -> io::Result<()> {
        self.0.aside.fetch_add(1, Ordering::SeqCst);
        self.0.names_aside.lock().unwrap().insert(name.to_owned());
        Ok(())
    }

    fn is_aside(&self, name: &str) -> bool {
        self.0.names_aside.lock().unwrap().contains(name)
    }
}
