//! Calls of the WhatsApp Cloud API, by Meta or by a provider that speaks its JSON.
//!
//! Each call is one request, sent once: nothing is repeated here that may have left the box, and
//! what came of it is an [`model::Outcome`]. Whether and when to call stands elsewhere.
//!
//! `answer`, `refusal` and `throttle` are the pure half: what an answer means. `endpoint` says where
//! to, `client` does it, `upload` and `token` are the calls that post no message. Start reading at
//! [`Graph`].

mod answer;
mod client;
mod endpoint;
mod heard;
mod refusal;
mod throttle;
mod token;
mod upload;
mod wire;

pub use client::{CONNECT_TIMEOUT, Graph, GraphSettings};
pub use endpoint::{ANSWER_TIMEOUT, GraphEndpoint};
pub use heard::Called;
pub use throttle::Throttle;
pub use token::TokenInfo;
pub use upload::{UPLOAD_BYTES_MAX, Upload};
