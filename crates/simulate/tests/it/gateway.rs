//! A gateway of a few lines, which answers as a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What to do with a request.
pub(crate) enum Reaction {
    Answer(u16, Bytes),
    Hang,
    /// Ends the connection without an answer.
    Close,
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) received: Received,
    _serving: JoinSet<()>,
}

pub(crate) type Received = Arc<Mutex<Vec<(Parts, Bytes)>>>;
type Reacts = dyn Fn(usize, &Parts, &Bytes) -> Reaction + Send + Sync;

impl Gateway {
    /// Serves plainly; `react` gets the request's number from 0.
    pub(crate) async fn start(
        react: impl Fn(usize, &Parts, &Bytes) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::serve(None, Arc::new(react)).await
    }

    /// Serves with a certificate of its own making.
    pub(crate) async fn start_tls(
        react: impl Fn(usize, &Parts, &Bytes) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let made = rcgen::generate_simple_self_signed(["some.other.name".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(react)).await
    }

    async fn serve(tls: Option<TlsAcceptor>, react: Arc<Reacts>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let mut serving = JoinSet::new();
        let book = Arc::clone(&received);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (react, book, tls) = (Arc::clone(&react), Arc::clone(&book), tls.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => connection(tls.accept(stream).await.unwrap(), react, book).await,
                        None => connection(stream, react, book).await,
                    }
                });
            }
        });
        Self { address, received, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send, react: Arc<Reacts>, book: Received) {
    let service = service_fn(|request: Request<Incoming>| {
        let (react, book) = (Arc::clone(&react), Arc::clone(&book));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let reaction = {
                let mut book = book.lock().unwrap();
                let reaction = react(book.len(), &head, &body);
                book.push((head, body));
                reaction
            };
            match reaction {
                Reaction::Answer(status, body) => {
                    Ok(Response::builder().status(status).body(Full::new(body)).unwrap())
                }
                Reaction::Hang => std::future::pending().await,
                Reaction::Close => Err("closed on purpose"),
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Answers everything with 200.
pub(crate) fn yes(_: usize, _: &Parts, _: &Bytes) -> Reaction {
    Reaction::Answer(200, Bytes::new())
}
