//! A TCP proxy on loopback with the faults of a network, which can be switched while it runs.
//!
//! It stands between the gateway and a stand-in and knows nothing of what goes through, so that it
//! serves plain HTTP and TLS alike, and either direction of the gateway. [`fault`] says what can go
//! wrong, [`loss`] what lost packets look like above TCP; `listener.rs` opens, shuts and fills the
//! port, and `carry.rs` moves the bytes of one connection. Nothing is kept that isn't read: where one
//! side doesn't take what the other sends, the other has to wait, and all queues are the kernel's.

mod carry;
mod counts;
pub mod fault;
mod listener;
pub mod loss;
pub mod server;

pub use counts::Counts;
pub use fault::Fault;
pub use server::{CONNECTIONS_MAX, Proxy, ProxyOptions};
