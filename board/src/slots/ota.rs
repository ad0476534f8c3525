//! `embedded-svc`'s view of the slots, and how one of them is written.

use embedded_svc::io::{ErrorType, Write};
use embedded_svc::ota::{FirmwareInfo, Ota, OtaUpdate, OtaUpdateFinished, Slot, SlotState};
use ring::digest;

use crate::about::{self, SlotName};
use crate::{BoardError, Code};

use super::{Flash, GrubSlots};

/// The part of a slot that is zeroed first and written last: one sector, the most that a power cut can't tear. It holds
/// squashfs' superblock, without which neither GRUB nor the kernel find anything in a slot.
pub const FIRST_SECTOR: usize = 512;
/// Bytes between two syncs: so much of an update waits in memory at most when a webhook wants its own sync.
const SYNC_EVERY: u64 = 4 << 20;
/// Bytes that are read back at a time.
const READ_BYTES: usize = 1 << 20;

impl<F: Flash> ErrorType for GrubSlots<F> {
    type Error = BoardError;
}

impl<F: Flash> GrubSlots<F> {
    fn slot(&self, name: SlotName) -> Result<Slot, BoardError> {
        let state = self.state()?;
        let slot = state.slot(name);
        // Its fields are of fixed lengths: a longer version is told in `About`.
        let short =
            |text: &str| text.chars().take(24).collect::<String>().as_str().try_into().unwrap_or_default();
        Ok(Slot {
            label: format!("root-{name}").as_str().try_into().unwrap_or_default(),
            state: match state.trust(name, self.running) {
                about::SlotState::Committed => SlotState::Valid,
                about::SlotState::Trial => SlotState::Unverified,
                about::SlotState::Unusable => SlotState::Invalid,
            },
            firmware: slot.version.as_deref().map(|version| FirmwareInfo {
                version: short(version),
                released: short(""),
                description: None,
                signature: None,
                download_id: None,
            }),
        })
    }
}

impl<F: Flash> Ota for GrubSlots<F> {
    type Update<'a>
        = SlotUpdate<'a, F>
    where
        Self: 'a;

    /// The one that is started next.
    fn get_boot_slot(&self) -> Result<Slot, BoardError> {
        self.slot(self.state()?.next().unwrap_or(self.running))
    }

    fn get_running_slot(&self) -> Result<Slot, BoardError> {
        self.slot(self.running)
    }

    fn get_update_slot(&self) -> Result<Slot, BoardError> {
        self.slot(self.running.other())
    }

    fn is_factory_reset_supported(&self) -> Result<bool, BoardError> {
        Ok(true)
    }

    /// Empties the data at the next start; the slots stay.
    fn factory_reset(&mut self) -> Result<(), BoardError> {
        self.request_reset()
    }

    fn initiate_update(&mut self) -> Result<SlotUpdate<'_, F>, BoardError> {
        let running = self.running;
        let target = self.change(|state| state.begin_update(running))?;
        let room = self.flash.capacity(target)?;
        let zeroed = usize::try_from(room).map_or(FIRST_SECTOR, |room| room.min(FIRST_SECTOR));
        self.flash.write(target, 0, &vec![0; zeroed])?;
        self.flash.sync(target)?;
        let version = self.expected.take().unwrap_or_default();
        let hash = digest::Context::new(&digest::SHA256);
        Ok(SlotUpdate { slots: self, target, version, room, at: 0, synced: 0, first: Vec::new(), hash })
    }

    fn mark_running_slot_valid(&mut self) -> Result<(), BoardError> {
        self.commit()
    }

    /// Gives the running slot up. Whoever owns the machine ends what runs and reboots; that is told as an error, as
    /// this returns.
    fn mark_running_slot_invalid_and_reboot(&mut self) -> BoardError {
        match self.give_up() {
            Ok(()) => BoardError::new(Code::Unsupported, "the slot is given up; now reboot the machine"),
            Err(error) => error,
        }
    }
}

