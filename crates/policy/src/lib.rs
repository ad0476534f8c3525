//! Decisions as values: backoff and delivery lanes; time is passed in.
//!
//! Nothing here opens a socket, touches a disk, reads a clock or spawns a task: what happened goes
//! in, what to do next comes out, and the same input always gives the same output. It depends on
//! `model` alone. The shell that carries the decisions out is the `egress` crate.
//!
//! What always holds: of one lane at most one job is in flight; records of one lane are handed
//! over in the order of their sequence; every record that was taken in ends delivered or as a dead
//! letter; memory doesn't grow with the backlog. Start reading at [`delivery`].

pub mod backoff;
pub mod delivery;
pub mod moment;

pub use backoff::{Backoff, Chance};
pub use moment::Moment;
