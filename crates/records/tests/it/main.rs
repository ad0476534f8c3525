//! The promises of the crate, held to the composed and the public webhooks and to hostile ones.

mod golden;
mod identities;
mod mangled;
mod public;
mod support;
mod traps;
