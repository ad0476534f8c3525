//! The simulated disk with a hand on its readings of the log, and on the opening of the index.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use redb::{DatabaseError, StorageBackend};

use crate::disk::simulated::SimulatedDisk;
use crate::disk::{Disk, Segment};

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Hand {
    /// Slot and offset of blocks that are refused, and how often each of them is.
    refused: Vec<(u32, u64, u32)>,
    openings: u32,
    /// Called with the next opening of the index.
    opening: Option<Hook>,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub(super) struct WrappedDisk {
    pub(super) disk: SimulatedDisk,
    hand: Arc<Mutex<Hand>>,
}

impl fmt::Debug for WrappedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedDisk")
    }
}

impl WrappedDisk {
    pub(super) fn new(disk: SimulatedDisk) -> Self {
        Self { disk, hand: Arc::default() }
    }

    /// Refuses the next `times` readings of the log that touch the byte at `offset`.
    pub(super) fn refuse(&self, slot: u32, offset: u64, times: u32) {
        self.hand.lock().unwrap().refused.push((slot, offset, times));
    }

    /// How often the index was opened.
    pub(super) fn openings(&self) -> u32 {
        self.hand.lock().unwrap().openings
    }

    /// Has `hook` called in the midst of the next opening of the index.
    pub(super) fn when_opened(&self, hook: impl FnOnce() + Send + 'static) {
        self.hand.lock().unwrap().opening = Some(Box::new(hook));
    }
}

impl Disk for WrappedDisk {
    fn segment(&self, slot: u32, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        let segment = self.disk.segment(slot, bytes)?;
        Ok(Arc::new(WrappedSegment { slot, segment, hand: Arc::clone(&self.hand) }))
    }

    fn segment_lengths(&self) -> io::Result<Vec<u64>> {
        self.disk.segment_lengths()
    }

    fn remove_segments(&self, count: u32) -> io::Result<()> {
        self.disk.remove_segments(count)
    }

    fn forget_receipts(&self) -> io::Result<()> {
        self.disk.forget_receipts()
    }

    fn receipts(&self, bytes: u64) -> io::Result<Arc<dyn Segment>> {
        self.disk.receipts(bytes)
    }

    fn identity(&self) -> io::Result<Option<Vec<u8>>> {
        self.disk.identity()
    }

    fn keep_identity(&self, bytes: &[u8]) -> io::Result<()> {
        self.disk.keep_identity(bytes)
    }

    fn index_panics(&self) -> io::Result<u64> {
        self.disk.index_panics()
    }

    fn forget_index_panics(&self) -> io::Result<()> {
        self.disk.forget_index_panics()
    }

    fn set_index_aside(&self) -> io::Result<()> {
        self.disk.set_index_aside()
    }

    fn has_index(&self) -> io::Result<bool> {
        self.disk.has_index()
    }

    fn new_index(&self) -> Result<Box<dyn StorageBackend>, DatabaseError> {
        self.disk.new_index()
    }

    fn keep_index(&self) -> io::Result<()> {
        self.disk.keep_index()
    }

    fn index(&self) -> Result<Box<dyn StorageBackend>, DatabaseError> {
        let hook = {
            let mut hand = self.hand.lock().unwrap();
            hand.openings += 1;
            hand.opening.take()
        };
        if let Some(hook) = hook {
            hook();
        }
        self.disk.index()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn index_bytes(&self) -> io::Result<u64> {
        self.disk.index_bytes()
    }

    fn keep_reserve(&self) -> io::Result<()> {
        self.disk.keep_reserve()
    }

    fn release_reserve(&self) -> io::Result<()> {
        self.disk.release_reserve()
    }

    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.set_aside(name, bytes)
    }

    fn is_aside(&self, name: &str) -> bool {
        self.disk.is_aside(name)
    }
}

struct WrappedSegment {
    slot: u32,
    segment: Arc<dyn Segment>,
    hand: Arc<Mutex<Hand>>,
}

impl fmt::Debug for WrappedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedSegment")
    }
}

impl Segment for WrappedSegment {
    fn refresh(&self) -> io::Result<()> {
        self.segment.refresh()
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let read = offset..offset + out.len() as u64;
        for (slot, at, times) in &mut self.hand.lock().unwrap().refused {
            if *slot == self.slot && *times > 0 && read.contains(at) {
                *times -= 1;
                return Err(io::Error::other("the disk refuses"));
            }
        }
        self.segment.read_at(out, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.segment.write_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.segment.sync()
    }
}
