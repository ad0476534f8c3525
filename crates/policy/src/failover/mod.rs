//! Which of several endpoints is used, and when each of them is asked how it is.
//!
//! A [`Group`] is a state machine without I/O: the endpoints of one direction, in order of preference,
//! exactly one of which is active. The shell tells it what it saw ([`Group::begin`], [`Group::ended`],
//! [`Group::probed`]), carries out what [`Group::poll`] asks for, and acts on [`Group::events`].
//!
//! - A **strike** is an answer that came too late, not at all, or says that nothing can be sent. What the
//!   store's own requests are to blame for (throttling, credentials, bad requests) never is one.
//! - The **breaker** of an endpoint opens after `strikes` of them and closes after `recover` good
//!   observations in a row. An endpoint with an open breaker isn't active while there is another one.
//! - **Going back** to a preferred endpoint takes `recover` good probes in a row, and twice as many each time
//!   that it was left again soon: an endpoint that comes and goes is left alone for longer and longer.

mod group;
mod health;
mod row;
mod seen;
mod settings;
mod told;

pub use group::{CallId, Group};
pub use health::State;
pub use seen::{Answer, Strike};
pub use settings::{CONFIRM_AFTER, HYSTERESIS_MAX, NEUTRAL_RECHECKS, STRIKES_APART, Settings};
pub use told::{Action, Event, Kept, View, Why};
