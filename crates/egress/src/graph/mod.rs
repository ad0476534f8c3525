//! Calls of the WhatsApp Cloud API, by Meta or by a provider that speaks its JSON.
//!
//! Each call is one request, sent once: nothing is repeated here that may have left the box, and
//! what came of it is an [`model::Outcome`]. Whether and when to call, and which endpoint, stands
//! elsewhere.
//!
//! `answer`, `refusal`, `throttle`, `health`, `callbacks`, `storage` and `media` are the pure half:
//! what an answer means. `endpoint` says where to, `client` calls it over a `wire`; `upload` and
//! `download` are files, `probe` asks whether it is well, `manage` are the calls that look after a
//! number. Start reading at [`Graph`].

mod answer;
mod callbacks;
mod client;
mod download;
mod endpoint;
mod health;
mod heard;
mod manage;
mod media;
mod probe;
mod refusal;
mod storage;
mod throttle;
mod token;
mod upload;
mod wire;

pub use callbacks::{CALLBACK_CHARS_MAX, Callbacks, SubscribedApp};
pub use client::{CONNECT_TIMEOUT, Graph, GraphSettings};
pub use download::Download;
pub use endpoint::{ANSWER_TIMEOUT, GraphEndpoint};
pub use health::{CanSend, HealthEntity, HealthError, HealthStatus};
pub use heard::Called;
pub use media::MediaPlace;
pub use probe::Probe;
pub use storage::Storage;
pub use throttle::Throttle;
pub use token::TokenInfo;
pub use upload::{UPLOAD_BYTES_MAX, Upload};
