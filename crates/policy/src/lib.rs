//! Decisions as values: backoff, delivery lanes, what may be sent; time is passed in.
//!
//! Nothing here opens a socket, touches a disk, reads a clock or spawns a task: what happened goes
//! in, what to do next comes out, and the same input always gives the same output. Of our crates it
//! depends on `model` alone; local days come from the time zones that are bundled with `jiff`. The
//! shell that carries the decisions on delivery out is the `egress` crate.
//!
//! What always holds: of one lane at most one job is in flight; records of one lane are handed
//! over in the order of their sequence; every record that was taken in ends delivered or as a dead
//! letter; memory doesn't grow with the backlog. Start reading at [`delivery`], and at [`sending`] for
//! the way out.

pub mod backoff;
pub mod delivery;
pub mod failover;
pub mod moment;
pub mod renewal;
pub mod sending;
pub mod standby;

pub use backoff::{Backoff, Chance};
pub use moment::Moment;
