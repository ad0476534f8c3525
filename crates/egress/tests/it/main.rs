//! Delivery over real sockets, to a CRM that misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]

mod connections;
mod crm;
mod delivering;
mod journal;
mod raw;
mod running;
mod tls;
