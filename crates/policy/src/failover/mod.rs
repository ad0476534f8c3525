//! Which of several endpoints is used, and when each of them is asked how it is.
//!
//! A [`Group`] is a state machine without I/O: the endpoints of one direction, in order of preference,
//! exactly one of which is active. The shell tells it what it saw ([`Group::begin`], [`Group::ended`],
//! [`Group::probed`]), carries out what [`Group::poll`] asks for, and acts on [`Group::events`].
//!
//! - A **strike** is an answer that came too late, not at all, or says that nothing can be sent. What the
//!   store's own requests are to blame for (throttling, credentials, bad requests) never is one.
//! - The **breaker** of an endpoint opens after `strikes` of them and closes after `recover` good probes in a row, or
//!   as many calls that are answered in time. An endpoint with an open breaker isn't active while there is
//!   another one.
//! - **Hysteresis**: each time that a breaker opens soon after it had closed, closing it takes twice as many good
//!   probes: an endpoint that comes and goes is left alone for longer and longer, whether probes or calls find
//!   it out. Going back to a preferred endpoint takes as many.

mod group;
mod health;
mod row;
mod seen;
mod settings;
mod told;

pub use group::{CallId, Group};
pub use health::State;
pub use seen::{Answer, Strike};
pub use settings::{CONFIRM_AFTER, HYSTERESIS_MAX, LONG_RECHECKS, NEUTRAL_RECHECKS, STRIKES_APART, Settings};
pub use told::{Action, Event, Kept, View, Why};
