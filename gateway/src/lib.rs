//! The appliance: reads the configuration, wires the parts, runs the workers, drains.
//!
//! It's the one crate that knows all the others, and the only one that reads clocks, the
//! environment and the command line. Start reading at [`cli`].

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod out;
pub mod telemetry;
