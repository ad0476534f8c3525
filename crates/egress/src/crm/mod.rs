//! The CRM's side of a request: where to, what, and under which signature.

mod endpoint;
mod request;
mod signing;

pub use endpoint::Endpoint;
pub use request::{BATCH, HEADERS_ID_MAX, Outgoing, SINGLE};
pub use signing::SigningSecrets;
