//! The handshake of one connection.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::turns::Turns;

impl Tls {
    /// Does the handshake; the caller bounds the time. A stranger waits for one of `turns` once it has said what it
    /// wants, and before that costs more than reading it.
    ///
    /// # Errors
    /// When the client speaks no TLS, or none that is taken, or hangs up.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        turns: Option<&Turns>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = Arc::clone(&self.config);
        let Some(turns) = turns else { return start.into_stream(config).await };
        turns.wait().await;
        // The call itself does the costly part, the signature, and has to be counted.
        turns.timed(async { start.into_stream(config).await }).await
    }
}
