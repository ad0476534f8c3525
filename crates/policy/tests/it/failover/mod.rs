//! Failover against simulated endpoints and simulated time.

mod properties;
mod sim;
mod traces;
