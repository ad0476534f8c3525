//! The appliance as a black box.

mod corpus;
