//! What Meta and the CRM say, as plain values.
//!
//! This crate holds the nouns that the other crates exchange: identifiers, points in time, the
//! [`Item`] that a webhook is taken apart into, the [`Record`] that an item becomes once the
//! store has given it a place, and the two signatures that travel with HTTP bodies.
//!
//! It does no I/O, reads no clock and depends on no other crate of the workspace; every other
//! crate may depend on it. Start reading at [`record`].

pub mod id;
pub mod record;
pub mod sending;
pub mod signature;
pub mod time;

pub use id::{ContactId, ParseSequenceError, Sequence};
pub use record::{Account, Alias, AliasKind, Contact, Item, Kind, Record, Via};
pub use sending::{
    Address, Fact, OutboxId, Outcome, Pricing, Priority, Refusal, Says, Standing, StatusWord, UserIdField,
};
pub use time::WallTime;
