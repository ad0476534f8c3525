//! The public side over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod clients;
mod credulous;
mod drain;
mod floods;
mod frames;
mod hostile;
mod http2;
mod managed;
mod probes;
mod proxy;
mod service;
mod statuses;
mod support;
mod tls;
