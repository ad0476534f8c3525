//! The CRM's receipts: what is settled, noted at once beside the log.
//!
//! A mark goes to the log with the next group, or a little later. A process that is killed before
//! would deliver again what the CRM has had, so the thread that settles leaves a receipt here first,
//! in the page cache: nothing is synced. A receipt only ever says what is true of its record, and so
//! it needs no order, may be lost with the power, and may stand here for as long as it likes.
//!
//! ```text
//! 0   8  sequence
//! 8   4  crc32 of the store's salt and of the sequence
//! 12  4  zero
//! ```
//! Numbers are little endian. The receipt of a sequence has the place `sequence % PLACES`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{Disk, Segment};
use crate::format::group::{Salt, crc};

/// So many receipts there are: four times what waits for the log when the writer is called for it.
const PLACES: usize = 4096;
const RECEIPT: usize = 16;
/// Bytes of the file.
pub(crate) const BYTES: u64 = (PLACES * RECEIPT) as u64;

/// The receipts of one store.
#[derive(Debug)]
pub(crate) struct Receipts {
    file: Arc<dyn Segment>,
    salt: Salt,
    failed: AtomicBool,
}

impl Receipts {
    /// Opens them, and returns those of records up to `newest`.
    ///
    /// Later ones are of records that the log has lost, to a disk that lied or an older copy of it.
    /// Their sequences will be given to others, so they are thrown away, durably.
    ///
    /// # Errors
    /// What the system says; a store does without receipts then, once the file is gone.
    pub(crate) fn open(disk: &dyn Disk, salt: Salt, newest: u64) -> io::Result<(Self, Vec<u64>)> {
        let file = disk.receipts(BYTES)?;
        let receipts = Self { file, salt, failed: AtomicBool::new(false) };
        let mut bytes = vec![0; PLACES * RECEIPT];
        receipts.file.read_at(&mut bytes, 0)?;
        let sequences = bytes.as_chunks::<RECEIPT>().0.iter().filter_map(|receipt| receipts.read(receipt));
        let (known, lost): (Vec<_>, Vec<_>) = sequences.partition(|sequence| *sequence <= newest);
        if !lost.is_empty() {
            receipts.file.write_at(&vec![0; bytes.len()], 0)?;
            receipts.file.sync()?;
        }
        Ok((receipts, known))
    }

    /// Leaves receipts for `sequences`. If that fails, a record that was delivered may be
    /// delivered again after a kill, and nothing else.
    pub(crate) fn note(&self, sequences: &[u64]) {
        for sequence in sequences {
            let place = (sequence % PLACES as u64) * RECEIPT as u64;
            if let Err(error) = self.file.write_at(&self.receipt(*sequence), place)
                && !self.failed.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(%error, "receipts can't be written: a kill may repeat deliveries");
            }
        }
    }

    fn receipt(&self, sequence: u64) -> [u8; RECEIPT] {
        let mut receipt = [0; RECEIPT];
        receipt[..8].copy_from_slice(&sequence.to_le_bytes());
        let sum = crc(&self.salt, &[&receipt[..8]]);
        receipt[8..12].copy_from_slice(&sum.to_le_bytes());
        receipt
    }

    /// The sequence of a receipt that is whole; nothing else has one.
    fn read(&self, bytes: &[u8; RECEIPT]) -> Option<u64> {
        let sequence = u64::from_le_bytes(*bytes.first_chunk()?);
        (self.receipt(sequence) == *bytes).then_some(sequence)
    }
}
