//! The board of a box: Linux, started by GRUB, with the partitions and folders of [`crate::paths`].
//!
//! For the supervisor, who owns the machine. Roots of `/proc`, `/sys` and `/dev` can be others, for tests.

mod clock;
mod direct;
mod esp;
mod flash;
mod grow;
mod identity;
mod interfaces;
mod led;
mod machine;
mod partitions;
mod places;
mod power;
mod release;
mod watchdog;

pub use clock::{set_clock, set_clock_at_least};
pub use esp::{Access, Esp, Mounted};
pub use flash::LinuxFlash;
pub use grow::{Grown, Sectors, grow};
pub use identity::box_id;
pub use led::{Led, Pattern};
pub use machine::Machine;
pub use partitions::{Partition, Partitions};
pub use places::Places;
pub use power::{power_off, reboot, reboot_unsynced};
pub use release::Release;
pub use watchdog::DeviceWatchdog;
