//! Plain HTTP: it leads to HTTPS, and nothing is shown or taken.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

/// The port that browsers mean when none is named.
const HTTPS: u16 = 443;

/// Leads every request to the same host by HTTPS on `port`, or to the box's name where the host isn't one.
pub(super) fn router(name: &str, port: u16) -> Router {
    let fallback = format!("{name}.local");
    Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
        let there = target(&headers, &uri, &fallback, port);
        async move {
            let mut response = Response::new(Body::empty());
            // For now only: after the setup the gateway may be here.
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            if let Ok(there) = HeaderValue::try_from(there) {
                response.headers_mut().insert(header::LOCATION, there);
            }
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    })
}

fn target(headers: &HeaderMap, uri: &Uri, fallback: &str, port: u16) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host());
    let host = named.and_then(host).unwrap_or(fallback);
    if port == HTTPS { format!("https://{host}/") } else { format!("https://{host}:{port}/") }
}

/// The host without its port; `None`: it isn't one.
fn host(named: &str) -> Option<&str> {
    let end =
        if named.starts_with('[') { named.find(']')? + 1 } else { named.find(':').unwrap_or(named.len()) };
    let host = &named[..end];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_kept_and_what_isnt_one_is_the_boxs_name() {
        for (named, expected) in [
            ("192.168.1.20", "https://192.168.1.20/"),
            ("192.168.1.20:80", "https://192.168.1.20/"),
            ("wagate-7f3a.local", "https://wagate-7f3a.local/"),
            ("[fd00::1]:80", "https://[fd00::1]/"),
            ("evil\"onload=", "https://wagate-7f3a.local/"),
            ("", "https://wagate-7f3a.local/"),
            ("user@evil.example", "https://wagate-7f3a.local/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(named).unwrap());
            assert_eq!(
                target(&headers, &Uri::from_static("/x?y"), "wagate-7f3a.local", 443),
                expected,
                "{named}"
            );
        }
        let bare = target(&HeaderMap::new(), &Uri::from_static("/"), "box.local", 8443);
        assert_eq!(bare, "https://box.local:8443/");
    }
}
