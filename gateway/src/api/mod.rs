//! The store side: what the CRM, the operator's commands and monitoring ask of a running box.
//!
//! JSON; errors are `application/problem+json` (RFC 9457). A bearer token on every route but
//! `/healthz`.

mod auth;
mod dead_letters;
mod health;
mod page;
mod problem;
mod query;
mod records;

use std::sync::Arc;

use ::records::Numbers;
use axum::Router;
use axum::http::Request;
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use egress::Graph;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use ingress::{ConnectionLimits, ListenerMetrics, Peer, Transport};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::problem::Problem;
use crate::app::secrets::ApiToken;
use crate::app::sending::{Routes, Sending};
use crate::app::snapshot::Shown;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) shown: Arc<Shown>,
    pub(crate) token: ApiToken,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) sending: Sending,
    /// For uploads: what calls are made with, and where to.
    pub(crate) calls: (Graph, watch::Receiver<Arc<Routes>>),
    pub(crate) registry: Arc<Registry>,
    /// True once the box is to stop: nobody waits any more.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// Serves the store side until `stop`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: ListenerMetrics,
    side: Side,
    stop: impl Future<Output = ()> + Send,
) {
    let service = TowerToHyperService::new(router(side));
    let answer = move |peer: Peer, mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let service = service.clone();
        async move {
            match service.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    let limits = ConnectionLimits::default();
    ingress::serve(listener, Transport::Plain, limits, metrics, answer, stop).await;
}

fn router(side: Side) -> Router {
    let guarded = Router::new()
        .route("/v1/records", get(records::list))
        .route("/v1/deadletters", get(dead_letters::list))
        .route("/v1/deadletters/{id}", delete(dead_letters::delete))
        .route("/v1/deadletters/{id}/retry", post(dead_letters::retry))
        .route("/v1/schema", get(health::schema))
        .route("/v1/status", get(health::status))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { Problem::not_found("there is no such route").into_response() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().into_response() })
        .layer(axum::middleware::from_fn_with_state(side.clone(), auth::check));
    Router::new().route("/healthz", get(health::alive)).merge(guarded).with_state(side)
}