/// A slot that is being written; dropped, it stays one that can't be started.
pub struct SlotUpdate<'a, F> {
    slots: &'a mut GrubSlots<F>,
    target: SlotName,
    version: String,
    room: u64,
    /// Where the next byte goes.
    at: u64,
    /// Up to where it is durable.
    synced: u64,
    /// What stands in the first sector, once everything else is proved to be there.
    first: Vec<u8>,
    hash: digest::Context,
}

impl<F: std::fmt::Debug> std::fmt::Debug for SlotUpdate<'_, F> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, version, at, .. } = self;
        to.debug_struct("SlotUpdate")
            .field("target", target)
            .field("version", version)
            .field("at", at)
            .finish()
    }
}

impl<F> ErrorType for SlotUpdate<'_, F> {
    type Error = BoardError;
}

impl<F: Flash> Write for SlotUpdate<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, BoardError> {
        let end = self.at.saturating_add(bytes.len() as u64);
        if end > self.room {
            return Err(BoardError::new(
                Code::TooLarge,
                format!(
                    "the update has more than the {} bytes that slot {} has room for; the box needs another image",
                    self.room, self.target
                ),
            ));
        }
        self.hash.update(bytes);
        let (kept, rest) = bytes.split_at(bytes.len().min(FIRST_SECTOR.saturating_sub(self.first.len())));
        self.first.extend_from_slice(kept);
        if !rest.is_empty() {
            self.slots.flash.write(self.target, self.at + kept.len() as u64, rest)?;
        }
        self.at = end;
        if self.at - self.synced >= SYNC_EVERY {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), BoardError> {
        self.slots.flash.sync(self.target)?;
        self.synced = self.at;
        Ok(())
    }
}

impl<'a, F: Flash> OtaUpdate for SlotUpdate<'a, F> {
    type OtaUpdateFinished = WrittenSlot<'a, F>;

    /// Reads everything back from the disk, and only then writes the sector that makes the slot one that can be loaded.
    fn finish(mut self) -> Result<WrittenSlot<'a, F>, BoardError> {
        self.flush()?;
        let mut back = digest::Context::new(&digest::SHA256);
        back.update(&self.first);
        let mut at = self.first.len() as u64;
        let mut chunk = vec![0; READ_BYTES];
        while at < self.at {
            let left = usize::try_from(self.at - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            self.slots.flash.read(self.target, at, &mut chunk[..left])?;
            back.update(&chunk[..left]);
            at += left as u64;
        }
        if back.finish().as_ref() != self.hash.clone().finish().as_ref() {
            return Err(self.damaged());
        }
        self.slots.flash.write(self.target, 0, &self.first)?;
        self.slots.flash.sync(self.target)?;
        let mut first = vec![0; self.first.len()];
        self.slots.flash.read(self.target, 0, &mut first)?;
        if first != self.first {
            // Nobody starts it, but nobody should be able to either.
            let _ = self.slots.flash.write(self.target, 0, &vec![0; first.len()]);
            let _ = self.slots.flash.sync(self.target);
            return Err(self.damaged());
        }
        Ok(WrittenSlot { slots: self.slots, version: self.version })
    }

    fn complete(self) -> Result<(), BoardError> {
        self.finish()?.activate()
    }

    fn abort(self) -> Result<(), BoardError> {
        Ok(())
    }
}

impl<F> SlotUpdate<'_, F> {
    fn damaged(&self) -> BoardError {
        BoardError::new(
            Code::Damaged,
            format!(
                "slot {} doesn't read back what was written; try again, and replace the card if it happens again",
                self.target
            ),
        )
    }
}

/// A slot that was written whole and read back.
#[derive(Debug)]
pub struct WrittenSlot<'a, F> {
    slots: &'a mut GrubSlots<F>,
    version: String,
}

impl<F> ErrorType for WrittenSlot<'_, F> {
    type Error = BoardError;
}

impl<F: Flash> OtaUpdateFinished for WrittenSlot<'_, F> {
    /// Makes it the next one to be started, on trial. The caller reboots.
    fn activate(self) -> Result<(), BoardError> {
        let running = self.slots.running;
        self.slots.change(|state| state.activate(running, &self.version)).map(|_| ())
    }
}
