//! The handshake of a connection.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;

impl Tls {
    /// Shakes hands over `io`. `None`: it was an authority that looked whether the name is ours (`acme-tls/1`, RFC
    /// 8737), it has seen so, and the connection has been closed.
    pub(crate) async fn accept<IO>(&self, io: IO) -> io::Result<Option<TlsStream<IO>>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(challenges) = &self.shared.challenges else {
            return self.acceptor.accept(io).await.map(Some);
        };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        if let Some(config) = challenges.answer(&hello.client_hello(), &self.shared.provider) {
            hello.into_stream(config).await?.shutdown().await?;
            return Ok(None);
        }
        hello.into_stream(Arc::clone(self.acceptor.config())).await.map(Some)
    }
}
