//! What a listener shows, whatever it's worth.

use std::io;
use std::net::{SocketAddr, TcpStream};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, Error};

use super::super::world::ANSWER_WITHIN;
use crate::onlooker::judging_by;

/// Connects to `address`, asks for `host` (for no name where that is none) and gives the chain that is
/// shown; else what is wrong, in words. Nothing is sent but the handshake. Blocks.
pub(super) fn look(address: SocketAddr, host: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut stream =
        TcpStream::connect_timeout(&address, ANSWER_WITHIN).map_err(|error| unreachable(&error))?;
    stream
        .set_read_timeout(Some(ANSWER_WITHIN))
        .and_then(|()| stream.set_write_timeout(Some(ANSWER_WITHIN)))
        .map_err(|error| unreachable(&error))?;
    // It's judged afterwards, and nothing is sent to whoever shows it.
    let config = judging_by(|_| true).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_owned()).unwrap_or(ServerName::IpAddress(address.ip().into()));
    let mut connection =
        ClientConnection::new(config, name).map_err(|error| format!("TLS fails: {error}"))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| unreachable(&error))?;
    }
    Ok(connection.peer_certificates().map(<[_]>::to_vec).unwrap_or_default())
}

fn unreachable(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        return "connection refused".to_owned();
    }
    // A socket's time being up comes as either.
    if [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock].contains(&kind) {
        return format!("no answer within {} s", ANSWER_WITHIN.as_secs());
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(tls) => format!("TLS fails: {tls}"),
        None => "the connection breaks off".to_owned(),
    }
}

#[cfg(test)]
pub(in super::super) mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use rcgen::{CertificateParams, Issuer, KeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// A chain of two for loopback, and a listener that shows it to the first who asks.
    pub(in super::super::super) fn showing() -> (Vec<CertificateDer<'static>>, SocketAddr) {
        let named = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (key, above) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let middle = named("middle").self_signed(&above).unwrap().der().clone();
        let own = named("127.0.0.1").signed_by(&key, &Issuer::new(named("middle"), above)).unwrap();
        let chain = vec![own.der().clone(), middle];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            // Whoever refuses the certificate ends it.
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        });
        (chain, address)
    }

    #[test]
    fn the_whole_chain_is_seen_whatever_it_is_worth() {
        for host in ["", "127.0.0.1", "box.example.com"] {
            let (chain, address) = showing();
            assert_eq!(look(address, host).as_ref(), Ok(&chain), "{host:?}");
        }
    }

    #[test]
    fn what_speaks_no_tls_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let stream = listener.accept().unwrap().0;
            let _ = (&stream).read(&mut [0; 4096]);
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let why = look(address, "box.example.com").unwrap_err();
        assert!(why.starts_with("TLS fails: "), "{why}");
        thread.join().unwrap();
        assert_eq!(look(address, "box.example.com"), Err("connection refused".to_owned()));
    }
}
