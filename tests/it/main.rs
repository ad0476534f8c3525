//! The promises of the appliance, tried on the real program: it is started as a process, driven by
//! a simulated WhatsApp, and watched by a simulated CRM. One file per promise; and the repository
//! checking itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "figures that a run has found")]

mod acme;
mod backlog;
mod clients;
mod clock;
mod confined;
mod contract;
mod corpus;
mod crash;
mod crm;
mod disk;
mod failover;
mod failover_others;
mod failover_stage;
mod harness;
mod inbound;
mod package;
mod reach;
mod sending;
mod sending_clock;
mod sending_full;
mod sending_keys;
mod sending_pace;
mod sending_trouble;
mod sending_types;
mod sending_window;
mod siege;
mod stop;
mod store_side;
mod supervisor;
mod tidy;
mod watchdog;
