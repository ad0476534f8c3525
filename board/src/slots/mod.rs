//! The two slots of firmware: which one is started, and how one of them gets a new version.
//!
//! Three layers. [`BootState`] is what is decided, and how decisions follow from one another: values, no disk.
//! [`EnvBlock`] is how it stands in the file that GRUB reads. [`GrubSlots`] puts one onto the other over a
//! [`Flash`], in the order of writes that makes every power cut harmless.

mod flash;
mod grub;
mod grubenv;
mod note;
mod on_flash;
mod ota;
mod state;

pub use flash::{EnvFile, Flash};
pub use grub::{Start, what_grub_does};
pub use grubenv::{ENV_BYTES, EnvBlock};
pub use note::Note;
pub use on_flash::GrubSlots;
pub use ota::{FIRST_SECTOR, SlotUpdate, WrittenSlot};
pub(crate) use state::unproved;
pub use state::{ATTEMPTS, BootState, SlotEnv, VERSION_MAX};
