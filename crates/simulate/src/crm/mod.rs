//! A small CRM that takes records, checks them strictly and misbehaves on demand.

mod answer;
pub mod behaviour;
mod delivery;
pub mod door;
pub mod observed;
mod page;
mod record;
pub mod run;
pub mod server;

pub use answer::DELIVERY_BYTES_MAX;
pub use behaviour::{Behaviour, chaos};
pub use delivery::TIMESTAMP_TOLERANCE;
pub use door::CannotListen;
pub use observed::{Complaint, Keep, Observed, Seen, Totals, Wrong};
pub use run::{CrmReport, Line, run_crm};
pub use server::{Crm, CrmOptions};
