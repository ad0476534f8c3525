//! One keep-alive HTTP/1.1 connection to the gateway, with as little between as will do.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::danger_accept_any_certificate;

/// An answer's body is read up to here; Meta doesn't care for it either.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where webhooks go.
#[derive(Debug, Clone)]
pub struct Target {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Path and query.
    pub(crate) path: Uri,
    pub(crate) host_header: HeaderValue,
}

/// A URL that nothing can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook URL {url:?} is not usable: {why}")]
pub struct BadUrl {
    url: String,
    why: &'static str,
}

impl Target {
    /// Reads `http://host:port/path` or `https://…`; any certificate will be accepted.
    ///
    /// # Errors
    /// When it is no such URL; the person who gave it has to correct it.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let bad = |why| BadUrl { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| bad("it cannot be read as a URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it must start with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it must not hold a user name"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if secure {
            let config = danger_accept_any_certificate().map_err(|_| bad("TLS cannot be set up here"))?;
            let name =
                ServerName::try_from(host.clone()).map_err(|_| bad("its host cannot be used with TLS"))?;
            Some((config, name))
        } else {
            None
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            host,
            tls,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .parse()
                .map_err(|_| bad("its path"))?,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| bad("its host"))?,
        })
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody listens there, or the network is down.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke, or what came was no HTTP.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer's body was too long or broke off.
    #[error("the answer's body could not be read")]
    Body,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// An open connection. It does its work inside the calls: no task of its own, so that a request
/// costs no switching between tasks.
pub(crate) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// None once the connection has ended: what it didn't send is given up when it is dropped.
    driver: Option<Pin<Box<Driver>>>,
}

impl Connection {
    pub(crate) async fn open(target: &Target, timeout: Duration) -> Result<Self, Failure> {
        let opening = async {
            let tcp =
                TcpStream::connect((target.host.as_str(), target.port)).await.map_err(Failure::Connect)?;
            tcp.set_nodelay(true).map_err(Failure::Connect)?;
            let stream: Box<dyn Stream> = match &target.tls {
                Some((config, name)) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    Box::new(connector.connect(name.clone(), tcp).await.map_err(Failure::Connect)?)
                }
                None => Box::new(tcp),
            };
            http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Broken)
        };
        let (requests, driver) =
            tokio::time::timeout(timeout, opening).await.map_err(|_| Failure::Timeout(timeout))??;
        Ok(Self { requests, driver: Some(Box::pin(driver)) })
    }

    /// Sends a request and reads the whole answer. After a failure the connection is of no use.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, Failure> {
        let Self { requests, driver } = self;
        let exchange = async {
            requests.ready().await.map_err(Failure::Broken)?;
            let (head, body) = requests.send_request(request).await.map_err(Failure::Broken)?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| Failure::Body)?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let driven = async {
            tokio::pin!(exchange);
            if let Some(open) = driver {
                tokio::select! {
                    biased;
                    answer = &mut exchange => return answer,
                    _ = open.as_mut() => {}
                }
            }
            *driver = None;
            // The connection has ended; what came before its end still counts.
            exchange.await
        };
        tokio::time::timeout(timeout, driven).await.map_err(|_| Failure::Timeout(timeout))?
    }

    /// Whether the next request can go over this connection.
    pub(crate) fn is_usable(&self) -> bool {
        !self.requests.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect() {
        for (url, host, port, path, tls) in [
            ("http://127.0.0.1:8081/webhook", "127.0.0.1", 8081, "/webhook", false),
            ("https://box.example.com", "box.example.com", 443, "/", true),
            ("http://[::1]:80/a?b=c", "::1", 80, "/a?b=c", false),
            ("https://127.0.0.1:8443/webhook", "127.0.0.1", 8443, "/webhook", true),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{url}");
            assert_eq!((target.path.to_string().as_str(), target.tls.is_some()), (path, tls), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "box", "ftp://box/", "http://", "/webhook", "http://user:pass@box/", "https://a b/"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
