//! The lanes against a simulated journal, a simulated CRM and simulated time; and failover against simulated endpoints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod failover;
mod histories;
mod passing;
mod sim;
mod standby;
mod switching;
