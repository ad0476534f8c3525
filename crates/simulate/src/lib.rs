//! The stand-ins: a WhatsApp that sends signed webhooks, the Graph API by which it is written to, a small
//! CRM that receives records, and a proxy that puts a bad network before any of them.
//!
//! `wagate demo` and `wagate simulate` show them to people; the black-box tests and the benchmark
//! judge the gateway by them. So they are honest witnesses first: [`whatsapp`] knows every id that
//! it sent and every one that was acknowledged, [`crm`] checks each delivery as a strict CRM would
//! and keeps what it saw, and comparing the two tells whether anything was lost or came in
//! disorder. [`graph`] counts what the gateway really posted, so that a limit which was broken can be
//! seen from outside. The same seed gives the same bytes.
//!
//! Nothing here is part of the product's path: the gateway must not need this crate to work, and
//! this crate knows the gateway only by what goes over its sockets. It depends on `model` alone.
//!
//! Start reading at [`whatsapp::payload`] for what is sent and at [`crm::observed`] for what is
//! checked, or at [`graph::Graph`] for the way back.

pub mod crm;
pub mod event;
pub mod graph;
pub mod histogram;
pub mod journey;
pub mod proxy;
pub mod random;
pub mod whatsapp;

pub use event::{Event, Item, What};
pub use histogram::{Histogram, Summary};
pub use journey::Journeys;
pub use random::Random;
