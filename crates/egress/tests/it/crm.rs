//! A CRM over HTTP that answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the CRM saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The ids of the records in it.
    pub(crate) ids: Vec<String>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: &'static str,
    /// Never answers.
    pub(crate) hangs: bool,
    /// Takes so long.
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

pub(crate) struct Crm {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Crm {
    pub(crate) async fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script));
        let log = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&log), Arc::clone(&script)));
                connections.spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _closed = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wagate", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The ids of the records that were sent here, in their order.
    pub(crate) fn records(&self) -> Vec<String> {
        self.seen().into_iter().flat_map(|seen| seen.ids).collect()
    }

    pub(crate) async fn saw(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.seen.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "fewer than {count} requests");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<impl FnMut(&Seen) -> Reply>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(Response::default()) };
    let body = body.to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let ids = text.split(['[', ']', ',']).map(|id| id.trim_matches('"').to_owned());
    let seen = Seen {
        at: Instant::now(),
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        ids: ids.filter(|id| !id.is_empty()).collect(),
        body: body.clone(),
    };
    let reply = (script.lock().unwrap())(&seen);
    log.lock().unwrap().push(seen);
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(reply.body)).unwrap())
}
