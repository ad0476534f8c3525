//! The promises of the crate, held to the composed and the public webhooks and to hostile ones.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

mod facts;
mod golden;
mod identities;
mod made;
mod mangled;
mod outgoing;
mod parts;
mod public;
mod support;
mod traps;
