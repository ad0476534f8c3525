//! What the store wants to say: queued durably, sent within every limit, once, and accounted for through any crash.
//!
//! The outbox is a state machine over a [`Table`] of values. It works in turns: a [`Turn`] takes what has happened (a message to queue, the answer to a call,
//! what the journal says, time that has passed), decides, and comes to a [`Done`]: changes of the table, and what
//! is to be done once those are durable. One turn is one transaction, so after a crash the table holds a whole
//! number of turns, and no call was made whose intent and units aren't in it.
//!
//! What must always hold:
//! - A call is made only after the turn that took its units is durable.
//! - A unit is given back only for what surely wasn't sent.
//! - A message whose outcome is unknown is never sent again but by a person's word or the configured wait.
//! - Of one recipient at most one message is being posted, and those of one priority go in their order.
//! - Memory doesn't grow with the queue: the table is read as far as the next message that may go.
//!
//! It knows no socket and no clock: the table and `now` are handed in, calls are handed out. The decisions as such
//! are in `policy::sending`. Start reading at [`Outbox`], then `turn`, `pick`, `outcome` and `facts`.

mod audit;
mod careful;
mod charges;
mod enqueue;
mod facts;
#[cfg(test)]
mod golden;
mod held;
mod judge;
mod keys;
mod lanes;
mod ledger;
mod outbox;
mod outcome;
mod pace;
mod person;
mod pick;
mod replies;
mod report;
mod rests;
mod settings;
mod stops;
mod strays;
mod table;
mod timers;
mod turn;
mod values;
mod way;
mod why;

#[doc(hidden)]
pub use audit::{Audit, audit};
pub use charges::Balance;
pub use enqueue::{Draft, Enqueue, Queued, Unqueued};
pub use outbox::{Done, Outbox};
pub use outcome::Called;
pub use person::{Known, Resolution, Unchanged, Written};
pub use replies::{QUICK_REPLIES_MAX, QUICK_REPLY_BYTES_MAX};
pub use report::{Quota, Shown, Way};
pub use settings::{CALLS_MAX, Number, OPEN_MAX, Settings};
pub use stops::Clear;
pub use table::{Change, Pair, Table, TableError};
pub use turn::{Call, Note, Sent, Turn};
pub use values::{Charges, Consent, Counts, Fallback, Kind, Step, Stop};
pub use way::Other;
pub use why::Why;
