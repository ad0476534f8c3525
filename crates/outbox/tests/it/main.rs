//! The outbox in a simulated world: random histories, and one file for each question.

mod chance;
mod checks;
mod graph;
mod history;
mod limits;
mod random;
mod refusals;
mod script;
mod table;
mod uncertain;
mod windows;
mod world;
