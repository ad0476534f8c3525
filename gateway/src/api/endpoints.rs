//! `GET /v1/endpoints`: the ways out and to the CRM, and which of them are in use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;

use super::Side;

/// An endpoint of a group, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EndpointView {
    /// `crm`, or `whatsapp/{phone_number_id}`.
    pub(crate) group: String,
    /// Its name in the configuration.
    pub(crate) name: String,
    /// `closed` (in use or ready for it), `suspect` (the same, with strikes), `open` (out of use) or `half_open` (out
    /// of use, and its last trials were good).
    pub(crate) state: &'static str,
    /// The group goes by it.
    pub(crate) active: bool,
    /// Strikes that count.
    pub(crate) strikes: u32,
    /// How long its last answer took, in milliseconds.
    pub(crate) latency_ms: Option<u64>,
    /// When it was probed last.
    pub(crate) last_probe_at: Option<String>,
}

/// Looks at every endpoint, by group, endpoints in order of preference; it doesn't block.
pub(crate) type Endpoints = Arc<dyn Fn() -> Vec<EndpointView> + Send + Sync>;

/// `GET /v1/endpoints`.
pub(super) async fn list(State(side): State<Side>) -> Response {
    Json(json!({ "endpoints": (side.endpoints)() })).into_response()
}
