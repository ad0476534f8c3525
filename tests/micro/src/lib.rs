//! What each part of the path costs, one call after another.
//!
//! Two ways to see a regression before a customer does:
//! - `cargo bench -p wagate-micro --bench parts` tells the times of parse, verify, normalise, sign,
//!   append and replay on this machine (`benches/parts.rs`); `-- parse` behind it takes one of them.
//!   Stores lie in `TMPDIR`. Nothing is asserted.
//! - `cargo run --release --locked -p wagate-micro` counts the instructions and the allocations of
//!   parse, normalise and append under valgrind, and fails where one is more than 5 % away from
//!   `tests/micro/instructions.txt`, either way. `-- --bless` at the end writes that file anew.
//!
//! What is counted is the same on every machine: see [`profile`]. Both work on [`corpus`]. Counts
//! belong to a compiler, which their file names: with another one nothing is compared, which is said,
//! and is an error where `CI` is set. So whoever moves to another compiler counts anew.

pub mod corpus;
pub mod profile;
pub mod stored;
pub mod work;
