//! The lanes against a simulated journal, a simulated CRM and simulated time.

mod cases;
mod histories;
mod sim;
