//! The bearer token.

use std::sync::PoisonError;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ingress::Peer;
use subtle::ConstantTimeEq as _;

use super::Side;
use super::problem::Problem;

/// Lets through who shows the token; the connection may idle longer then.
pub(super) async fn check(State(side): State<Side>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let right = shown.is_some_and(|shown| {
        let token = side.token.read().unwrap_or_else(PoisonError::into_inner);
        shown.ct_eq(token.expose().as_bytes()).into()
    });
    if !right {
        return Problem::unauthorized().into_response();
    }
    if let Some(peer) = request.extensions().get::<Peer>() {
        peer.prove();
    }
    next.run(request).await
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
}
