//! What the box says to an authority that looks whether a name is ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use ingress::{Challenge, ConnectionLimits, ListenerMetrics, Tls, TlsError, Transport};
use tokio::net::TcpListener;

/// Where RFC 8555, section 8.3, has it.
const PATH: &str = "/.well-known/acme-challenge/";
/// An authority looks from a handful of places at once.
const CONNECTIONS: usize = 32;
/// For a head, and for a connection that has nothing to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a name is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// On the public listener: RFC 8737.
    Tls,
    /// On a listener of its own, without TLS: RFC 8555, section 8.3.
    Http,
}

impl Proof {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Tls => "tls-alpn-01",
            Self::Http => "http-01",
        }
    }
}

type Tokens = Arc<Mutex<BTreeMap<String, String>>>;

/// Whatever is to be said now; clones share it.
#[derive(Clone)]
pub(super) struct Answers {
    tls: Tls,
    tokens: Tokens,
}

/// Something that is said for as long as this lives.
#[derive(Debug)]
pub(super) enum Said {
    /// In handshakes.
    Tls { _challenge: Challenge },
    /// On port 80.
    Http(Tokens, String),
}

impl Drop for Said {
    fn drop(&mut self) {
        if let Self::Http(tokens, token) = self {
            tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
        }
    }
}

impl Answers {
    pub(super) fn new(tls: Tls) -> Self {
        Self { tls, tokens: Arc::default() }
    }

    /// Says the key authorization of `token` to whoever asks for it; `digest` is its SHA-256.
    ///
    /// # Errors
    /// When no certificate can be made for `name`.
    pub(super) fn say(
        &self,
        proof: Proof,
        name: &str,
        [token, authorization]: [&str; 2],
        digest: &[u8; 32],
    ) -> Result<Said, TlsError> {
        match proof {
            Proof::Tls => {
                self.tls.challenge(name, digest).map(|challenge| Said::Tls { _challenge: challenge })
            }
            Proof::Http => {
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.insert(token.to_owned(), authorization.to_owned());
                Ok(Said::Http(Arc::clone(&self.tokens), token.to_owned()))
            }
        }
    }

    /// Answers on `listener` until `stop`: the key authorizations that are to be said, and 404 to all else.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        metrics: ListenerMetrics,
        stop: impl Future<Output = ()>,
    ) {
        let limits = ConnectionLimits {
            connections: CONNECTIONS,
            header_time: PATIENCE,
            idle_time: PATIENCE,
            ..ConnectionLimits::default()
        };
        let service = move |_, request: Request<Incoming>| {
            let answer = self.answer(&request);
            async move { answer }
        };
        ingress::serve(listener, Transport::Plain, limits, metrics, service, stop).await;
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let token = request.uri().path().strip_prefix(PATH).filter(|_| request.method() == Method::GET);
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let said = token.and_then(|token| tokens.get(token)).cloned();
        let mut response = Response::new(Full::new(Bytes::from(said.clone().unwrap_or_default())));
        match said {
            Some(_) => {
                let kind = HeaderValue::from_static("application/octet-stream");
                response.headers_mut().insert(CONTENT_TYPE, kind);
            }
            None => *response.status_mut() = StatusCode::NOT_FOUND,
        }
        response
    }
}

/// The listener for [`Proof::Http`].
///
/// # Errors
/// When the address can't be bound.
pub(super) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_is_said_and_nothing_else() {
        let answers = Answers::new(Tls::open(&ingress::Source::Managed).unwrap());
        let ask = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            answers.answer(&request).status().as_u16()
        };
        let path = "/.well-known/acme-challenge/abc";
        assert_eq!(ask(Method::GET, path), 404);
        let said = answers.say(Proof::Http, "box.example.com", ["abc", "abc.thumb"], &[0; 32]).unwrap();
        assert_eq!(ask(Method::GET, path), 200);
        for (method, path) in [
            (Method::POST, path),
            (Method::GET, "/"),
            (Method::GET, "/.well-known/acme-challenge/"),
            (Method::GET, "/.well-known/acme-challenge/abcd"),
            (Method::GET, "/.well-known/acme-challenge/../acme-challenge/abc"),
            (Method::GET, "/webhook"),
        ] {
            assert_eq!(ask(method.clone(), path), 404, "{method} {path}");
        }
        let request = Request::builder().uri(path).body(()).unwrap();
        let headers = answers.answer(&request).headers().keys().cloned().collect::<Vec<_>>();
        assert_eq!(headers, [CONTENT_TYPE], "nothing names software");
        drop(said);
        assert_eq!(ask(Method::GET, path), 404);
    }
}
