//! The appliance as a black box.
