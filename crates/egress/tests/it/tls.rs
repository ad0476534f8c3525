//! A CRM behind TLS, with a certificate of the store's own.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wagate_egress::{ClientSettings, Clients};

#[tokio::test]
async fn a_private_root_is_trusted_where_the_operator_says_so_and_nowhere_else() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = vec![0; 4_096];
            let _read = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        }
    });

    let mut settings = ClientSettings::new("wagate/0".to_owned(), 1);
    let stranger = Clients::new(settings.clone()).unwrap().client().unwrap();
    let error = stranger.get(&url).send().await.unwrap_err();
    assert!(error.is_connect(), "nothing is sent to a stranger: {error:?}");

    settings.extra_roots = cert.pem().into_bytes();
    let friend = Clients::new(settings).unwrap().client().unwrap();
    assert_eq!(friend.get(&url).send().await.unwrap().status(), 204);
    server.abort();
}
