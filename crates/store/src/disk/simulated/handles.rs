//! What the simulated disk hands out: a segment of the log, and the index.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::{File, Inner};
use crate::disk::Segment;

impl Inner {
    /// A sync that came out as `outcome` says. One that fails leaves in memory what it has given up
    /// writing, as the kernel does.
    fn sync(&self, file: &Mutex<File>, outcome: io::Result<()>) -> io::Result<()> {
        let mut file = file.lock().unwrap();
        match outcome {
            Ok(()) => file.sync(),
            // Without power nobody gives up: what was on its way may have arrived.
            Err(_) if self.is_cut() => {}
            Err(_) => file.give_up(),
        }
        outcome
    }
}

pub(super) struct SimulatedSegment {
    pub(super) slot: u32,
    pub(super) file: Arc<Mutex<File>>,
    pub(super) inner: Arc<Inner>,
}

impl fmt::Debug for SimulatedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedSegment")
    }
}

impl Segment for SimulatedSegment {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.step_read(self.slot, offset, out.len() as u64)?;
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
        if outcome.is_ok() || self.inner.gets_through() {
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
        self.inner.sync(&self.file, self.inner.step_sync())
    }

    fn refresh(&self) -> io::Result<()> {
        self.sync()?;
        self.file.lock().unwrap().forget();
        Ok(())
    }
}

pub(super) struct SimulatedIndex {
    pub(super) file: Arc<Mutex<File>>,
    pub(super) inner: Arc<Inner>,
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
        self.inner.sync(&self.file, self.inner.step(false))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.step(true)?;
        self.file.lock().unwrap().write(offset as usize, data);
        Ok(())
    }
}
