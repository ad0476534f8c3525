//! The configuration and the command line, seen from outside.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod accepted;
mod api_keys;
mod demo;
mod doctor;
mod documents;
mod failover_keys;
mod faulty;
mod mutations;
mod patience;
mod program;
mod rate_card;
mod secrets;
mod setup;
mod shop;
mod stand_ins;
mod way_out;
