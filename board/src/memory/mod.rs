//! A board in memory: for tests of everything above it, and for those of the slots themselves.

mod flash;
mod ota;
mod storage;

use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use semver::Version;

use crate::about::SlotName;
use crate::keys::TrustedKeys;
use crate::manifest::Here;
use crate::slots::{GrubSlots, Note};
use crate::traits::{Clock, Firmware, Identity, Power, Watchdog};
use crate::{About, BoardError, Code, Progress};

pub use flash::{MemoryFlash, Trouble};
pub use storage::MemoryStorage;

/// What a board in memory is like.
#[derive(Debug, Clone)]
pub struct Like {
    /// The kind of board.
    pub board: String,
    /// The layout of the data that the running version writes.
    pub data_format: u32,
    /// When the firmware was built, milliseconds since 1970.
    pub built_at_ms: i64,
    /// Who may sign updates.
    pub keys: TrustedKeys,
}

#[derive(Debug)]
struct Inner {
    slots: GrubSlots<MemoryFlash>,
    version: Version,
    clock_ms: i64,
    log: Vec<String>,
    reboots: Vec<String>,
    fed: u64,
}

/// All traits of the board, and `embedded-svc`'s, over a [`MemoryFlash`].
#[derive(Debug)]
pub struct MemoryBoard {
    like: Like,
    flash: MemoryFlash,
    storage: MemoryStorage,
    inner: Mutex<Inner>,
}

impl MemoryBoard {
    /// A board whose machine was just started from `flash`.
    ///
    /// # Errors
    /// [`Code::NothingThere`] when GRUB finds nothing that could be started.
    pub fn start(flash: MemoryFlash, like: Like) -> Result<Self, BoardError> {
        let inner = Mutex::new(started(&flash, like.built_at_ms)?);
        Ok(Self { like, flash, storage: MemoryStorage::default(), inner })
    }

    /// Starts the machine anew, as after a reboot or a power cut; the values of its storage stay.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&self) -> Result<SlotName, BoardError> {
        self.flash.power_on();
        let mut fresh = started(&self.flash, self.like.built_at_ms)?;
        let mut inner = self.inner();
        fresh.reboots = std::mem::take(&mut inner.reboots);
        *inner = fresh;
        Ok(inner.slots.running())
    }

    /// The disk below.
    #[must_use]
    pub const fn flash(&self) -> &MemoryFlash {
        &self.flash
    }

    /// Why the machine was to be started anew, each time so far.
    #[must_use]
    pub fn reboots(&self) -> Vec<String> {
        self.inner().reboots.clone()
    }

    /// How often the watchdog was fed.
    #[must_use]
    pub fn fed(&self) -> u64 {
        self.inner().fed
    }

    /// What the clock was set to last.
    #[must_use]
    pub fn clock_ms(&self) -> i64 {
        self.inner().clock_ms
    }

    /// Puts a line into the log.
    pub fn note(&self, line: &str) {
        self.inner().log.push(line.to_owned());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn started(flash: &MemoryFlash, clock_ms: i64) -> Result<Inner, BoardError> {
    let start = flash.start().and_then(|start| Some((start.slot?, start)));
    let Some((slot, start)) = start else {
        return Err(BoardError::new(Code::NothingThere, "neither slot can be loaded"));
    };
    let version = start.state.slot(slot).version.as_deref().and_then(|version| version.parse().ok());
    let version = version.unwrap_or(Version::new(0, 0, 0));
    let mut slots = GrubSlots::new(flash.clone(), slot);
    slots.mend(&version.to_string())?;
    Ok(Inner { slots, version, clock_ms, log: Vec::new(), reboots: Vec::new(), fed: 0 })
}

impl Identity for MemoryBoard {
    fn about(&self) -> Result<About, BoardError> {
        let inner = self.inner();
        Ok(About {
            box_id: "wagate-test".to_owned(),
            board: self.like.board.clone(),
            version: inner.version.to_string(),
            built_at_ms: self.like.built_at_ms,
            slots: inner.slots.about()?,
            boot_note: inner.slots.why().map(Note::sentence),
            boot_note_expected: inner.slots.why().is_some_and(Note::is_expected),
            ntp_servers: Vec::new(),
            interfaces: Vec::new(),
            watchdog_seconds: Some(self.timeout().as_secs()),
            configuration_refused: None,
            uptime_ms: 0,
        })
    }

    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError> {
        let inner = self.inner();
        Ok(inner.log.iter().skip(inner.log.len().saturating_sub(lines)).cloned().collect())
    }
}

impl Clock for MemoryBoard {
    fn set(&self, now_ms: i64) -> Result<(), BoardError> {
        if now_ms < self.like.built_at_ms {
            return Err(BoardError::new(Code::Unsupported, "a time before the firmware was built"));
        }
        self.inner().clock_ms = now_ms;
        Ok(())
    }
}

impl Power for MemoryBoard {
    fn reboot(&self, why: &str) -> Result<(), BoardError> {
        self.inner().reboots.push(why.to_owned());
        Ok(())
    }

    fn factory_reset(&self) -> Result<(), BoardError> {
        self.inner().slots.request_reset()?;
        self.reboot("factory reset")
    }
}

impl Firmware for MemoryBoard {
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError> {
        let mut inner = self.inner();
        let Inner { slots, version, .. } = &mut *inner;
        let here = Here { board: &self.like.board, version, data_format: self.like.data_format };
        crate::install::install(slots, &self.like.keys, here, bundle, told)
    }

    fn commit(&self) -> Result<(), BoardError> {
        self.inner().slots.commit()
    }

    fn roll_back(&self, why: &str) -> Result<(), BoardError> {
        self.inner().slots.roll_back()?;
        self.reboot(why)
    }

    fn hand_back(&self, why: &str) -> Result<(), BoardError> {
        self.inner().slots.hand_back()?;
        self.reboot(why)
    }
}

/// Fed by [`Watchdog::feed`] of a board that is held alone.
impl Watchdog for MemoryBoard {
    fn feed(&mut self) -> Result<(), BoardError> {
        self.inner().fed += 1;
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
}
