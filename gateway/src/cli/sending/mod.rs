//! `wagate send`, `wagate queue` and `wagate quota`: the way out, for an operator.

mod args;
mod message;
mod queue;
mod quota;
mod send;
mod view;

pub use args::{Queue, QueueAction, Quota, SendMessage};
pub(super) use queue::run as queue;
pub(super) use quota::run as quota;
pub(super) use send::run as send;
