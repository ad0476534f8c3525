//! JSON lists of parts that are JSON already.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Answers with `{"{name}":[parts…],…rest}`; `rest` is a JSON object.
pub(super) fn answer(name: &str, parts: &[Vec<u8>], rest: &serde_json::Value) -> Response {
    let size: usize = parts.iter().map(Vec::len).sum();
    let mut body = Vec::with_capacity(size + 256);
    body.extend(format!("{{\"{name}\":[").bytes());
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(part);
    }
    body.extend(b"],");
    // The rest without its opening brace.
    body.extend(rest.to_string().bytes().skip(1));
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
