//! The board of a box as its supervisor holds it.

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::about::{SlotAbout, SlotName, SlotState};
use crate::keys::TrustedKeys;
use crate::manifest::Here;
use crate::slots::{GrubSlots, Note};
use crate::storage::FileStorage;
use crate::{About, BoardError, Code, Progress};

use super::identity::new_box_id;
use super::{Esp, LinuxFlash, Partitions, Places, Release};

/// Everything of a real box but what only its supervisor knows: when the gateway has ended so that the machine may be
/// started anew, what DHCP said, what is in the log.
///
/// All calls may come from any thread. They block while the disk is busy; one that changes the slots while an update is
/// being written is refused with [`Code::Busy`], and [`about`](Self::about) never waits.
#[derive(Debug)]
pub struct Machine {
    places: Places,
    release: Release,
    /// The layout of the data that this version writes.
    data_format: u32,
    box_id: String,
    running: SlotName,
    esp: Arc<Esp>,
    slots: Mutex<GrubSlots<LinuxFlash>>,
    /// What was last known of the slots, for those who ask while an update is being written.
    seen: Mutex<Vec<SlotAbout>>,
    note: Option<Note>,
    installing: AtomicBool,
}

/// Ends an installation, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn busy() -> BoardError {
    BoardError::new(Code::Busy, "an update is being written; try again when that is over")
}

impl Machine {
    /// Takes the machine over: sees which slot runs, mends a damaged environment block, gives the box its name.
    /// `data_format` is the layout of the data that this version writes (the store's `DATA_FORMAT`).
    ///
    /// A boot partition, keys or data partition that can't be read are no reason not to run: that is said in the log, and
    /// where it is asked for.
    ///
    /// # Errors
    /// [`Code::Unsupported`] when this machine wasn't started from a slot; [`Code::Io`] when the file that
    /// names the release can't be read.
    pub fn open(places: Places, data_format: u32) -> Result<Self, BoardError> {
        let release = Release::read(&places.release)?;
        let (running, left) = started_from(&places)?;
        let partitions = Partitions::new(&places.proc, &places.sys, &places.dev);
        let esp = if places.mount_esp {
            Esp::partition(partitions.clone(), &places.esp)
        } else {
            Esp::folder(&places.esp)
        };
        let mut slots = GrubSlots::new(LinuxFlash::new(Arc::clone(&esp), partitions), running);
        match slots.mend(&release.version.to_string()) {
            Ok(false) => {}
            Ok(true) => tracing::warn!("the environment block of GRUB was damaged and is written anew"),
            Err(error) => tracing::error!(%error, "the environment block of GRUB can't be mended"),
        }
        let seen = slots.about().unwrap_or_else(|_| guessed(running, left, &release));
        let note = slots.why().cloned();
        let box_id = FileStorage::open(&places.kept)
            .map_err(|error| (new_box_id(), error))
            .and_then(|mut storage| super::box_id(&mut storage))
            .unwrap_or_else(|(name, error)| {
                tracing::error!(%error, "the name of the box can't be kept and holds until the next start");
                name
            });
        let (slots, seen) = (Mutex::new(slots), Mutex::new(seen));
        Ok(Self {
            places,
            release,
            data_format,
            box_id,
            running,
            esp,
            slots,
            seen,
            note,
            installing: AtomicBool::new(false),
        })
    }

    /// Which firmware runs.
    #[must_use]
    pub const fn release(&self) -> &Release {
        &self.release
    }

    /// The name of the box, `wagate-7f3a`.
    #[must_use]
    pub fn box_id(&self) -> &str {
        &self.box_id
    }

    /// The slot that runs.
    #[must_use]
    pub const fn running(&self) -> SlotName {
        self.running
    }

