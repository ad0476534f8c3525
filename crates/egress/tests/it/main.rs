//! Delivery over real sockets, to a CRM that misbehaves on demand.

mod crm;
mod delivering;
mod journal;
