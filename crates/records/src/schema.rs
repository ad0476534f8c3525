//! The shape of the records, for those who read them.

/// JSON Schema (draft 2020-12) of every type of record.
pub const SCHEMA: &str = include_str!("../schema/record.v1.json");
