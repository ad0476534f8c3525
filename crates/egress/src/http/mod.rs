//! HTTP/1.1 to one place, over connections that are kept.
//!
//! Delivery sends one kind of request to one URL, thousands of times a second: what a general
//! client does for each (URL, headers, pool key, timers) is done once here. What it measures, and
//! why it isn't `reqwest` or `hyper`: `docs/decisions/0008-an-http-client-of-its-own.md`.
//!
//! [`answer`] is the pure half: bytes to an answer, in whatever portions they come. [`connection`]
//! carries one request over one connection, [`dial`] makes connections, [`client`] keeps them; [`mod@status`]
//! asks once and keeps nothing.

mod address;
mod answer;
mod chunks;
mod client;
mod connection;
mod dial;
mod head;
mod names;
mod status;
mod stream;

pub(crate) use address::Address;
pub(crate) use answer::{Answer, read as read_answer};
pub(crate) use client::{Client, Trouble};
pub use names::Names;
pub(crate) use names::Resolver;
pub(crate) use status::status;
