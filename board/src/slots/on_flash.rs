//! The decisions, put on the flash.

use crate::BoardError;
use crate::about::{SlotAbout, SlotName};
use crate::manifest::Manifest;

use super::{BootState, ENV_BYTES, EnvBlock, EnvFile, Flash, Note};

/// The slots of a box that GRUB starts. Implements [`embedded_svc::ota::Ota`].
///
/// Each transition writes the copy of the environment block first and then the block that GRUB reads, and reads each
/// back: at every moment one of the two is whole. One that fails is taken back as far as the disk allows, and is as if it
/// had never been asked for.
#[derive(Debug)]
pub struct GrubSlots<F> {
    pub(super) flash: F,
    pub(super) running: SlotName,
    /// What stands on the disk; `None` where that isn't known, before [`mend`](Self::mend) and after a write that
    /// failed.
    known: Option<EnvBlock>,
    /// Why this slot runs, as it was seen before anything was changed.
    why: Option<Note>,
    /// The version that the next update will have.
    pub(super) expected: Option<String>,
}

impl<F: Flash> GrubSlots<F> {
    /// The slots on `flash`, of which `running` runs. Looks at nothing yet.
    #[must_use]
    pub const fn new(flash: F, running: SlotName) -> Self {
        Self { flash, running, known: None, why: None, expected: None }
    }

    /// The slot that runs.
    #[must_use]
    pub const fn running(&self) -> SlotName {
        self.running
    }

    /// What is decided, as it stands on the disk; remembered from [`mend`](Self::mend) on.
    ///
    /// # Errors
    /// When the disk can't be read.
    pub fn state(&self) -> Result<BootState, BoardError> {
        self.block().map(|block| block.state())
    }

    /// Why this slot runs, where that isn't the way of things, as [`mend`](Self::mend) found it; see
    /// [`BootState::why_running`].
    #[must_use]
    pub const fn why(&self) -> Option<&Note> {
        self.why.as_ref()
    }

