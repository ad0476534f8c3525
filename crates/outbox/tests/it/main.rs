//! The outbox in a simulated world: random histories, and one file for each question.
#![expect(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]
#![expect(clippy::print_stdout, reason = "figures that a run has found")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a simulation looks at few of them")]

mod careful;
mod chance;
mod checks;
mod damage;
mod graph;
mod history;
mod journal;
mod limits;
mod midnight;
mod random;
mod refusals;
mod regressions;
mod rests;
mod script;
mod size;
mod start;
mod stood;
mod switch;
mod table;
mod uncertain;
mod windows;
mod world;
