//! What is decided about the two slots. Changes memory only.

use crate::about::{SlotName, SlotState};
use crate::{BoardError, Code};

use super::Note;

/// Starts that a new version gets to prove itself. One wouldn't survive a power flicker during a start; more
/// keep a shop waiting for the version that worked.
pub const ATTEMPTS: u8 = 3;
/// Letters of a version, at most: two of them have their place in the first sector of the environment block.
pub const VERSION_MAX: usize = 64;

/// What is known of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotEnv {
    /// It has proved itself: it is started without spending an attempt.
    pub ok: bool,
    /// Attempts left, 0 to [`ATTEMPTS`]; means nothing while `ok`.
    pub left: u8,
    /// The version in it, where that is known.
    pub version: Option<String>,
}

impl SlotEnv {
    /// Whether GRUB would try it.
    #[must_use]
    pub const fn startable(&self) -> bool {
        self.ok || self.left > 0
    }

    const UNUSABLE: Self = Self { ok: false, left: 0, version: None };
}

/// Everything that GRUB and the board decide by. The methods are the only transitions; each leaves the state
/// as it is when it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootState {
    /// Which slot is tried first.
    pub first: SlotName,
    /// Slot a.
    pub a: SlotEnv,
    /// Slot b.
    pub b: SlotEnv,
    /// The data partition is emptied at the next start.
    pub reset: bool,
    /// Why the last hand-over happened.
    pub note: Option<Note>,
    /// The slot that handed back last because it couldn't read the data. While it stands nobody hands back
    /// again: two versions that both can't would send the box to and fro for ever.
    pub handed: Option<SlotName>,
}

impl Default for BootState {
    /// What GRUB assumes too when it can read neither copy of the block: both are tried, as a half-written
    /// slot can't be loaded.
    fn default() -> Self {
        let ok = SlotEnv { ok: true, left: ATTEMPTS, version: None };
        Self { first: SlotName::A, a: ok.clone(), b: ok, reset: false, note: None, handed: None }
    }
}

impl BootState {
    /// As an image is flashed: `version` in slot a, nothing in slot b.
    #[must_use]
    pub fn flashed(version: &str) -> Self {
        let mut state = Self { b: SlotEnv::UNUSABLE, ..Self::default() };
        state.name_version(SlotName::A, version);
        state
    }

    /// One of the slots.
    #[must_use]
    pub const fn slot(&self, name: SlotName) -> &SlotEnv {
        match name {
            SlotName::A => &self.a,
            SlotName::B => &self.b,
        }
    }

    pub(super) const fn slot_mut(&mut self, name: SlotName) -> &mut SlotEnv {
        match name {
            SlotName::A => &mut self.a,
            SlotName::B => &mut self.b,
        }
    }

    /// The order in which they are tried.
    #[must_use]
    pub const fn order(&self) -> [SlotName; 2] {
        [self.first, self.first.other()]
    }

    /// How far slot `name` is to be trusted, when `running` runs. The one that runs without being committed is on
    /// trial with its last attempt, too: then none is left.
    #[must_use]
    pub fn trust(&self, name: SlotName, running: SlotName) -> SlotState {
        let slot = self.slot(name);
        match slot {
            SlotEnv { ok: true, .. } => SlotState::Committed,
            SlotEnv { left, .. } if *left > 0 || name == running => SlotState::Trial,
            SlotEnv { .. } => SlotState::Unusable,
        }
    }

    /// The slot that is started next, as far as they can be loaded. `None` where none is trusted; see
    /// [`super::what_grub_does`] for what happens then.
    #[must_use]
    pub fn next(&self) -> Option<SlotName> {
        self.order().into_iter().find(|name| self.slot(*name).startable())
    }

    /// Notes the version of a slot: letters, digits and `.+-` of it, [`VERSION_MAX`] at most.
    pub fn name_version(&mut self, name: SlotName, version: &str) {
        let fits = |sign: &char| sign.is_ascii_alphanumeric() || ".+-".contains(*sign);
        let version: String = version.chars().filter(fits).take(VERSION_MAX).collect();
        self.slot_mut(name).version = (!version.is_empty()).then_some(version);
    }

    /// The other slot is about to be written: nobody starts it, whatever happens. Says which one it is.
    ///
    /// # Errors
    /// [`Code::Uncommitted`] while the running slot is on trial: it would be the only one left, unproved.
    pub fn begin_update(&mut self, running: SlotName) -> Result<SlotName, BoardError> {
        if !self.slot(running).ok {
            return Err(unproved());
        }
        let target = running.other();
        *self.slot_mut(target) = SlotEnv::UNUSABLE;
        self.first = running;
        Ok(target)
    }

    /// `target`, written whole, is started next, on trial.
    ///
    /// # Errors
    /// [`Code::Uncommitted`] when `target` runs, or what runs isn't committed; [`Code::Busy`] when the slot wasn't
    /// given over to an update by [`begin_update`](Self::begin_update).
    pub fn activate(&mut self, running: SlotName, version: &str) -> Result<SlotName, BoardError> {
        let target = running.other();
        if !self.slot(running).ok {
            return Err(BoardError::new(
                Code::Uncommitted,
                "the running version isn't committed any more; wait until it has proved itself, and begin the update \
                 again",
            ));
        }
        if self.slot(target).startable() {
            return Err(BoardError::new(
                Code::Busy,
                format!(
                    "slot {target} was put into service while it was being written; start the update again"
                ),
            ));
        }
        *self.slot_mut(target) = SlotEnv { ok: false, left: ATTEMPTS, version: None };
        self.name_version(target, version);
        self.first = target;
        self.note = None;
        self.handed = None;
        Ok(target)
    }

