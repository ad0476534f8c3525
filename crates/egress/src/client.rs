//! The one constructor of HTTP clients: the general one, and the one of deliveries.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::{EgressError, Endpoint, http, tls};

/// Time to connect, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole request, from the connection to the end of the answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is kept so long: less than the 5 s after which Node.js and Apache hang up,
/// for a request that crosses the hang-up would have to be repeated.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The `User-Agent`, such as `wagate/0.1.0`.
    pub product: String,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// Idle connections kept per host: as many as there are requests in flight.
    pub idle_connections: usize,
    /// Root certificates of the operator in PEM, on top of the ordinary ones; may be empty.
    pub extra_roots: Vec<u8>,
}

impl ClientSettings {
    /// The defaults.
    #[must_use]
    pub const fn new(product: String, idle_connections: usize) -> Self {
        Self {
            product,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            idle_connections,
            extra_roots: Vec::new(),
        }
    }
}

/// Makes clients that share one TLS configuration.
#[derive(Debug, Clone)]
pub struct Clients {
    settings: ClientSettings,
    tls: Arc<ClientConfig>,
}

impl Clients {
    /// Reads the root certificates: those of the system, or, on a system that has none, the ones
    /// of Mozilla that are compiled in.
    ///
    /// # Errors
    /// When a root certificate of the operator is none, or TLS can't be set up.
    pub fn new(settings: ClientSettings) -> Result<Self, EgressError> {
        let tls = tls::config(&settings.extra_roots)?;
        Ok(Self { settings, tls: Arc::new(tls) })
    }

    /// The client of deliveries to `endpoint`; it has its own connections.
    ///
    /// # Errors
    /// When nothing can be connected to under the name of the host.
    pub(crate) fn poster(&self, endpoint: &Endpoint) -> Result<http::Client, EgressError> {
        let address = http::Address::new(endpoint.url(), &self.settings.product).ok_or(EgressError::Host)?;
        Ok(http::Client::new(address, Arc::clone(&self.tls), &self.settings))
    }

    /// A general client of its own, with its own connections, that reads the system's DNS settings anew.
    ///
    /// It follows no redirect, heeds no proxy of the environment, and speaks HTTP/1.1: with a
    /// connection per request in flight, one that hangs holds up nothing but itself.
    ///
    /// # Errors
    /// When the settings don't go together.
    pub fn client(&self) -> Result<reqwest::Client, EgressError> {
        let settings = &self.settings;
        Ok(reqwest::Client::builder()
            .user_agent(&settings.product)
            .tls_backend_preconfigured((*self.tls).clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.idle_connections)
            .tcp_nodelay(true)
            .build()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_none_is_named_by_its_place() {
        let mut settings = ClientSettings::new("wagate/0".to_owned(), 1);
        Clients::new(settings.clone()).unwrap().client().unwrap();
        settings.extra_roots = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
        let error = Clients::new(settings).unwrap_err();
        assert!(error.to_string().starts_with("root certificate 1 in the file"), "{error}");
    }
}
