//! Bodies of requests: read within a bound.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use records::outgoing::Fault;
use serde::de::IgnoredAny;

use super::problem::Problem;

/// Bytes of a body that says something small.
pub(super) const SMALL: usize = 16 * 1024;

/// Time for a body to come.
const TIME: Duration = Duration::from_secs(30);

/// Reads a body of at most `max` bytes.
pub(super) async fn read(body: Body, max: usize) -> Result<Bytes, Problem> {
    let Ok(read) = tokio::time::timeout(TIME, axum::body::to_bytes(body, max)).await else {
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body didn't come in 30 seconds"));
    };
    match read {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_too_long(&error) => {
            let detail = format!("the body is longer than {} KiB", max / 1024);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(_) => Err(Problem::bad_request("the body broke off")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    })
    .any(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// What is wrong with a body that a reader of its own refuses: 400 for what is no JSON, else 422.
pub(super) fn refused(body: &[u8], faults: Vec<Fault>) -> Problem {
    match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) if !error.is_data() => no_json(&error),
        _ => Problem::faults(faults),
    }
}

/// 400 with the place where a body stops being JSON.
pub(super) fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!(
        "the body is no JSON: something is wrong in line {}, column {}",
        error.line(),
        error.column()
    ))
}
