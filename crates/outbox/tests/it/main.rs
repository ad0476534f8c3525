//! The outbox in a simulated world: random histories, and one file for each question.

mod chance;
mod checks;
mod graph;
mod history;
mod journal;
mod limits;
mod random;
mod refusals;
mod script;
mod size;
mod table;
mod uncertain;
mod windows;
mod world;
