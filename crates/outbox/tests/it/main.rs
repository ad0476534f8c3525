//! The outbox in a simulated world: random histories, and one file for each question.
#![expect(clippy::cast_possible_wrap, reason = "small numbers of tests")]

mod chance;
mod checks;
mod graph;
mod history;
mod random;
mod table;
mod world;
