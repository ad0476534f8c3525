//! The appliance as a black box.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tidy;
