//! The appliance as a black box; everything is in the test `it`.
