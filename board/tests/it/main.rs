//! The board from outside: its decisions, its bundles, and both disks below it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

mod bundles;
mod common;
mod grub_cfg;
mod grubenv;
mod histories;
mod identity;
mod installing;
mod machine;
mod slots;
mod storage;
