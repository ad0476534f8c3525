//! The handshake of one connection, with settings that fit what the client asks for.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;

impl Tls {
    /// Does the handshake; the caller bounds the time.
    ///
    /// # Errors
    /// When the client speaks no TLS, or none that is taken, or hangs up.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = self.config_for(&start.client_hello());
        start.into_stream(config).await
    }

    /// The settings for who says `hello`: rustls binds whether a client certificate is asked for, and which
    /// protocols are spoken, to these.
    fn config_for(&self, _hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
