//! Off, and on again.

use rustix::system::{RebootCommand, reboot as command};

use crate::BoardError;

/// Starts the machine anew, at once: whoever asks has ended what runs. Everything written is synced first. Returns only
/// when it is refused.
#[must_use]
pub fn reboot() -> BoardError {
    rustix::fs::sync();
    reboot_unsynced()
}

/// As [`reboot`], where whoever asks has synced already, or has a disk that doesn't answer.
#[must_use]
pub fn reboot_unsynced() -> BoardError {
    at_once(RebootCommand::Restart)
}

/// Switches the machine off, as [`reboot`].
#[must_use]
pub fn power_off() -> BoardError {
    rustix::fs::sync();
    at_once(RebootCommand::PowerOff)
}

fn at_once(what: RebootCommand) -> BoardError {
    match command(what) {
        Ok(()) => BoardError::io("reboot", "it is on its way"),
        Err(error) => BoardError::io("the machine can't be started anew", error),
    }
}
