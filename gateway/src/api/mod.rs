//! The store side: what the CRM, the operator's commands and monitoring ask of a running box.
//!
//! JSON; errors are `application/problem+json` (RFC 9457). A bearer token on every route but
//! `/healthz`.

mod auth;
mod body;
mod costs;
mod dead_letters;
pub(crate) mod endpoints;
mod events;
mod failover;
mod forecast;
mod health;
mod machine;
mod media;
mod media_down;
mod members;
mod message_view;
mod messages;
mod openapi;
mod page;
mod people;
mod problem;
mod query;
mod queue;
mod quick_replies;
mod quota;
mod records;
#[cfg(test)]
mod tests;
mod update;

use std::sync::Arc;

use ::records::Numbers;
use axum::Router;
use axum::http::Request;
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, delete, get, post, put};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use ingress::{ConnectionLimits, ListenerMetrics, Peer, Transport};
use policy::sending::Micros;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use self::endpoints::EndpointView;
use self::endpoints::Endpoints;
pub(crate) use self::media::Uploads;
pub(crate) use self::media_down::Downloads;
use self::problem::Problem;
use crate::app::events::Events;
use crate::app::inbound::Inbound;
use crate::app::secrets::ApiToken;
use crate::app::sending::Sending;
use crate::app::snapshot::Shown;
use crate::app::update::Updates;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) shown: Arc<Shown>,
    pub(crate) token: ApiToken,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) sending: Sending,
    pub(crate) uploads: Uploads,
    pub(crate) downloads: Downloads,
    /// At this prepaid balance or below people are told, where nobody has named another.
    pub(crate) low_water: Micros,
    pub(crate) registry: Arc<Registry>,
    /// What changes.
    pub(crate) events: Events,
    /// How the endpoints stand.
    pub(crate) endpoints: Endpoints,
    /// Whose webhooks come here.
    pub(crate) inbound: Inbound,
    /// The machine below, and its firmware.
    pub(crate) updates: Updates,
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

/// Every route that asks for the token.
fn routes() -> Vec<(&'static str, MethodRouter<Side>)> {
    vec![
        ("/v1/messages", post(messages::queue).get(queue::list)),
        ("/v1/messages/{id}", get(queue::show).delete(queue::cancel)),
        ("/v1/messages/{id}/resolve", post(queue::resolve)),
        ("/v1/quota", get(quota::show)),
        ("/v1/numbers/{phone_number_id}/resume", post(quota::resume)),
        ("/v1/forecast", post(forecast::show)),
        ("/v1/contacts/{name}", get(people::show)),
        ("/v1/contacts/{name}/opt-in", put(people::opt_in)),
        ("/v1/media", post(media::upload)),
        ("/v1/media/{id}", get(media_down::download)),
        ("/v1/quick-replies", get(quick_replies::list)),
        (
            "/v1/quick-replies/{name}",
            get(quick_replies::show).put(quick_replies::put).delete(quick_replies::delete),
        ),
        ("/v1/quick-replies/{name}/preview", post(quick_replies::preview)),
        ("/v1/costs", get(costs::list)),
        ("/v1/balance", get(costs::balance).put(costs::enter)),
        ("/v1/endpoints", get(endpoints::list)),
        ("/v1/events", get(events::stream)),
        ("/v1/failover", get(failover::show)),
        ("/v1/failover/take", post(failover::take)),
        ("/v1/failover/give-back", post(failover::give_back)),
        ("/v1/update", get(update::show).post(update::install).delete(update::cancel)),
        ("/v1/update/roll-back", post(update::roll_back)),
        ("/v1/box", get(machine::show)),
        ("/v1/box/log", get(machine::log)),
        ("/v1/box/reboot", post(machine::reboot)),
        ("/v1/box/factory-reset", post(machine::factory_reset)),
        ("/v1/records", get(records::list)),
        ("/v1/deadletters", get(dead_letters::list)),
        ("/v1/deadletters/{id}", delete(dead_letters::delete)),
        ("/v1/deadletters/{id}/retry", post(dead_letters::retry)),
        ("/v1/schema", get(health::schema)),
        ("/v1/openapi.json", get(openapi::show)),
        ("/v1/status", get(health::status)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
    ]
}

fn router(side: Side) -> Router {
    let guarded = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(|| async { Problem::not_found("there is no such route").into_response() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().into_response() })
        .layer(axum::middleware::from_fn_with_state(side.clone(), auth::check));
    Router::new().route("/healthz", get(health::alive)).merge(guarded).with_state(side)
}
