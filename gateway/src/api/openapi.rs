//! `GET /v1/openapi.json`: what this side of the box does, for programs.

use axum::response::Response;

use super::health::typed;

/// The description; a test holds it against the routes.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// Answers with the description.
pub(super) async fn show() -> Response {
    typed(DOCUMENT, "application/json")
}
