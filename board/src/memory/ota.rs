//! The slots of a board in memory as `embedded-svc` has them.

use std::sync::PoisonError;

use embedded_svc::io::ErrorType;
use embedded_svc::ota::{Ota, Slot};

use crate::BoardError;
use crate::slots::SlotUpdate;

use super::{MemoryBoard, MemoryFlash};

impl ErrorType for MemoryBoard {
    type Error = BoardError;
}

impl Ota for MemoryBoard {
    type Update<'a>
        = SlotUpdate<'a, MemoryFlash>
    where
        Self: 'a;

    fn get_boot_slot(&self) -> Result<Slot, BoardError> {
        self.inner().slots.get_boot_slot()
    }

    fn get_running_slot(&self) -> Result<Slot, BoardError> {
        self.inner().slots.get_running_slot()
    }

    fn get_update_slot(&self) -> Result<Slot, BoardError> {
        self.inner().slots.get_update_slot()
    }

    fn is_factory_reset_supported(&self) -> Result<bool, BoardError> {
        Ok(true)
    }

    fn factory_reset(&mut self) -> Result<(), BoardError> {
        self.inner().slots.factory_reset()
    }

    fn initiate_update(&mut self) -> Result<SlotUpdate<'_, MemoryFlash>, BoardError> {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).slots.initiate_update()
    }

    fn mark_running_slot_valid(&mut self) -> Result<(), BoardError> {
        self.inner().slots.mark_running_slot_valid()
    }

    fn mark_running_slot_invalid_and_reboot(&mut self) -> BoardError {
        self.inner().slots.mark_running_slot_invalid_and_reboot()
    }
}
