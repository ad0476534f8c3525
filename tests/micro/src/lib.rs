//! What each part of the path costs, one call after another.
//!
//! Two ways to see a regression before a customer does:
//! - `cargo bench -p wagate-micro` tells the times of parse, verify, normalise, sign, append and
//!   replay on this machine (`benches/parts.rs`); `-- parse` takes one of them. Nothing is asserted.
//! - `cargo run --release --locked -p wagate-micro` counts the instructions and the allocations of
//!   parse, normalise and append under valgrind, and fails where one is more than 5 % away from
//!   `tests/micro/instructions.txt`, either way. `-- --bless` at the end writes that file anew.
//!
//! What is counted is the same on every machine: see [`profile`]. Both work on [`corpus`].

pub mod corpus;
pub mod profile;
pub mod stored;
pub mod work;
