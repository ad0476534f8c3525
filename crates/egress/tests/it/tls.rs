//! A CRM behind TLS, with a certificate of the store's own.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use tokio_rustls::TlsAcceptor;
use wagate_egress::{ClientSettings, Clients, Mode};

use crate::journal::Memory;
use crate::raw::{Act, Raw, Then};
use crate::running::{Running, client, patient, settings, start_as};

pub(crate) fn acceptor(certificate: &CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    acceptor_with(certificate, key, ServerSessionMemoryCache::new(256))
}

/// Goes on with the sessions that it finds in `sessions`.
pub(crate) fn acceptor_with(
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
    sessions: Arc<dyn StoresServerSessions>,
) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.session_storage = sessions;
    TlsAcceptor::from(Arc::new(config))
}

async fn crm(certificate: &CertificateDer<'static>, key: &KeyPair) -> Raw {
    Raw::start_at("127.0.0.1:0", Some(acceptor(certificate, key)), |_| Act::ok()).await.unwrap()
}

fn trusting(root: &str) -> ClientSettings {
    ClientSettings { extra_roots: root.as_bytes().to_vec(), ..patient() }
}

fn start(journal: &Arc<Memory>, crm: &Raw, client: ClientSettings) -> Running {
    let render = |record: &model::Record| format!("\"{}\"", record.item.id).into_bytes();
    let url = format!("https://{}/", crm.address);
    start_as(journal, &url, settings(Mode::Realtime), Arc::new(render), client)
}

#[tokio::test]
async fn records_go_through_one_handshake() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let crm = crm(cert.der(), &signing_key).await;
    let journal = Memory::new();
    let running = start(&journal, &crm, trusting(&cert.pem()));
    for _ in 0..20 {
        journal.append("a");
    }
    journal.left(0).await;
    assert_eq!((crm.saw().connections, crm.saw().ids.len()), (1, 20));
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_to_whom_the_certificate_does_not_name_or_no_longer() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let stranger = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let elsewhere = generate_simple_self_signed(["127.0.0.2".to_owned()]).unwrap();
    let mut old = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    old.not_after = date_time_ymd(2020, 1, 1);
    old.not_before = date_time_ymd(2019, 1, 1);
    let old_key = KeyPair::generate().unwrap();
    let old = old.self_signed(&old_key).unwrap();
    for (certificate, key, root) in [
        (cert.der(), &signing_key, stranger.cert.pem()),
        (elsewhere.cert.der(), &elsewhere.signing_key, elsewhere.cert.pem()),
        (old.der(), &old_key, old.pem()),
    ] {
        let crm = crm(certificate, key).await;
        let journal = Memory::new();
        let mut running = start(&journal, &crm, trusting(&root));
        journal.append("a");
        running.status.wait_for(|status| status.consecutive_failures > 1).await.unwrap();
        let error = running.status.borrow().last_error.clone().unwrap();
        assert!(error.starts_with("no TLS: invalid peer certificate"), "{error}");
        assert!(running.metrics().contains(r#"result="no_connection"} "#));
        assert!(crm.saw().ids.is_empty(), "nothing was sent");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_is_no_connection() {
    let crm = Raw::start(|_| Act::new("", Then::Hold)).await;
    let journal = Memory::new();
    let mut running = start(&journal, &crm, client());
    journal.append("a");
    running.status.wait_for(|status| status.consecutive_failures > 0).await.unwrap();
    assert_eq!(running.status.borrow().last_error.as_deref(), Some("no connection in time"));
    running.stop().await;
}

#[tokio::test]
async fn the_general_client_trusts_the_same() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let acceptor = acceptor(cert.der(), &signing_key);
    let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let crm = Raw::start_at("127.0.0.1:0", Some(acceptor), move |_| Act::new(answer, Then::Close));
    let crm = crm.await.unwrap();
    let url = format!("https://{}/", crm.address);
    let stranger = Clients::new(patient()).unwrap().client().unwrap();
    let error = stranger.post(&url).body("").send().await.unwrap_err();
    assert!(error.is_connect(), "nothing is sent to a stranger: {error:?}");
    let friend = Clients::new(trusting(&cert.pem())).unwrap().client().unwrap();
    assert_eq!(friend.post(&url).body("x").send().await.unwrap().status(), 204);
}
