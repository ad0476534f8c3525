//! A small CRM that takes records, checks them strictly and misbehaves on demand; it may answer customers
//! through the gateway.
//!
//! Two of them are two endpoints of one gateway: each has a book of its own, and [`Crm::in_common`] counts
//! the records that came to both. Probes may be answered otherwise than deliveries, see [`Crm::behave_to`].

mod answer;
pub mod behaviour;
mod clerk;
pub mod conversation;
mod delivery;
pub mod desk;
pub mod door;
pub mod observed;
mod page;
mod phrases;
mod record;
pub mod run;
pub mod server;

pub use answer::DELIVERY_BYTES_MAX;
pub use behaviour::{Behaviour, Probe, chaos};
pub use clerk::Answering;
pub use conversation::Tick;
pub use delivery::TIMESTAMP_TOLERANCE;
pub use desk::{Reply, Written};
pub use door::CannotListen;
pub use observed::{Complaint, Followed, Keep, Observed, Seen, Totals, Wrong};
pub use run::{CrmReport, Line, run_crm};
pub use server::{Crm, CrmOptions};
