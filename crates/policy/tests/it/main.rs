//! The lanes against a simulated journal, a simulated CRM and simulated time; and failover against simulated endpoints.

mod cases;
mod failover;
mod histories;
mod sim;