    /// The running slot has proved itself. One that is committed already keeps its place: an update that waits for
    /// the next start stays first.
    pub fn commit(&mut self, running: SlotName) {
        if !self.slot(running).ok {
            let slot = self.slot_mut(running);
            (slot.ok, slot.left) = (true, ATTEMPTS);
            self.first = running;
        }
        self.handed = None;
    }

    /// The running slot is on trial and has failed: it is never started again, and the other one is next.
    ///
    /// # Errors
    /// [`Code::Unsupported`] for a committed slot, which is never given up; [`Code::NothingThere`] when the other
    /// one couldn't be started: an unproved version is better than none.
    pub fn give_up_running(&mut self, running: SlotName, why: &str) -> Result<(), BoardError> {
        if self.slot(running).ok {
            return Err(BoardError::new(
                Code::Unsupported,
                "the running version is committed and isn't given up by itself; roll back to leave it",
            ));
        }
        self.other_startable(running)?;
        *self.slot_mut(running) =
            SlotEnv { version: self.slot(running).version.clone(), ..SlotEnv::UNUSABLE };
        self.first = running.other();
        self.note = Note::new(why);
        Ok(())
    }

    /// A person wants the other version. A committed running slot stays committed, so that it can be gone back to; one
    /// on trial is given up.
    ///
    /// # Errors
    /// [`Code::NothingThere`] when the other one isn't committed.
    pub fn prefer_other(&mut self, running: SlotName) -> Result<(), BoardError> {
        let other = running.other();
        if !self.slot(other).ok {
            return Err(nothing_in(other));
        }
        if !self.slot(running).ok {
            return self.give_up_running(running, Note::ASKED_BACK);
        }
        self.first = other;
        self.note = Note::new(Note::ASKED_BACK);
        self.handed = None;
        Ok(())
    }

    /// The running slot can't read the data: the other one is next, this one stays what it is.
    ///
    /// # Errors
    /// [`Code::NothingThere`] when the other one couldn't be started, or a hand-back has brought the box here
    /// already.
    pub fn hand_back(&mut self, running: SlotName) -> Result<(), BoardError> {
        if let Some(before) = self.handed {
            return Err(BoardError::new(
                Code::NothingThere,
                format!(
                    "slot {before} has handed back already and the box is here again: neither version can read the \
                     data. Install a newer version, or empty the data with a factory reset"
                ),
            ));
        }
        self.other_startable(running)?;
        self.first = running.other();
        self.note = Note::new(Note::HANDED_BACK);
        self.handed = Some(running);
        Ok(())
    }

    /// The version that runs reads the data: a later one that doesn't may hand back again.
    pub fn forget_hand_back(&mut self) {
        self.handed = None;
    }

    /// `running` has started in good health behind the hand-over, so that the note of it has been shown: the next start has
    /// nothing to say of it. Only for a committed slot that is still the one to be started; a slot that ought to be
    /// and can't be loaded is found again at each start, until an update mends it.
    pub fn note_was_shown(&mut self, running: SlotName) {
        let is_next = self.first == running || !self.slot(self.first).startable();
        if self.slot(running).ok && is_next {
            self.first = running;
            self.note = None;
        }
    }

    /// The data partition is emptied at the next start; what was handed back for it is forgotten with it.
    ///
    /// # Errors
    /// [`Code::Uncommitted`] when the next start is that of a version on trial: without a configuration nothing could
    /// prove that it works, and it would be given up.
    pub fn request_reset(&mut self) -> Result<(), BoardError> {
        if self.next().is_some_and(|next| !self.slot(next).ok) {
            return Err(BoardError::new(
                Code::Uncommitted,
                "a version waits to prove itself, which it can't on an empty box: empty the data when it is committed, \
                 or roll it back first",
            ));
        }
        self.reset = true;
        self.handed = None;
        Ok(())
    }

    /// The data partition was emptied.
    pub fn reset_done(&mut self) {
        self.reset = false;
    }

    /// Why `running` runs, where that isn't the way of things: the note of the last hand-over, or what is seen from
    /// the slot that should have been started. To be asked at the start, before anything is changed.
    #[must_use]
    pub fn why_running(&self, running: SlotName) -> Option<Note> {
        let wanted = self.slot(self.first);
        if self.first == running {
            self.note.clone()
        } else if wanted.startable() {
            Note::new(Note::NOT_LOADABLE)
        } else {
            self.note.clone().or_else(|| Note::new(Note::ATTEMPTS_SPENT))
        }
    }

    fn other_startable(&self, running: SlotName) -> Result<(), BoardError> {
        let other = running.other();
        if self.slot(other).startable() { Ok(()) } else { Err(nothing_in(other)) }
    }
}

/// Why nothing is installed while a version is on trial.
pub(crate) fn unproved() -> BoardError {
    BoardError::new(
        Code::Uncommitted,
        "the running version hasn't proved itself yet; an update waits until it is committed, which takes a minute \
         after a start in good health",
    )
}

fn nothing_in(other: SlotName) -> BoardError {
    BoardError::new(
        Code::NothingThere,
        format!("slot {other} holds no version that has proved itself; install one with an update"),
    )
}
