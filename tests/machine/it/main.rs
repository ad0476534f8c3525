//! The box as a machine: the image, booted, updated, cut off and rolled back in QEMU.
//!
//! Each machine is a process of `qemu-system-aarch64` with a copy of the image as its disk. Nothing runs in it
//! but the image itself; it is watched from outside: by its API, its serial line, its disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "figures that a run has found")]

mod first_boot;
mod flash;
mod harness;
mod killed;
mod life;
mod replay;
mod roll_back;
mod sbom;
