//! Webhook bytes to items, and records to the events that a CRM reads.
//!
//! [`digest`] takes a signed body apart into [`model::Item`]s: what happened, what makes it the
//! same as another, whom it is about, and the bytes of its own piece of the payload. The rest is
//! read again from those bytes when [`render`] shows a record, so what is on disk is what came, and
//! a better reading of tomorrow reaches the records of today.
//!
//! Both are total. Whatever a body holds, every piece of it costs only itself: what isn't
//! understood becomes an item that says why, and one bad item never takes its neighbours with it.
//! Nothing here recurses over the payload, reads a clock or does I/O; of the workspace the crate
//! depends on `model` alone. Start reading at [`digest`], then `family`, `item` and `message`; how JSON is read
//! leniently, and written, is in `json`.

mod envelope;
mod facts;
mod family;
mod id;
mod identity;
mod item;
mod json;
pub mod made;
mod message;
mod numbers;
pub mod outgoing;
pub mod phone;
mod render;
mod schema;
mod scope;
mod status;
mod time;

pub use envelope::digest;
pub use facts::facts;
pub use identity::aliases_of;
pub use numbers::Numbers;
pub use render::render;
pub use schema::SCHEMA;
