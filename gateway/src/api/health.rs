//! Life, readiness, status, metrics and the schema.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Side;
use super::problem::Problem;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// `GET /readyz`: 200 for as long as the store works, whatever the CRM, Meta or the clock do; the
/// body shows how far behind delivery is.
pub(super) async fn ready(State(side): State<Side>) -> Result<Response, Problem> {
    let snapshot = tokio::task::spawn_blocking(move || side.shown.snapshot()).await?;
    let status = if snapshot.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": snapshot.ready, "backlog": snapshot.backlog, "alarms": snapshot.alarms });
    Ok((status, Json(body)).into_response())
}

/// `GET /v1/status`: everything at a glance.
pub(super) async fn status(State(side): State<Side>) -> Result<Response, Problem> {
    let snapshot = tokio::task::spawn_blocking(move || side.shown.snapshot()).await?;
    Ok(Json(snapshot).into_response())
}

/// `GET /metrics`, in the text form of OpenMetrics.
pub(super) async fn metrics(State(side): State<Side>) -> Result<Response, Problem> {
    let text = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &side.registry).map(|()| text)
    })
    .await?;
    match text {
        Ok(text) => Ok(typed(text, "application/openmetrics-text; version=1.0.0; charset=utf-8")),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written")),
    }
}

/// `GET /v1/schema`: the JSON Schema of every record.
pub(super) async fn schema() -> Response {
    typed(records::SCHEMA, "application/schema+json")
}

pub(super) fn typed(body: impl Into<Body>, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
