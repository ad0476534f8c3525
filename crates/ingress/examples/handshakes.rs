//! What a TLS handshake costs the thread that answers Meta, whole and resumed: `handshakes [COUNT]`.
//!
//! The listener has a thread of its own, and what is told is that thread's time on a processor, so that the client's
//! share doesn't count. Each handshake comes with one wrong request and its answer, since tickets follow behind.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use wagate_ingress::{ConnectionLimits, Metrics, Source, Tls, Transport, serve};

/// Handshakes of each kind, unless told otherwise.
const COUNT: u32 = 2_000;

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(COUNT);
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    let pem = folder.path().join("self_signed.pem");
    for (name, version) in [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)] {
        let [whole, resumed] =
            [false, true].map(|resume| cost(&tls, &config(&pem, version, resume), count, resume));
        let ratio = whole.as_secs_f64() / resumed.as_secs_f64();
        println!(
            "{name}: whole {} us, resumed {} us, {ratio:.1} to 1",
            whole.as_micros(),
            resumed.as_micros()
        );
    }
}

fn config(
    pem: &std::path::Path,
    version: &'static SupportedProtocolVersion,
    resume: bool,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Arc::new(config)
}

/// The listener's time for one handshake.
fn cost(tls: &Tls, config: &Arc<ClientConfig>, count: u32, resume: bool) -> Duration {
    let (address, told) = mpsc::sync_channel(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let transport = Transport::Tls(tls.clone());
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(listener.local_addr().unwrap()).unwrap();
            let answer = |_, _| async { Response::new(Empty::<Bytes>::new()) };
            let metrics = Metrics::default().listener("handshakes");
            let stop = async {
                let _ = stopped.await;
            };
            serve(listener, transport, ConnectionLimits::default(), metrics, answer, stop).await;
        });
        on_processor()
    });
    let address = told.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for number in 0..count {
            let kind = shake(address, config).await;
            assert_eq!(kind == HandshakeKind::Resumed, resume && number > 0);
        }
    });
    stop.send(()).unwrap();
    server.join().unwrap() / count
}

async fn shake(address: SocketAddr, config: &Arc<ClientConfig>) -> HandshakeKind {
    let stream = TcpStream::connect(address).await.unwrap();
    // Else a second small write waits for 40 ms, and the listener comes back to cold caches.
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n").await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    stream.get_ref().1.handshake_kind().unwrap()
}

/// The time that this thread has had on a processor: the first figure of `schedstat`, in nanoseconds.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
