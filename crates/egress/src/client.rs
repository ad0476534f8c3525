//! The one constructor of HTTP clients: the general one, and the one of deliveries.

use std::sync::{Arc, Mutex, PoisonError};
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

/// Makes clients, those that trust the same with one TLS configuration. Clones share them.
#[derive(Debug, Clone)]
pub struct Clients {
    settings: ClientSettings,
    tls: Arc<ClientConfig>,
    /// Of endpoints with roots of their own: as many as there are such at most.
    others: Arc<Mutex<Vec<Trust>>>,
}

#[derive(Debug)]
struct Trust {
    roots: Vec<u8>,
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
        Ok(Self { settings, tls: Arc::new(tls), others: Arc::default() })
    }

    /// The client of deliveries to `endpoint`; it has its own connections.
    ///
    /// # Errors
    /// When nothing can be connected to under the name of the host, or a root certificate is none.
    pub(crate) fn poster(&self, endpoint: &Endpoint) -> Result<http::Client, EgressError> {
        let address = http::Address::new(endpoint.url(), &self.settings.product);
        let address = address.ok_or_else(|| EgressError::Host.of(endpoint))?;
        Ok(http::Client::new(address, self.tls_for(endpoint)?, &self.settings_for(endpoint)))
    }

    pub(crate) fn settings_for(&self, endpoint: &Endpoint) -> ClientSettings {
        let request_timeout = endpoint.timeout().unwrap_or(self.settings.request_timeout);
        ClientSettings { request_timeout, extra_roots: Vec::new(), ..self.settings.clone() }
    }

    /// Whom a client of `endpoint` trusts.
    ///
    /// # Errors
    /// When a root certificate of the endpoint is none.
    pub(crate) fn tls_for(&self, endpoint: &Endpoint) -> Result<Arc<ClientConfig>, EgressError> {
        let roots = endpoint.roots();
        if roots.is_empty() {
            return Ok(Arc::clone(&self.tls));
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trust) = others.iter().find(|trust| trust.roots == roots) {
            return Ok(Arc::clone(&trust.tls));
        }
        // The endpoint's come first: it's them that an error counts.
        let all = [roots, b"\n", &self.settings.extra_roots].concat();
        let tls = tls::config(&all).map_err(|error| error.of(endpoint))?;
        let tls = Arc::new(tls);
        others.push(Trust { roots: roots.to_vec(), tls: Arc::clone(&tls) });
        Ok(tls)
    }

    /// A general client of its own, with its own connections, that goes by the system's DNS settings as they are.
    ///
    /// It follows no redirect, heeds no proxy of the environment, and speaks HTTP/1.1: with a
    /// connection per request in flight, one that hangs holds up nothing but itself.
    ///
    /// # Errors
    /// When the settings don't go together.
    pub fn client(&self) -> Result<reqwest::Client, EgressError> {
        self.client_over(self.tls())
    }

    /// What [`Self::client`] trusts whom by, to be changed and handed to [`Self::client_over`].
    #[must_use]
    pub fn tls(&self) -> ClientConfig {
        (*self.tls).clone()
    }

    /// As [`Self::client`], with another idea of whom to trust and what to show.
    ///
    /// # Errors
    /// As there.
    pub fn client_over(&self, tls: ClientConfig) -> Result<reqwest::Client, EgressError> {
        let settings = &self.settings;
        Ok(reqwest::Client::builder()
            .user_agent(&settings.product)
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(http::Resolver(Arc::new(http::Names::of_the_system()))))
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
        let bad = settings.extra_roots.clone();
        let error = Clients::new(settings).unwrap_err();
        assert!(error.to_string().starts_with("root certificate 1 in the file"), "{error}");
        let clients = Clients::new(ClientSettings::new("wagate/0".to_owned(), 1)).unwrap();
        let endpoint = Endpoint::new("backup", "https://crm.store.lan").unwrap().with_roots(bad);
        let error = clients.poster(&endpoint).unwrap_err();
        assert!(error.to_string().starts_with("endpoint backup: root certificate 1 in"), "{error}");
    }

    #[test]
    fn who_trusts_the_same_shares_it_and_each_has_its_own_time() {
        let clients = Clients::new(ClientSettings::new("wagate/0".to_owned(), 1)).unwrap();
        let root = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            made.cert.pem().into_bytes()
        };
        let (one, other) = (root("a"), root("b"));
        let endpoint = |name| Endpoint::new(name, "https://crm.store.lan").unwrap();
        let of = |endpoint: Endpoint| clients.tls_for(&endpoint).unwrap();
        assert!(Arc::ptr_eq(&of(endpoint("a")), &of(endpoint("b"))));
        let with = of(endpoint("a").with_roots(one.clone()));
        assert!(Arc::ptr_eq(&with, &of(endpoint("b").with_roots(one))));
        assert!(!Arc::ptr_eq(&with, &of(endpoint("b").with_roots(other))));
        assert!(!Arc::ptr_eq(&with, &of(endpoint("a"))));
        let short = Duration::from_secs(3);
        assert_eq!(clients.settings_for(&endpoint("a").with_timeout(short)).request_timeout, short);
        assert_eq!(clients.settings_for(&endpoint("a")).request_timeout, REQUEST_TIMEOUT);
    }
}
