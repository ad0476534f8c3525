//! The bearer token: whose it is, what it may be used for, and the audit log of what was done with it.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ingress::Peer;

use super::Side;
use super::needs::{Needed, Needs};
use super::problem::Problem;
use crate::app::audit::{Deed, MEND_WITHIN, WRITE_WITHIN};
use crate::app::strangers::Rejected;
use crate::config::Scope;

/// What [`check`] works with.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) side: Side,
    pub(super) needed: Arc<Needed>,
}

/// What an operator's action turned out to be about, where its path doesn't say: an extension of the answer.
#[derive(Debug, Clone)]
struct Noted(String);

/// Has `target` written into the audit log beside this answer: a version, ids of the configuration, nothing else.
pub(super) fn noting(mut response: Response, target: Option<String>) -> Response {
    if let Some(target) = target {
        response.extensions_mut().insert(Noted(target));
    }
    response
}

/// Lets through who shows a token that may do this; the connection may idle longer then.
///
/// A right token gets in however many wrong ones its address has shown: behind one address there may be many machines,
/// and nobody may shut out the CRM by showing nonsense beside it.
pub(super) async fn check(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Gate { side, needed } = gate;
    let peer = request.extensions().get::<Peer>().cloned();
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let caller = match shown.map(|shown| side.access.who(shown)) {
        None => {
            side.strangers.count(Rejected::NoToken);
            return Problem::unauthorized().into_response();
        }
        Some(None) => {
            return match side.strangers.wrong_token(peer.as_ref()) {
                Ok(()) => Problem::unauthorized().into_response(),
                Err(wait) => Problem::too_many_tokens(seconds(wait)).into_response(),
            };
        }
        Some(Some(caller)) => caller,
    };
    if let Some(peer) = &peer {
        peer.prove();
    }
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let found = route.as_deref().and_then(|route| needed.find(route, request.method()));
    // What isn't there is answered as such, to whoever has a token.
    let (Some(route), Some(needs)) = (route, found) else { return next.run(request).await };
    let scope = needs.scope();
    if !caller.scopes.has(scope) {
        side.strangers.count(Rejected::Scope);
        tracing::debug!(client = %caller.name, scope = scope.as_str(), "a token that isn't for this");
        return Problem::scope(scope, &caller.name).into_response();
    }
    if !needs.is_audited(caller.scopes) {
        // For what goes on for longer than a token may count.
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
    // Decoded as the handler gets it: what is spelled in another way is the same deed.
    let given = request.extract_parts::<RawPathParams>().await.ok();
    let given = given.as_ref().and_then(|given| given.iter().next()).map(|(_, given)| given);
    let deed = Deed {
        client: caller.name,
        address: peer.map(|peer| peer.address.ip()),
        action: format!("{} {route}", request.method()),
        target: given.and_then(|given| needs.on().target(given, &side.numbers)),
    };
    audited(side, deed, needs, request, next).await
}

/// Not a task of its own: to a handler that outlives its connection a body that was cut off looks whole, and half of a
/// request may mean more than all of it. A caller who hangs up leaves an entry without an outcome.
async fn audited(side: Side, deed: Deed, needs: Needs, request: Request, next: Next) -> Response {
    if let Err(wait) = side.audit.charge(&deed.client) {
        let Deed { client, action, target, .. } = &deed;
        // Nobody is kept from mending. And without the scope operate a message would be taken back, too: it may go at
        // any moment.
        if needs == Needs::Mend || needs.scope() == Scope::Send {
            tracing::warn!(%client, %action, target, "too often for the audit log, and done without an entry");
            return next.run(request).await;
        }
        side.strangers.count(Rejected::TooOften);
        tracing::debug!(%client, %action, "not done: its client has had too much done");
        return Problem::too_many_actions(&deed.client, seconds(wait)).into_response();
    }
    let within = if needs == Needs::Mend { MEND_WITHIN } else { WRITE_WITHIN };
    let begun = match side.audit.begin(deed.clone(), within).await {
        Ok(begun) => Some(begun),
        Err(error) if needs == Needs::Mend => {
            let Deed { client, action, .. } = deed;
            tracing::error!(%error, %client, %action, "an operator's action goes on without an entry in the audit log");
            None
        }
        Err(error) => {
            side.strangers.count(Rejected::Unwritten);
            tracing::error!(%error, action = %deed.action, "not done, since it can't be written into the audit log");
            return Problem::later(format!(
                "nothing was done, since the audit log can't be written: {error}"
            ))
            .into_response();
        }
    };
    let mut response = next.run(request).await;
    let noted = response.extensions_mut().remove::<Noted>().map(|Noted(target)| target);
    if let Some(begun) = begun {
        let ended = tokio::spawn(begun.end(response.status().as_u16(), noted));
        // What was answered is written, whoever still listens; a panic in there is said by the runtime's hook.
        let _ = ended.await;
    }
    response
}

/// Whole seconds, so that whoever waits for them has waited long enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The token in `Bearer TOKEN`; the scheme's case doesn't matter.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_is_a_bearer() {
        assert_eq!(bearer(b"Bearer t"), Some(b"t".as_slice()));
        assert_eq!(bearer(b"bearer t t"), Some(b"t t".as_slice()));
        for other in ["", "Bearer", "Basic t", "Bearert"] {
            assert_eq!(bearer(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(seconds(Duration::from_millis(5_001)), 6);
        assert_eq!(seconds(Duration::from_secs(6)), 6);
    }
}
