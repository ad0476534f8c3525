//! TLS towards a box with a certificate of its own making.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that believes every certificate.
pub(crate) fn accept_any() -> ClientConfig {
    ClientConfig::clone(&simulate::whatsapp::danger_accept_any_certificate().unwrap())
}

/// A connection to the public side, for bytes that no HTTP client would send.
pub(crate) async fn connect(port: u16) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(simulate::whatsapp::danger_accept_any_certificate().unwrap())
        .connect(name, tcp)
        .await
        .unwrap()
}

/// The certificate that a box shows.
pub(crate) async fn peer_certificate(port: u16) -> Vec<u8> {
    let stream = connect(port).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}
