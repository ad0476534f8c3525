//! What stands before an authority and says when it wants a certificate renewed (RFC 9773); Debian's `pebble` doesn't.

use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Hands everything on to the authority, and adds what that lacks.
pub(crate) struct Advisor {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    /// From when to when a certificate is to be renewed; `None`: the authority has no such thing.
    window: Option<[&'static str; 2]>,
    asked_for: Vec<String>,
    replaced: Vec<String>,
}

impl Advisor {
    /// Listens at a port of 127.0.0.1; the authority is at another one.
    pub(crate) async fn start(at: u16, authority: u16, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", at)).await.unwrap();
        let told: Arc<Mutex<Told>> = Arc::default();
        let between = Between { at, authority, told: Arc::clone(&told) };
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Who doesn't believe the certificate leaves.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let Some(request) = Heard::read(&mut stream).await else { continue };
                let answer = between.answer(request).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { told, task }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// From now on every certificate is to be renewed between these.
    pub(crate) fn advise(&self, window: [&'static str; 2]) {
        self.told().window = Some(window);
    }

    /// The certificates that were asked about, as RFC 9773 calls them.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        self.told().asked_for.clone()
    }

    /// The certificates that orders said they replace.
    pub(crate) fn replaced(&self) -> Vec<String> {
        self.told().replaced.clone()
    }
}

impl Drop for Advisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request as far as it matters here.
struct Heard {
    method: Method,
    path: String,
    body: Vec<u8>,
}

impl Heard {
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
                if bytes.len() >= end + 4 + length {
                    let first = String::from_utf8_lossy(&bytes[..end]).into_owned();
                    let mut words = first.split(' ').map(str::to_owned);
                    let (method, path) = (words.next()?.parse().ok()?, words.next()?);
                    return Some(Self { method, path, body: bytes.split_off(end + 4) });
                }
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// What a signed request says.
    fn payload(&self) -> Option<Value> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body["payload"].as_str()?).ok()?).ok()
    }
}

struct Between {
    at: u16,
    authority: u16,
    told: Arc<Mutex<Told>>,
}

impl Between {
    async fn answer(&self, heard: Heard) -> Vec<u8> {
        let replaced = heard.payload().and_then(|payload| payload["replaces"].as_str().map(str::to_owned));
        let window = {
            let mut told = self.told.lock().unwrap();
            told.replaced.extend(replaced.clone());
            if let Some(certificate) = heard.path.strip_prefix("/info/") {
                told.asked_for.push(certificate.to_owned());
            }
            told.window
        };
        if heard.path.starts_with("/info/")
            && let Some([start, end]) = window
        {
            let info = json!({ "suggestedWindow": { "start": start, "end": end } });
            return said("200 OK", "", info.to_string().as_bytes());
        }
        let is_directory = heard.path == "/dir";
        let Some((status, headers, mut body)) = self.ask(heard).await else {
            return said("503 Service Unavailable", "", b"");
        };
        let mut add = |name: &str, value: String| {
            let mut object: Value = serde_json::from_slice(&body).unwrap();
            object[name] = value.into();
            body = object.to_string().into_bytes();
        };
        if is_directory && window.is_some() {
            add("renewalInfo", format!("https://{}/info", self.host()));
        }
        // Who takes such an order says so.
        if let Some(replaced) = replaced {
            add("replaces", replaced);
        }
        said(&status, &headers, &body)
    }

    /// The authority's own answer, if it is there.
    async fn ask(&self, heard: Heard) -> Option<(String, String, Vec<u8>)> {
        let client = Client::builder().tls_backend_preconfigured(super::accept_any()).no_proxy().http1_only();
        let url = format!("https://127.0.0.1:{}{}", self.authority, heard.path);
        // It calls everything by the name that it is called by.
        let request = client.build().unwrap().request(heard.method, url).header("host", self.host());
        let request = request.header("content-type", "application/jose+json").body(heard.body);
        let answer = request.send().await.ok()?;
        let handed_on = ["content-type", "location", "link", "replay-nonce", "retry-after"];
        let mut headers = String::new();
        for name in handed_on {
            for value in answer.headers().get_all(name) {
                headers.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
            }
        }
        let status = answer.status().to_string();
        Some((status, headers, answer.bytes().await.ok()?.to_vec()))
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.at)
    }
}

/// An answer, and nothing behind it.
fn said(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
