//! The sockets out: records to the CRM and calls of WhatsApp over kept connections, every answer
//! classified.
//!
//! [`Delivery`] drives the decisions of `policy::delivery` against a [`Journal`] and an HTTP
//! endpoint. It decides nothing itself: which record goes when, and what an answer means for the
//! others, stands in `policy`; what a status code means stands in [`mod@classify`]. It may depend on
//! `model` and `policy`, never on the store: the gateway joins the two.
//!
//! [`Graph`] calls the WhatsApp Cloud API: one request for each call, and an outcome.
//!
//! What always holds: a record is settled only after the CRM's answer, or after it was given up;
//! no redirect is followed; no secret, message or URL is logged. Start reading at [`deliver`].

mod alarm;
pub mod classify;
pub mod client;
pub mod crm;
pub mod deliver;
pub mod error;
pub mod failover;
pub mod fuzzing;
pub mod graph;
mod health;
mod http;
pub mod journal;
pub mod metrics;
mod quiet;
mod reading;
mod requests;
mod sender;
mod tls;

pub use classify::{Answer, classify};
pub use client::{ClientSettings, Clients};
pub use crm::{Endpoint, Endpoints, SigningSecrets};
pub use deliver::{Delivery, Render, Settings};
pub use error::{EgressError, EndpointError, JournalError};
pub use failover::{Change, EndpointView, Live, Probes, Standing, Watched};
pub use graph::{
    Callbacks, Called, Download, Graph, GraphEndpoint, GraphSettings, HealthStatus, MediaPlace, Probe,
    Storage, SubscribedApp, Throttle, TokenInfo, Upload,
};
pub use health::Status;
pub use http::Names;
pub use journal::{Journal, Settlement};
pub use metrics::Metrics;
pub use model::UserIdField;
pub use policy::delivery::{Mode, Tail, Why};