    /// Whether the running slot still has to prove itself.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        let seen = self.seen();
        seen.iter().any(|slot| slot.running && slot.state == SlotState::Trial)
    }

    /// The ESP, for those who read or write something else there.
    #[must_use]
    pub const fn esp(&self) -> &Arc<Esp> {
        &self.esp
    }

    /// What the supervisor keeps; each call opens it anew, since the data partition may be mounted late.
    ///
    /// # Errors
    /// What the disk says.
    pub fn storage(&self) -> Result<FileStorage, BoardError> {
        FileStorage::open(&self.places.kept)
    }

    /// What is known of the machine. `ntp_servers`, `watchdog_seconds`, `configuration_refused` and the addresses of the interfaces are the
    /// supervisor's to fill in.
    ///
    /// # Errors
    /// None today.
    pub fn about(&self) -> Result<About, BoardError> {
        Ok(About {
            box_id: self.box_id.clone(),
            board: self.release.board.clone(),
            version: self.release.version.to_string(),
            built_at_ms: self.release.built_at_ms,
            slots: self.seen().clone(),
            boot_note: self.note.as_ref().map(Note::sentence),
            boot_note_expected: self.note.as_ref().is_some_and(Note::is_expected),
            ntp_servers: Vec::new(),
            interfaces: super::interfaces::interfaces(&self.places.sys),
            watchdog_seconds: None,
            configuration_refused: None,
            uptime_ms: uptime_ms(&self.places),
        })
    }

    /// See [`crate::Firmware::install`]. The keys are read anew each time.
    ///
    /// # Errors
    /// As there.
    pub fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        let keys = TrustedKeys::read(&self.places.update_keys)?;
        let here = Here {
            board: &self.release.board,
            version: &self.release.version,
            data_format: self.data_format,
        };
        // Before a byte has come, which may take long: nothing may keep the slots from a version that has to be given up.
        if self.on_trial() {
            return Err(crate::slots::unproved());
        }
        if self.installing.swap(true, Ordering::AcqRel) {
            return Err(busy());
        }
        let _over = Over(&self.installing);
        self.change_now(|slots| crate::install::install(slots, &keys, here, bundle, told))
    }

    /// See [`crate::Firmware::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn commit(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::commit)
    }

    /// Gives the running slot up, which is on trial: the other one is next. The caller reboots.
    ///
    /// # Errors
    /// [`Code::Unsupported`] for a committed slot; [`Code::NothingThere`] when there is no other: go on running.
    pub fn give_up(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::give_up)
    }

    /// See [`crate::Firmware::roll_back`]. The caller reboots.
    ///
    /// # Errors
    /// As there.
    pub fn roll_back(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::roll_back)
    }

    /// See [`crate::Firmware::hand_back`]. The caller reboots.
    ///
    /// # Errors
    /// As there.
    pub fn hand_back(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::hand_back)
    }

    /// The gateway is ready, so it reads the data: a later version that doesn't may hand back again. What this start has
    /// to say stays until the next one, which has nothing to say of it any more. Writes only after a hand-over.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn is_ready(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::is_ready)
    }

    /// Marks the data partition to be emptied at the next start. The caller reboots.
    ///
    /// # Errors
    /// [`Code::Uncommitted`] while a version has to prove itself, and when the mark can't be written.
    pub fn request_reset(&self) -> Result<(), BoardError> {
        self.change(GrubSlots::request_reset)
    }

    /// See [`crate::Clock::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set_clock(&self, now_ms: i64) -> Result<(), BoardError> {
        super::set_clock(now_ms, self.release.built_at_ms)
    }

    fn change<T>(
        &self,
        what: impl FnOnce(&mut GrubSlots<LinuxFlash>) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        // What else is done to the slots takes a moment, and is waited for.
        if self.installing.load(Ordering::Acquire) {
            return Err(busy());
        }
        self.change_now(what)
    }

    fn change_now<T>(
        &self,
        what: impl FnOnce(&mut GrubSlots<LinuxFlash>) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let done = what(&mut slots);
        if let Ok(about) = slots.about() {
            *self.seen() = about;
        }
        done
    }

    fn seen(&self) -> MutexGuard<'_, Vec<SlotAbout>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What GRUB wrote on the kernel's command line: the slot, and the attempts that are left where it is on trial.
fn started_from(places: &Places) -> Result<(SlotName, Option<u8>), BoardError> {
    let path = places.proc.join("cmdline");
    let text = fs::read_to_string(&path).map_err(|error| BoardError::io(path.display(), error))?;
    let value = |name: &str| {
        text.split_whitespace().rev().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let left = value("wagate.left").and_then(|left| left.parse().ok());
    match value("wagate.slot") {
        Some("a") => Ok((SlotName::A, left)),
        Some("b") => Ok((SlotName::B, left)),
        _ => Err(BoardError::new(
            Code::Unsupported,
            "this machine wasn't started from one of the two slots (no wagate.slot= on the kernel's command line)",
        )),
    }
}

/// The slots as far as the kernel's command line tells, while the boot partition can't be read.
fn guessed(running: SlotName, left: Option<u8>, release: &Release) -> Vec<SlotAbout> {
    let about = |name: SlotName| {
        let runs = name == running;
        let state = match left {
            _ if !runs => SlotState::Unusable,
            Some(_) => SlotState::Trial,
            None => SlotState::Committed,
        };
        SlotAbout {
            name,
            state,
            attempts_left: if runs { left.unwrap_or(0) } else { 0 },
            version: runs.then(|| release.version.to_string()),
            running: runs,
            next: runs,
        }
    };
    SlotName::BOTH.map(about).into()
}

fn uptime_ms(places: &Places) -> u64 {
    let text = fs::read_to_string(places.proc.join("uptime")).unwrap_or_default();
    let mut parts = text.split([' ', '.']).map(|part| part.parse::<u64>().unwrap_or(0));
    let (seconds, hundredths) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    seconds.saturating_mul(1000).saturating_add(hundredths.saturating_mul(10))
}
