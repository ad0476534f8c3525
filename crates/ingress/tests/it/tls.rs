//! Certificates: made, loaded, replaced.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::WallTime;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wagate_ingress::{ConnectionLimits, RequestLimits, Source, Tls, TlsError, Transport};

use crate::support::*;

pub(crate) fn self_signed() -> (TempDir, Transport) {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    (folder, Transport::Tls(tls))
}

/// Connects as somebody who trusts the certificate in `pem` and no other.
pub(crate) async fn client(
    door: &Door,
    pem: &Path,
    alpn: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    handshake(door.connect().await, pem, alpn, versions).await
}

/// The same over a connection that is there.
pub(crate) async fn over_tls(stream: TcpStream, pem: &Path) -> io::Result<TlsStream<TcpStream>> {
    handshake(stream, pem, b"http/1.1", &[&TLS13]).await
}

async fn handshake(
    stream: TcpStream,
    pem: &Path,
    alpn: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn door(transport: Transport) -> Door {
    Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await
}

async fn post_over(mut stream: TlsStream<TcpStream>, request: &[u8]) -> u16 {
    stream.write_all(request).await.unwrap();
    let mut bytes = [0; 12];
    stream.read_exact(&mut bytes).await.unwrap();
    status(std::str::from_utf8(&bytes).unwrap())
}

#[tokio::test]
async fn webhooks_come_over_both_versions_of_tls() {
    let (folder, transport) = self_signed();
    let door = door(transport).await;
    for version in [&TLS12, &TLS13] {
        let stream =
            client(&door, &folder.path().join("self_signed.pem"), b"http/1.1", &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(post_over(stream, &signed(b"{}")).await, 200);
    }
    assert_eq!(door.shelf.bodies().len(), 2);
}

#[tokio::test]
async fn the_self_signed_certificate_survives_a_restart() {
    let (folder, first) = self_signed();
    let before = fs::read(folder.path().join("self_signed.pem")).unwrap();
    drop(first);
    Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    assert_eq!(fs::read(folder.path().join("self_signed.pem")).unwrap(), before);
}

#[tokio::test]
async fn who_does_not_speak_tls_is_sent_away() {
    let (_folder, transport) = self_signed();
    let connections =
        ConnectionLimits { handshake_time: Duration::from_millis(50), ..ConnectionLimits::default() };
    let door = Door::over(transport, connections, RequestLimits::default()).await;
    let mut plain = door.connect().await;
    plain.write_all(&signed(b"{}")).await.unwrap();
    let mut silent = door.connect().await;
    let mut bytes = Vec::new();
    let _ = silent.read_to_end(&mut bytes).await;
    until(|| door.listener().open() == 0).await;
    assert_eq!(door.listener().ended("handshake_failed"), 1);
    assert_eq!(door.listener().ended("handshake_timeout"), 1);
    assert!(door.shelf.bodies().is_empty());
}

/// A certificate and key in two files, made anew at each call of [`Pair::write`].
struct Pair(TempDir);

impl Pair {
    fn new() -> Self {
        let pair = Self(tempfile::tempdir().unwrap());
        pair.write(2030);
        pair
    }

    fn write(&self, last_year: i32) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap().pem();
        // By renaming, as those who renew do it: the time of change alone is coarse.
        for (path, pem) in [(self.certificate(), certificate), (self.key(), key.serialize_pem())] {
            let draft = path.with_extension("new");
            fs::write(&draft, pem).unwrap();
            fs::rename(draft, path).unwrap();
        }
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> std::path::PathBuf {
        self.0.path().join("key.pem")
    }

    fn source(&self) -> Source {
        Source::Files { certificate: self.certificate(), key: self.key(), ocsp: None }
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_old_ones_stay() {
    let pair = Pair::new();
    let tls = Tls::open(&pair.source()).unwrap();
    let door = door(Transport::Tls(tls.clone())).await;
    let old = client(&door, &pair.certificate(), b"http/1.1", &[&TLS13]).await.unwrap();
    assert!(!tls.reload_if_changed().unwrap(), "nothing has changed");

    pair.write(2031);
    assert!(client(&door, &pair.certificate(), b"http/1.1", &[&TLS13]).await.is_err(), "not loaded yet");
    assert!(tls.reload_if_changed().unwrap());
    assert_eq!(tls.expires().unwrap().rfc3339_seconds(), "2031-01-01T00:00:00Z");
    let new = client(&door, &pair.certificate(), b"http/1.1", &[&TLS13]).await.unwrap();
    assert_eq!(post_over(new, &signed(b"1")).await, 200);
    assert_eq!(post_over(old, &signed(b"2")).await, 200);
}

#[tokio::test]
async fn what_cannot_be_used_leaves_the_old_certificate_and_is_said() {
    let pair = Pair::new();
    let trusted = pair.0.path().join("first.pem");
    fs::copy(pair.certificate(), &trusted).unwrap();
    let tls = Tls::open(&pair.source()).unwrap();
    let door = door(Transport::Tls(tls.clone())).await;
    let other = Pair::new();
    let garbage: [(&str, &dyn Fn()); 6] = [
        ("empty", &|| fs::write(pair.certificate(), "").unwrap()),
        ("bytes", &|| fs::write(pair.certificate(), [0xFF; 5000]).unwrap()),
        ("not DER", &|| {
            let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            fs::write(pair.certificate(), pem).unwrap();
        }),
        ("another's key", &|| fs::copy(other.key(), pair.key()).map(drop).unwrap()),
        ("no key", &|| fs::write(pair.key(), "none").unwrap()),
        ("gone", &|| fs::remove_file(pair.certificate()).unwrap()),
    ];
    for (what, spoil) in garbage {
        spoil();
        tls.reload_if_changed().expect_err(what);
        tls.reload_if_changed().expect_err("it's tried again until it is mended");
        assert!(tls.fault().is_some(), "{what}");
        tls.show(WallTime::from_seconds(0));
        assert!(
            exposition(|registry| tls.register(registry)).contains("wagate_certificate_fault 1"),
            "{what}"
        );
        let stream = client(&door, &trusted, b"http/1.1", &[&TLS13]).await.expect(what);
        assert_eq!(post_over(stream, &signed(b"{}")).await, 200);
        pair.write(2032);
        assert!(tls.reload_if_changed().unwrap(), "{what}");
        assert_eq!(tls.fault(), None);
        fs::copy(pair.certificate(), &trusted).unwrap();
    }
}

#[tokio::test]
async fn a_start_without_a_usable_certificate_says_which_file() {
    let pair = Pair::new();
    fs::remove_file(pair.key()).unwrap();
    let refused = Tls::open(&pair.source()).unwrap_err();
    assert!(matches!(&refused, TlsError::Unreadable(path, _) if *path == pair.key()));
    assert!(refused.to_string().contains("key.pem"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_watch_finds_a_new_certificate_by_itself() {
    let pair = Pair::new();
    let tls = Tls::open(&pair.source()).unwrap();
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let now = || WallTime::from_seconds(1_893_456_000 - 60);
    tokio::spawn(tls.clone().watch(now, async {
        let _ = stopped.await;
    }));
    until(|| {
        exposition(|registry| tls.register(registry)).contains("wagate_certificate_expiry_seconds 60\n")
    })
    .await;
    pair.write(2031);
    until(|| tls.expires().unwrap().rfc3339_seconds() == "2031-01-01T00:00:00Z").await;
    until(|| exposition(|registry| tls.register(registry)).contains("wagate_certificate_loads_total 2\n"))
        .await;
}

#[tokio::test]
async fn metrics_have_the_contracts_names() {
    let door = Door::open().await;
    door.exchange(&signed(b"{}")).await;
    door.exchange(&post("", b"{}")).await;
    let text = exposition(|registry| door.metrics.register(registry));
    for line in [
        "wagate_webhooks_total{result=\"accepted\"} 1",
        "wagate_webhooks_total{result=\"unsigned\"} 1",
        "wagate_ack_seconds_count 1",
        "wagate_unsigned_addresses 1",
        "wagate_webhook_requests_in_flight 0",
        "wagate_webhook_body_bytes_in_flight 0",
        "wagate_connections_open{listener=\"webhook\"}",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("certificate"), "there is none:\n{text}");
}

#[tokio::test]
async fn sessions_are_resumed_over_both_versions_and_by_a_new_certificate_too() {
    let pair = Pair::new();
    let tls = Tls::open(&pair.source()).unwrap();
    let door = door(Transport::Tls(tls.clone())).await;
    for version in [&TLS12, &TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pair.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let (mut full, mut resumed) = (0, 0);
        for number in 0..10 {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::clone(&config));
            let mut stream = connector.connect(name, door.connect().await).await.unwrap();
            stream.write_all(&signed(b"{}")).await.unwrap();
            let mut bytes = [0; 12];
            stream.read_exact(&mut bytes).await.unwrap();
            match stream.get_ref().1.handshake_kind().unwrap() {
                HandshakeKind::Resumed => resumed += 1,
                HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => full += 1,
            }
            if number == 5 {
                // Only the file is another: who resumes isn't shown the certificate again.
                tls.reload().unwrap();
            }
        }
        assert_eq!((full, resumed), (1, 9), "{version:?}");
    }
}
