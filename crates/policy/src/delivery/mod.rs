//! Which record goes to the CRM next, and what becomes of it.
//!
//! [`Lanes`] is a state machine without I/O. The shell tells it what happened ([`Lanes::tail`],
//! [`Lanes::page`], [`Lanes::answered`]) and carries out what [`Lanes::poll`] answers: read a page
//! of the journal, send a job, or wait.
//!
//! - A **lane** is a contact (or an account, for what has no contact). Its records are handed over
//!   one after another; lanes run in parallel, up to a bound.
//! - The **window** is what was read ahead: a bounded number of records and bytes. A lane that
//!   fills its share, or is in trouble of its own, is continued later from a remembered sequence,
//!   so that neither a long backlog nor a stuck contact grows memory or stops the others.
//! - The **gate** stands for the CRM as a whole. While it's closed one trial at a time goes
//!   through, and the first success opens it for everybody.
//! - A **suspect** is a record that failed again and again while others got through: its failures
//!   then say nothing about the CRM, and it keeps its own time.
//! - A **switch** ([`Lanes::switched`]) puts another endpoint behind the gate: the gate opens, nobody sleeps
//!   on, and what the endpoint that was left still answers says nothing but what it has taken.

mod answers;
mod batch;
mod gate;
mod index;
mod lane;
mod lanes;
mod passing;
mod settings;
mod switching;
mod verdict;
mod window;

pub use gate::{Access, Why};
pub use lane::{Entry, LaneKey};
pub use lanes::{Action, JobId, Lanes, Outcome};
pub use passing::Passing;
pub use settings::{
    ALONE_FOR, BATCH_BYTES_MAX, BATCH_SIZE_MAX, BATCHES_IN_FLIGHT, DELIVERIES_IN_FLIGHT, LANE_SHARE, Mode,
    PAGE_BYTES, PAGE_RECORDS, Settings, TRIAL_EVERY, TRIES, WINDOW_BYTES, WINDOW_RECORDS,
};
pub use verdict::{Failure, Verdict};
pub use window::{Read, Source, Tail};