    /// Both slots for people and programs, `a` first.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn about(&self) -> Result<Vec<SlotAbout>, BoardError> {
        let (state, running) = (self.state()?, self.running);
        Ok(SlotName::BOTH.map(|name| about(&state, name, running)).into())
    }

    /// To be called once, at the start: sees why this slot runs, makes both files of the environment block whole again
    /// where one isn't, and the same where they say different things (a copy that is older may say that the data is to be
    /// emptied), and notes the running version beside its slot. Writes only where something has to change. Says whether a
    /// file was damaged.
    ///
    /// # Errors
    /// When the disk refuses; the box runs all the same.
    pub fn mend(&mut self, running_version: &str) -> Result<bool, BoardError> {
        let (first, copy) = (self.flash.read_env(EnvFile::First)?, self.flash.read_env(EnvFile::Copy)?);
        let whole = EnvBlock::is_whole(&first) && EnvBlock::is_whole(&copy);
        let block = self.block()?;
        let before = block.state();
        self.known = Some(block);
        self.why = before.why_running(self.running);
        let mut state = before.clone();
        state.name_version(self.running, running_version);
        if !whole || first != copy || state != before {
            self.put(&state)?;
        }
        Ok(!whole)
    }

    /// See [`BootState::commit`].
    ///
    /// # Errors
    /// When it can't be written or doesn't read back.
    pub fn commit(&mut self) -> Result<(), BoardError> {
        let running = self.running;
        self.change(|state| {
            state.commit(running);
            Ok(())
        })
    }

    /// See [`BootState::give_up_running`]. The caller reboots.
    ///
    /// # Errors
    /// As there, and when it can't be written.
    pub fn give_up(&mut self) -> Result<(), BoardError> {
        let running = self.running;
        self.change(|state| state.give_up_running(running, Note::ROLLED_BACK))
    }

    /// See [`BootState::prefer_other`]. The caller reboots.
    ///
    /// # Errors
    /// As there, and when it can't be written.
    pub fn roll_back(&mut self) -> Result<(), BoardError> {
        let running = self.running;
        self.change(|state| state.prefer_other(running))
    }

    /// See [`BootState::hand_back`]. The caller reboots.
    ///
    /// # Errors
    /// As there, and when it can't be written.
    pub fn hand_back(&mut self) -> Result<(), BoardError> {
        let running = self.running;
        self.change(|state| state.hand_back(running))
    }

    /// The running version is ready: see [`BootState::forget_hand_back`] and [`BootState::note_was_shown`].
    /// [`why`](Self::why) stays what it is until the next start. Writes nothing where there is nothing to forget.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn is_ready(&mut self) -> Result<(), BoardError> {
        let running = self.running;
        self.change(|state| {
            state.forget_hand_back();
            state.note_was_shown(running);
            Ok(())
        })
    }

    /// See [`BootState::request_reset`]. The caller reboots.
    ///
    /// # Errors
    /// As there, and when it can't be written.
    pub fn request_reset(&mut self) -> Result<(), BoardError> {
        self.change(BootState::request_reset)
    }

    /// Whether the slot's content fits, and which version the next update will have: asked before
    /// [`embedded_svc::ota::Ota::initiate_update`], which can't be told.
    ///
    /// # Errors
    /// [`crate::Code::TooLarge`], or when there is no such partition.
    pub fn expect(&mut self, manifest: &Manifest) -> Result<(), BoardError> {
        let (slot, needed) = (self.running.other(), manifest.slot_bytes);
        let room = self.flash.capacity(slot)?;
        if needed > room {
            return Err(BoardError::new(
                crate::Code::TooLarge,
                format!(
                    "the update has {needed} bytes and slot {slot} room for {room}; the box needs another image"
                ),
            ));
        }
        self.expected = Some(manifest.version.to_string());
        Ok(())
    }

    /// Changes the state and puts it on the disk; nothing is written where nothing changes.
    pub(super) fn change<T>(
        &mut self,
        transition: impl FnOnce(&mut BootState) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        let before = self.state()?;
        let mut state = before.clone();
        let answer = transition(&mut state)?;
        if state != before {
            self.put(&state)?;
        }
        Ok(answer)
    }

    /// Writes both files, and takes it back when that fails. A file is written only while the other one is whole.
    fn put(&mut self, state: &BootState) -> Result<(), BoardError> {
        let done = self.put_both(state);
        self.flash.rest();
        done
    }

    fn put_both(&mut self, state: &BootState) -> Result<(), BoardError> {
        let before = self.block()?;
        let (old, new) = (before.with(&before.state()).encode(), before.with(state));
        // Until all of it is known to be there, nothing is.
        self.known = None;
        let first_whole = EnvBlock::is_whole(&self.flash.read_env(EnvFile::First)?);
        let (one, two) =
            if first_whole { (EnvFile::Copy, EnvFile::First) } else { (EnvFile::First, EnvFile::Copy) };
        let bytes = new.encode();
        if let Err(error) = self.write(one, &bytes) {
            self.take_back(&[one], &old);
            return Err(error);
        }
        if let Err(error) = self.write(two, &bytes) {
            self.take_back(&[two, one], &old);
            return Err(error);
        }
        self.known = Some(new);
        Ok(())
    }

    fn take_back(&mut self, files: &[EnvFile], old: &[u8; ENV_BYTES]) {
        for file in files {
            if let Err(error) = self.write(*file, old) {
                tracing::error!(%error, ?file, "the environment block couldn't be taken back either");
                return;
            }
        }
    }

    fn write(&mut self, file: EnvFile, block: &[u8; ENV_BYTES]) -> Result<(), BoardError> {
        self.flash.write_env(file, block)?;
        if self.flash.read_env(file)? == block {
            return Ok(());
        }
        Err(BoardError::io(
            "the boot partition",
            "what was written to the environment block doesn't read back; the card may be worn out",
        ))
    }

    /// What GRUB goes by: the first file if it is sane, else the copy, else what both sides assume.
    fn block(&self) -> Result<EnvBlock, BoardError> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        for file in [EnvFile::First, EnvFile::Copy] {
            let block = EnvBlock::parse(&self.flash.read_env(file)?);
            if let Some(block) = block.filter(EnvBlock::is_sane) {
                return Ok(block);
            }
        }
        Ok(EnvBlock::default().with(&BootState::default()))
    }
}

/// One slot for people and programs.
fn about(state: &BootState, name: SlotName, running: SlotName) -> SlotAbout {
    let slot = state.slot(name);
    SlotAbout {
        name,
        state: state.trust(name, running),
        attempts_left: slot.left,
        version: slot.version.clone(),
        running: name == running,
        next: state.next() == Some(name),
    }
}
