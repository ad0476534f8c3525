//! What is written below the slots, as narrow as it can be: so that tests can pull the plug at every write.

use std::fmt::Debug;

use crate::BoardError;
use crate::about::SlotName;

use super::ENV_BYTES;

/// One of the two files of the environment block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvFile {
    /// The one that GRUB reads and writes.
    First,
    /// The copy that is read when the first is damaged.
    Copy,
}

/// Two slots and the two files of the environment block.
pub trait Flash: Debug + Send {
    /// Bytes that fit into a slot.
    ///
    /// # Errors
    /// When there is no such slot.
    fn capacity(&self, slot: SlotName) -> Result<u64, BoardError>;

    /// Writes `bytes` at `offset`; durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// What the disk says; nothing is known then of what `bytes` cover.
    fn write(&mut self, slot: SlotName, offset: u64, bytes: &[u8]) -> Result<(), BoardError>;

    /// Returns when all that was written into the slot is durable.
    ///
    /// # Errors
    /// What the disk says. Never to be retried: the kernel may have dropped what it couldn't write.
    fn sync(&mut self, slot: SlotName) -> Result<(), BoardError>;

    /// Fills `out` from `offset` with what stands on the disk, not in memory.
    ///
    /// # Errors
    /// What the disk says, or that the slot ends before.
    fn read(&self, slot: SlotName, offset: u64, out: &mut [u8]) -> Result<(), BoardError>;

    /// What stands in a file of the environment block, whatever its length; empty where there is none.
    ///
    /// # Errors
    /// What the disk says.
    fn read_env(&self, file: EnvFile) -> Result<Vec<u8>, BoardError>;

    /// Writes a file of the environment block in place, where GRUB knows its sectors; durable when this returns.
    ///
    /// # Errors
    /// What the disk says; the block may be the old one, the new one, or damaged.
    fn write_env(&mut self, file: EnvFile, block: &[u8; ENV_BYTES]) -> Result<(), BoardError>;

    /// Nothing more is written for now: what was opened for it may be closed.
    fn rest(&mut self) {}
}
