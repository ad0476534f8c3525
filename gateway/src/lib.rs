//! The appliance: reads the configuration, wires the parts, runs the workers, drains.
//!
//! It's the one crate that knows all the others, and the only one that reads clocks, the
//! environment and the command line. Start reading at [`cli`].

mod api;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod demo;
mod onlooker;
pub mod out;
pub mod setup;
pub mod supervisor;
pub mod telemetry;
