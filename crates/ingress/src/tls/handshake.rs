//! The handshake of one connection, with settings that fit what the client asks for.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::client::{ClientAuth, Clients, Known};
use super::tickets::Tickets;
use super::{Tls, TlsError, config};

/// Bytes of chance in the name by which the box calls itself.
const OWN_NAME_BYTES: usize = 16;

/// Settings that ask for a client certificate.
#[derive(Clone)]
pub(super) struct Asking {
    config: Arc<ServerConfig>,
    pub(super) clients: Arc<Clients>,
    own_name: Arc<str>,
}

impl Tls {
    /// Asks clients for a certificate from now on; for before the listener runs.
    ///
    /// # Errors
    /// When the CA file holds none that can be used, or the system gives no randomness.
    pub fn asking(mut self, auth: &ClientAuth) -> Result<Self, TlsError> {
        let provider = &self.shared.provider;
        // Keys of its own: a ticket from where nobody is asked opens nothing here.
        let tickets = Arc::new(Tickets::new().map_err(TlsError::Setup)?);
        let clients = Arc::new(Clients::open(auth, Arc::clone(provider), Arc::clone(&tickets))?);
        let config = config(provider, &self.shared.resolver, tickets, Some(Arc::clone(&clients)))?;
        let mut chance = [0; OWN_NAME_BYTES];
        provider
            .secure_random
            .fill(&mut chance)
            .map_err(|_| TlsError::Setup(rustls::Error::FailedToGetRandomBytes))?;
        let name: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        let own_name = format!("{name}.invalid").into();
        self.asking = Some(Asking { config: Arc::new(config), clients, own_name });
        Ok(self)
    }

    /// Judges client certificates by what `time` knows of now; until this is called nothing is known. The first call
    /// counts.
    pub fn judge_clients_by(&self, time: impl Fn() -> Known + Send + Sync + 'static) {
        if let Some(asking) = &self.asking {
            asking.clients.judge_by(Box::new(time));
        }
    }

    /// What a person should see to about client certificates.
    pub(super) fn client_alarms(&self) -> Vec<String> {
        self.asking.as_ref().map(|asking| asking.clients.alarms()).unwrap_or_default()
    }

    /// The name to ask for (SNI) where this process calls itself, so that it needs no client certificate: only it
    /// knows the name. `None` where nobody needs one.
    #[must_use]
    pub fn own_name(&self) -> Option<String> {
        self.asking.as_ref().map(|asking| asking.own_name.to_string())
    }

    /// Does the handshake; the caller bounds the time. `None`: it was an authority that looked whether a name is ours
    /// (`acme-tls/1`, RFC 8737), has seen so, and was seen out; it needs no client certificate.
    ///
    /// # Errors
    /// When the client speaks no TLS, or none that is taken, or has no right to come in, or hangs up.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let challenges = self.shared.challenges.as_ref();
        if let Some(config) =
            challenges.and_then(|asked| asked.answer(&start.client_hello(), &self.shared.provider))
        {
            start.into_stream(config).await?.shutdown().await?;
            return Ok(None);
        }
        let (config, clients) = self.config_for(&start.client_hello());
        let stream = start.into_stream(config).await;
        let Some(clients) = clients else { return stream.map(Some) };
        match stream {
            Ok(stream) => clients.welcome(stream.get_ref().1).map(|()| Some(stream)),
            Err(error) => {
                clients.refused(&error);
                Err(error)
            }
        }
    }

    /// The settings for who says `hello`, since rustls binds to them whether a client certificate is asked for, and
    /// which protocols are spoken; and who judges the certificate, where it is.
    fn config_for(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, Option<&Clients>) {
        match &self.asking {
            Some(asking) if hello.server_name() != Some(&asking.own_name) => {
                (Arc::clone(&asking.config), Some(&asking.clients))
            }
            _ => (Arc::clone(&self.config), None),
        }
    }
}
