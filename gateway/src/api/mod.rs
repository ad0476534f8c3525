//! The store side: what the CRM, the operator's commands and monitoring ask of a running box.
//!
//! JSON; errors are `application/problem+json` (RFC 9457). A bearer token on every route but
//! `/healthz`, which may do what its scopes say.

mod audit;
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
mod needs;
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
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use ingress::{ConnectionLimits, ListenerMetrics, Peer, Transport};
use policy::sending::Micros;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::auth::Gate;
pub(crate) use self::endpoints::EndpointView;
use self::endpoints::Endpoints;
pub(crate) use self::media::Uploads;
pub(crate) use self::media_down::Downloads;
use self::needs::{Methods, Needed, On, on};
use self::problem::Problem;
use crate::app::access::Access;
use crate::app::audit::Audit;
use crate::app::events::Events;
use crate::app::inbound::Inbound;
use crate::app::sending::Sending;
use crate::app::snapshot::Shown;
use crate::app::strangers::Strangers;
use crate::app::update::Updates;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) shown: Arc<Shown>,
    /// Whose token is whose.
    pub(crate) access: Access,
    /// Those without one.
    pub(crate) strangers: Strangers,
    /// What operators had done.
    pub(crate) audit: Audit,
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
    transport: Transport,
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
    ingress::serve(listener, transport, limits, metrics, answer, stop).await;
}

/// Every route that asks for a token, and what a token needs for each of its methods.
fn routes() -> Vec<(&'static str, Methods)> {
    use self::needs::Needs::{Act, Look, Mend, Read, Send, SendOrAct};
    vec![
        ("/v1/messages", on().post(Send, messages::queue).get(Read, queue::list)),
        ("/v1/messages/{id}", on().get(Read, queue::show).delete(SendOrAct(On::Message), queue::cancel)),
        ("/v1/messages/{id}/resolve", on().post(Act(On::Message), queue::resolve)),
        ("/v1/quota", on().get(Read, quota::show)),
        ("/v1/numbers/{phone_number_id}/resume", on().post(Act(On::Number), quota::resume)),
        ("/v1/forecast", on().post(Read, forecast::show)),
        ("/v1/contacts/{name}", on().get(Read, people::show)),
        ("/v1/contacts/{name}/opt-in", on().put(Send, people::opt_in)),
        ("/v1/media", on().post(Send, media::upload)),
        ("/v1/media/{id}", on().get(Read, media_down::download)),
        ("/v1/quick-replies", on().get(Read, quick_replies::list)),
        (
            "/v1/quick-replies/{name}",
            on().get(Read, quick_replies::show)
                .put(Act(On::Reply), quick_replies::put)
                .delete(Act(On::Reply), quick_replies::delete),
        ),
        ("/v1/quick-replies/{name}/preview", on().post(Read, quick_replies::preview)),
        ("/v1/costs", on().get(Read, costs::list)),
        ("/v1/balance", on().get(Read, costs::balance).put(Act(On::Box), costs::enter)),
        ("/v1/endpoints", on().get(Read, endpoints::list)),
        ("/v1/events", on().get(Read, events::stream)),
        ("/v1/failover", on().get(Read, failover::show)),
        ("/v1/failover/take", on().post(Act(On::Box), failover::take)),
        ("/v1/failover/give-back", on().post(Act(On::Box), failover::give_back)),
        ("/v1/update", on().get(Read, update::show).post(Mend, update::install).delete(Mend, update::cancel)),
        ("/v1/update/roll-back", on().post(Mend, update::roll_back)),
        ("/v1/box", on().get(Read, machine::show)),
        ("/v1/box/log", on().get(Look, machine::log)),
        ("/v1/box/reboot", on().post(Mend, machine::reboot)),
        ("/v1/box/factory-reset", on().post(Mend, machine::factory_reset)),
        ("/v1/audit", on().get(Look, audit::list)),
        ("/v1/records", on().get(Read, records::list)),
        ("/v1/deadletters", on().get(Read, dead_letters::list)),
        ("/v1/deadletters/{id}", on().delete(Act(On::Letter), dead_letters::delete)),
        ("/v1/deadletters/{id}/retry", on().post(Act(On::Letter), dead_letters::retry)),
        ("/v1/schema", on().get(Read, health::schema)),
        ("/v1/openapi.json", on().get(Read, openapi::show)),
        ("/v1/status", on().get(Read, health::status)),
        ("/readyz", on().get(Read, health::ready)),
        ("/metrics", on().get(Read, health::metrics)),
    ]
}

fn router(side: Side) -> Router {
    let (needed, guarded) = Needed::of(routes());
    let gate = Gate { side: side.clone(), needed: Arc::new(needed) };
    let guarded = guarded
        .fallback(|| async { Problem::not_found("there is no such route").into_response() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().into_response() })
        .layer(axum::middleware::from_fn_with_state(gate, auth::check));
    Router::new().route("/healthz", get(health::alive)).merge(guarded).with_state(side)
}
