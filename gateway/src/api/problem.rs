//! Errors as RFC 9457 has them.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use records::outgoing::Fault;
use serde_json::{Map, Value, json};
use store::{ReadError, Refused};

use crate::app::sending::SendingError;
use crate::config::Scope;

/// An `application/problem+json` answer.
///
/// Boxed, since it is the rare side of every result here.
#[derive(Debug)]
pub(crate) struct Problem(Box<Said>);

#[derive(Debug)]
struct Said {
    status: StatusCode,
    detail: String,
    extra: Map<String, Value>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Said { status, detail: detail.into(), extra: Map::new(), header: None }))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this route has other methods")
    }

    pub(crate) fn unauthorized() -> Self {
        let mut problem =
            Self::new(StatusCode::UNAUTHORIZED, "send the API token as `Authorization: Bearer …`");
        problem.0.header = Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        problem
    }

    /// Too many wrong tokens from one address; another may be shown after so many seconds.
    pub(crate) fn too_many_tokens(seconds: u64) -> Self {
        let detail = "too many wrong tokens came from this address; a right one is taken at any time";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
    }

    /// Too many of an operator's actions from one client; another may be asked for after so many seconds.
    pub(crate) fn too_many_actions(client: &str, seconds: u64) -> Self {
        let detail = format!(
            "nothing was done: `{client}` has had so much done that the audit log would lose what others did; ask again later"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with("client", client).retry_after(seconds)
    }

    /// A right token, for something else.
    pub(crate) fn scope(needed: Scope, client: &str) -> Self {
        let needed = needed.as_str();
        let detail = format!("this needs the scope `{needed}`, which the token of `{client}` doesn't have");
        Self::new(StatusCode::FORBIDDEN, detail).with("scope", needed).with("client", client)
    }

    /// A member beside the standard ones.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// What is wrong with a body that is JSON, member by member.
    pub(crate) fn faults(faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [Fault { pointer, detail }] if pointer.is_empty() => format!("the body {detail}"),
            [Fault { pointer, detail }] => format!("{pointer} {detail}"),
            several => format!("{} things are wrong with the body; see errors", several.len()),
        };
        let errors: Vec<Value> = faults
            .into_iter()
            .map(|Fault { pointer, detail }| json!({ "pointer": pointer, "detail": detail }))
            .collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("errors", errors)
    }

    /// One thing that is wrong with a body.
    pub(crate) fn fault(pointer: &str, detail: impl Into<String>) -> Self {
        Self::faults(vec![Fault { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    /// With `Retry-After`, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.header = Some((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    pub(crate) fn later(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Gone { oldest, newest } => {
                Self::new(StatusCode::GONE, format!("only records {oldest} to {newest} are kept"))
                    .with("oldest", oldest.to_string())
                    .with("newest", newest.to_string())
            }
            ReadError::Index(_) | ReadError::Log(_) | ReadError::Damaged(_) | ReadError::Reopening | _ => {
                tracing::warn!(%error, "the store couldn't be read for the API");
                Self::later("the store can't be read just now")
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::later(refused.to_string())
    }
}

impl From<SendingError> for Problem {
    fn from(error: SendingError) -> Self {
        Self::later(error.to_string())
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(%error, "a request of the API has panicked");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "this is our fault; see the log")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Said { status, detail, extra, header } = *self.0;
        let mut body = Map::new();
        body.insert("type".to_owned(), "about:blank".into());
        body.insert("title".to_owned(), status.canonical_reason().unwrap_or("Error").into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.insert("detail".to_owned(), detail.into());
        body.extend(extra);
        let mut response = (status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers
            .insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}
