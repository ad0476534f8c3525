//! When a box takes over the webhooks of its peer.
//!
//! [`Standby`] is a state machine without I/O. The shell asks the peer now and then, tells what came of it
//! ([`Standby::probed`]), tells whether the box holds webhooks of the peer's ([`Standby::holds`]), and
//! takes them over when [`Standby::is_due`] says so.
//!
//! - **Silence** begins with the last sign of life and is one once it has lasted for `silent_for` and holds
//!   at least [`MISSES`] misses in a row: one answer that is lost, or one question after a long pause of
//!   the box itself, is none.
//! - A silence counts from the start of this box at the earliest, and only of a peer that has ever been heard:
//!   a wrong address is no outage.
//! - **One silence is one taking over.** What a person gives back stays given back until the peer has been
//!   heard again and falls silent anew.
//! - **It never gives back by itself.** A peer that comes and goes would have Meta change its address all the
//!   time; and of two boxes that each do so by themselves, neither would be right for long.

mod watch;

pub use watch::{MISSES, RETRY, Settings, Standby, State};
