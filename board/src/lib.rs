//! The machine below the gateway: two slots of firmware, signed updates, watchdog, identity, clock and power.
//!
//! Two processes use this crate. The **supervisor** runs as root on the box and owns the machine: it verifies
//! and writes updates, feeds the watchdog, sets the clock, reboots. The **gateway** faces the internet, has no
//! rights, and knows only the traits of this page ([`Board`]); on the box they are the supervisor's, over a
//! socket. On a plain Linux machine there is no board, and the gateway runs all the same.
//!
//! What must always hold:
//! - A slot that is being written can't be booted: its first sector is written last.
//! - Nothing is written into a slot before the manifest's signature was found right.
//! - The slot that runs is never written, and an uncommitted one takes no update.
//! - The decisions ([`about::SlotState`] and what follows from it) are values; one write puts them on the disk.

pub mod about;
pub mod bundle;
pub mod confine;
mod error;
pub mod install;
pub mod keys;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod manifest;
pub mod memory;
pub mod notify;
pub mod paths;
mod remote;
pub mod serve;
pub mod slots;
pub mod storage;
mod traits;
pub mod wire;

pub use about::{About, Progress, SlotName};
pub use error::{BoardError, Code};
pub use keys::TrustedKeys;
pub use manifest::Manifest;
pub use memory::MemoryBoard;
pub use notify::Notify;
pub use remote::Remote;
pub use slots::{BootState, GrubSlots};
pub use storage::FileStorage;
pub use traits::{Board, Clock, Firmware, Identity, Power, Watchdog};
