//! The endpoints of a group as they are used: who is active, how live calls go, and the loop of probes.
//!
//! The decisions are [`policy::failover`]'s. [`Watched`] is shared by whoever sends: it says which endpoint to
//! use, and is told what came of it. One loop per group ([`Watched::run`]) makes the probes and tells what has
//! changed.

mod live;
mod watched;

pub use live::Live;
pub use watched::{Change, EndpointView, Probes, Standing, Watched};
