//! The supervisor: root on the box, between init and the gateway. It owns the machine, and reads nothing of the
//! internet but update bundles, which it verifies itself.
//!
//! [`chain`] decides, from what happens and when; [`running`] does what it says. The rest is a file for each thing
//! that has to be done: [`process`] starts and ends children, [`notify`] hears how the gateway is, [`keeper`] answers
//! it, [`network`] has the cards asked for addresses, [`log`] keeps what everybody says, [`leaving`] takes the
//! machine down.
//!
//! What must always hold:
//! - Whatever fails in here, the gateway runs if it can: no network, clock, lamp, slot or socket is waited for.
//! - The watchdog is fed by the one thread that decides, and by no other. It waits for no disk: [`keeping`] does.
//! - Nothing is written to the flash while nothing happens, but the time once a week.

pub mod announce;
mod chain;
mod clock;
pub mod configuration;
mod data;
pub mod first_boot;
mod invitation;
mod keeper;
mod keeping;
mod kernel_line;
mod lamp;
mod leaving;
mod log;
mod network;
mod notify;
mod place;
mod process;
mod running;
mod starting;
mod wishes;

pub use starting::supervise;

use self::chain::{Ended, Event, Word};

/// What comes in from the threads around the one that decides.
#[derive(Debug)]
enum Happening {
    /// As it is.
    Event(Event),
    /// The process of this number has ended.
    Ended(u32, Ended),
    /// The process of this number has said something.
    Said(u32, Vec<Word>),
}

/// Happenings that wait; whoever has one more waits as well.
const HAPPENINGS_MAX: usize = 64;
