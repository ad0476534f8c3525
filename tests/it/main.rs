//! The promises of the appliance, tried on the real program: it is started as a process, driven by
//! a simulated WhatsApp, and watched by a simulated CRM. One file per promise.
#![expect(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]
#![expect(clippy::print_stdout, reason = "the figures of a run, for `--nocapture`")]

mod backlog;
mod clock;
mod contract;
mod crash;
mod crm;
mod disk;
mod harness;
mod stop;
