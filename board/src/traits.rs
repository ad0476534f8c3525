//! The machine as the gateway sees it. `embedded-svc` has `Ota` and `RawStorage`; these are what it lacks.
//!
//! All of them block, for as long as a disk or the supervisor takes: call them where that is allowed.

use std::fmt::Debug;
use std::io::Read;
use std::time::Duration;

use crate::{About, BoardError, Progress};

/// Starts the machine anew unless it is fed in time.
pub trait Watchdog: Send {
    /// Says that all is well.
    ///
    /// # Errors
    /// When the device or its keeper refuses.
    fn feed(&mut self) -> Result<(), BoardError>;

    /// How long it waits to be fed; feed it three times as often.
    fn timeout(&self) -> Duration;
}

/// Which machine this is.
pub trait Identity {
    /// Everything about the machine at a glance.
    ///
    /// # Errors
    /// When the supervisor doesn't answer.
    fn about(&self) -> Result<About, BoardError>;

    /// The last `lines` lines that the box wrote about itself, the oldest first.
    ///
    /// # Errors
    /// When the supervisor doesn't answer.
    fn log(&self, lines: usize) -> Result<Vec<String>, BoardError>;
}

/// The machine's clock.
pub trait Clock {
    /// Sets it to `now_ms`, milliseconds since 1970; a time before the firmware was built is refused.
    ///
    /// # Errors
    /// When it is refused.
    fn set(&self, now_ms: i64) -> Result<(), BoardError>;
}

/// On and off.
pub trait Power {
    /// Ends everything in order and starts the machine anew: what is in flight has its time to finish.
    ///
    /// # Errors
    /// When the supervisor doesn't answer.
    fn reboot(&self, why: &str) -> Result<(), BoardError>;

    /// Empties the data partition and starts anew, as if just flashed; both slots stay.
    ///
    /// # Errors
    /// When the mark for it can't be written.
    fn factory_reset(&self) -> Result<(), BoardError>;
}

/// The firmware in the two slots.
pub trait Firmware {
    /// Takes a signed bundle: checks the manifest, writes the other slot, reads it back, and makes it the next
    /// one to be started. The caller reboots. `told` hears how far it is.
    ///
    /// # Errors
    /// When the bundle is refused or the disk is; the running slot stays what it is, and the next one.
    fn install(&self, bundle: &mut dyn Read, told: &mut dyn FnMut(Progress)) -> Result<(), BoardError>;

    /// The running slot has proved itself: it stays.
    ///
    /// # Errors
    /// When that can't be written, or doesn't read back.
    fn commit(&self) -> Result<(), BoardError>;

    /// Gives the running slot up, and starts the other one.
    ///
    /// # Errors
    /// When the other one holds nothing that could be started, or this can't be written.
    fn roll_back(&self, why: &str) -> Result<(), BoardError>;

    /// The running slot can't read the data: starts the other one, and leaves this one as it is.
    ///
    /// # Errors
    /// As [`roll_back`](Self::roll_back); also when the other one has just handed back itself.
    fn hand_back(&self, why: &str) -> Result<(), BoardError>;
}

/// The whole machine.
pub trait Board: Identity + Clock + Power + Firmware + Debug + Send + Sync {}

impl<T: Identity + Clock + Power + Firmware + Debug + Send + Sync> Board for T {}
