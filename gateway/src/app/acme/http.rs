//! The way to the authority: the HTTP client that everything else goes out by, with bounds.

use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

/// An answer of an authority is a few KB, a chain of certificates included.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The longest wait that the library is told of: it adds what it reads to the clock, and panics where that has no room.
const RETRY_AFTER_TOLD_MAX: Duration = Duration::from_secs(24 * 3_600);

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

/// A client of one authority; clones share what it heard.
#[derive(Clone)]
pub(super) struct Caller {
    http: reqwest::Client,
    asked: Arc<Mutex<Option<Duration>>>,
}

/// There was no answer that could be used, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unheard(pub(super) String);

impl Caller {
    pub(super) fn new(http: reqwest::Client) -> Self {
        Self { http, asked: Arc::default() }
    }

    /// For how long the last answer that refused has asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets something that takes no account; with its `Retry-After`.
    ///
    /// # Errors
    /// When there is no answer of 200.
    pub(super) async fn get(&self, url: &str) -> Result<(Bytes, Option<Duration>), Unheard> {
        let request = reqwest::Client::request(&self.http, Method::GET, url);
        let (status, headers, body) = self.answer(url, request).await?;
        if status != StatusCode::OK {
            return Err(Unheard(format!("{} answers with {}", host(url), status.as_u16())));
        }
        Ok((body, retry_after(&headers)))
    }

    async fn answer(
        &self,
        url: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, hyper::HeaderMap, Bytes), Unheard> {
        let host = host(url);
        if !url.starts_with("https://") {
            return Err(Unheard(format!("the authority wants to be asked without TLS at {host}")));
        }
        let failed = |error: reqwest::Error| Unheard(unheard(&host, &error));
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Unheard(format!("{host} answers with more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), std::mem::take(response.headers_mut()), body.into()))
    }
}

impl HttpClient for Caller {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let caller = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            // The client says who we are.
            parts.headers.remove(USER_AGENT);
            let url = parts.uri.to_string();
            let request = caller.http.request(parts.method, &url).headers(parts.headers).body(body);
            let (status, mut headers, body) =
                caller.answer(&url, request).await.map_err(|unheard| Error::Other(Box::new(unheard)))?;
            let refused = status.is_client_error() || status.is_server_error();
            let asked = retry_after(&headers);
            *caller.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked.filter(|_| refused);
            bound_retry_after(&mut headers, asked);
            // What stands in front of an authority answers so, in whatever form it likes.
            if status.is_server_error() {
                let words = format!("{} answers with {}", host(&url), status.as_u16());
                return Err(Error::Other(Box::new(Unheard(words))));
            }
            let (mut parts, ()) = hyper::Response::new(()).into_parts();
            (parts.status, parts.headers) = (status, headers);
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &hyper::HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = u64::from_str(value) {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok()
}

/// Leaves the library a `Retry-After` only where it can't hurt it.
fn bound_retry_after(headers: &mut hyper::HeaderMap, asked: Option<Duration>) {
    if asked.is_none_or(|asked| asked > RETRY_AFTER_TOLD_MAX) {
        headers.remove(RETRY_AFTER);
    }
}

pub(super) fn host(url: &str) -> String {
    let url = reqwest::Url::parse(url).ok();
    url.as_ref().and_then(reqwest::Url::host_str).unwrap_or("the authority").to_owned()
}

fn unheard(host: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("{host} doesn't answer in time");
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    format!("{host} can't be reached: {deepest}")
}

#[cfg(test)]
impl Caller {
    /// Of nobody in particular.
    pub(super) fn for_tests() -> Self {
        // The roots of the world are read once for all tests.
        static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
        let make = || {
            let settings = egress::ClientSettings::new("wagate/0".to_owned(), 1);
            egress::Clients::new(settings).unwrap().client().unwrap()
        };
        Self::new(CLIENT.get_or_init(make).clone())
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            retry_after(&headers)
        };
        assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
        assert!(asked(&date).is_some_and(|asked| asked > Duration::from_secs(590)));
        for none in ["", "soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(asked(none), None, "{none}");
        }
    }

    #[test]
    fn the_library_hears_of_no_wait_beyond_a_day() {
        let date =
            |hours: u64| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(hours * 3_600));
        let (soon, late, most) = (date(2), date(48), u64::MAX.to_string());
        for (value, left) in [
            ("0", true),
            (" 120 ", true),
            ("86400", true),
            (soon.as_str(), true),
            ("86401", false),
            (most.as_str(), false),
            ("18446744073709551616", false),
            (late.as_str(), false),
            ("Fri, 31 Dec 9999 23:59:59 GMT", false),
            ("later", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            let asked = retry_after(&headers);
            bound_retry_after(&mut headers, asked);
            assert_eq!(headers.contains_key(RETRY_AFTER), left, "{value}");
        }
    }

    #[tokio::test]
    async fn an_authority_is_asked_by_tls_only() {
        let error = Caller::for_tests().get("http://127.0.0.1:1/dir").await.unwrap_err();
        assert!(error.to_string().contains("without TLS"), "{error}");
        let error = Caller::for_tests().get("https://127.0.0.1:1/dir").await.unwrap_err();
        assert!(error.to_string().starts_with("127.0.0.1 can't be reached: "), "{error}");
    }
}
