//! The CRM's side of a request: where to, what, and under which signature.

mod endpoint;
mod endpoints;
mod probe;
mod request;
pub(crate) mod said;
mod signing;

pub use endpoint::Endpoint;
pub use endpoints::{Endpoints, GROUP};
pub use probe::Probe;
pub use request::{BATCH, HEADERS_ID_MAX, Outgoing, SINGLE};
pub use signing::SigningSecrets;
