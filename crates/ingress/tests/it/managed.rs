//! A certificate that is handed over, and what an authority is shown that asks whether a name is ours.

use std::io;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wagate_ingress::{ClientAuth, ConnectionLimits, RequestLimits, Source, Tls, TlsError, Transport, Whom};

use crate::credulous::AnyServer;
use crate::support::*;

const NAME: &str = "box.example.com";

/// The DER of the extension that the digest stands in, critical: RFC 8737, section 3.
fn extension(digest: [u8; 32]) -> Vec<u8> {
    let oid_and_mark = [0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1F, 0x01, 0x01, 0xFF];
    [&oid_and_mark[..], &[0x04, 0x22, 0x04, 0x20], &digest].concat()
}

fn made() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap()
}

/// Connects as an onlooker.
async fn look(
    door: &Door,
    name: &str,
    alpn: &[&[u8]],
    version: &'static SupportedProtocolVersion,
) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, door.connect().await).await
}

fn shown(stream: &TlsStream<tokio::net::TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn door() -> (Tls, Door) {
    let tls = Tls::open(&Source::Managed).unwrap();
    let transport = Transport::Tls(tls.clone());
    (tls, Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await)
}

#[tokio::test]
async fn without_a_certificate_handshakes_fail_and_with_one_they_do_not() {
    let (tls, door) = door().await;
    for version in [&TLS12, &TLS13] {
        let error = look(&door, NAME, &[b"http/1.1"], version).await.unwrap_err();
        assert!(error.to_string().contains("alert"), "said, not cut: {error}");
    }
    until(|| door.listener().ended("handshake_failed") == 2).await;
    assert_eq!((tls.certificate(), tls.expires()), (None, None));
    assert!(!tls.reload_if_changed().unwrap(), "there are no files to look after");

    let (first, second) = (made(), made());
    tls.install(&first.cert.pem(), &first.signing_key.serialize_pem()).unwrap();
    let mut open = look(&door, NAME, &[b"http/1.1"], &TLS13).await.unwrap();
    assert_eq!(shown(&open), *first.cert.der());
    tls.install(&second.cert.pem(), &second.signing_key.serialize_pem()).unwrap();
    assert_eq!(shown(&look(&door, "anything", &[b"h2"], &TLS13).await.unwrap()), *second.cert.der());
    open.write_all(&signed(b"{}")).await.unwrap();
    let mut answer = [0; 12];
    open.read_exact(&mut answer).await.unwrap();
    assert_eq!(status(std::str::from_utf8(&answer).unwrap()), 200, "open connections go on");
}

#[tokio::test]
async fn what_is_no_chain_with_its_key_is_refused_and_the_old_one_stays() {
    let (tls, _door) = door().await;
    let (good, other) = (made(), made());
    let key = good.signing_key.serialize_pem();
    tls.install(&good.cert.pem(), &key).unwrap();
    for (chain, key) in [
        ("", key.as_str()),
        ("nothing", &key),
        (&good.cert.pem(), ""),
        (&good.cert.pem(), &other.signing_key.serialize_pem()),
    ] {
        let refused = tls.install(chain, key).unwrap_err();
        assert!(matches!(refused, TlsError::Unusable(_)), "{refused}");
        assert_eq!(Tls::check(chain, key).unwrap_err().to_string(), refused.to_string());
    }
    assert_eq!(tls.certificate().unwrap(), good.cert.der().to_vec());
}

#[tokio::test]
async fn an_authority_is_shown_its_certificate_and_nobody_else_is() {
    let (tls, door) = door().await;
    let acme: &[u8] = b"acme-tls/1";
    let digest = [7; 32];
    let challenge = tls.challenge("Box.Example.com", &digest).unwrap();
    for version in [&TLS12, &TLS13] {
        let mut stream = look(&door, NAME, &[acme], version).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(acme));
        let seen = shown(&stream);
        assert!(
            seen.windows(49).any(|part| part == extension(digest)),
            "the digest, in a critical extension"
        );
        let mut rest = Vec::new();
        let _ = stream.write_all(&signed(b"{}")).await;
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "nothing is served behind it");
    }
    until(|| door.listener().ended("challenge") == 2).await;
    // Another name, company for the protocol, or no certificate for everybody yet: turned away.
    let others: [(&str, &[&[u8]]); 4] =
        [("other.example.com", &[acme]), (NAME, &[acme, b"h2"]), (NAME, &[b"h2", acme]), (NAME, &[b"h2"])];
    for (name, alpn) in others {
        look(&door, name, alpn, &TLS13).await.unwrap_err();
    }
    let good = made();
    tls.install(&good.cert.pem(), &good.signing_key.serialize_pem()).unwrap();
    for (name, alpn) in &others[1..] {
        let stream = look(&door, name, alpn, &TLS13).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(shown(&stream), *good.cert.der());
    }
    look(&door, "other.example.com", &[acme], &TLS13).await.unwrap_err();
    drop(challenge);
    look(&door, NAME, &[acme], &TLS13).await.unwrap_err();
    assert!(door.shelf.bodies().is_empty());
}

#[tokio::test]
async fn the_box_itself_gets_in_before_there_is_a_certificate_and_strangers_do_not() {
    let (tls, door) = door().await;
    let (name, own) = tls.inside().unwrap();
    assert_eq!(shown(&look(&door, &name, &[b"http/1.1"], &TLS13).await.unwrap()).to_vec(), own);
    look(&door, NAME, &[b"http/1.1"], &TLS13).await.unwrap_err();
    let good = made();
    tls.install(&good.cert.pem(), &good.signing_key.serialize_pem()).unwrap();
    assert_eq!(shown(&look(&door, &name, &[b"http/1.1"], &TLS13).await.unwrap()), *good.cert.der());
}

#[tokio::test]
async fn only_a_managed_certificate_is_proved_this_way() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    assert!(matches!(tls.challenge(NAME, &[0; 32]), Err(TlsError::Unusable(_))));
}

#[tokio::test]
async fn an_authority_and_the_box_itself_need_no_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = root.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    let auth = ClientAuth { whom: Whom::Meta, required: true, ca, name: Some("client.example".to_owned()) };
    let tls = Tls::open(&Source::Managed).unwrap().asking(&auth).unwrap();
    let transport = Transport::Tls(tls.clone());
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let _challenge = tls.challenge(NAME, &[7; 32]).unwrap();
    look(&door, NAME, &[b"acme-tls/1"], &TLS12).await.unwrap();
    until(|| door.listener().ended("challenge") == 1).await;
    let (name, own) = tls.inside().unwrap();
    assert_eq!(shown(&look(&door, &name, &[b"http/1.1"], &TLS12).await.unwrap()).to_vec(), own);
    let good = made();
    tls.install(&good.cert.pem(), &good.signing_key.serialize_pem()).unwrap();
    look(&door, NAME, &[b"http/1.1"], &TLS12).await.unwrap_err();
}
