//! Whether a CRM answers at all.

use std::sync::Arc;

use policy::failover::Answer;
use rustls::ClientConfig;
use rustls::client::Resumption;

use super::{Endpoint, said};
use crate::client::Clients;
use crate::http::{self, Address};
use crate::{ClientSettings, EgressError};

/// Asks one endpoint how it is, each time over a new connection: name, route and certificate are seen as they
/// are then. It is a plain GET: no record, no secret and no token go with it.
#[derive(Debug)]
pub struct Probe {
    address: Address,
    tls: Arc<ClientConfig>,
    settings: ClientSettings,
}

impl Probe {
    /// Of `path` on the endpoint's host (it begins with a slash and may hold a query), else of the endpoint's
    /// own URL.
    ///
    /// # Errors
    /// When nothing can be connected to under the name of the host, or a root certificate is none.
    pub fn new(endpoint: &Endpoint, path: Option<&str>, clients: &Clients) -> Result<Self, EgressError> {
        let settings = clients.settings_for(endpoint);
        let mut url = endpoint.url().clone();
        if let Some(path) = path {
            let (path, query) =
                path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            url.set_path(path);
            url.set_query(query);
        }
        let address =
            Address::of_get(&url, &settings.product).ok_or_else(|| EgressError::Host.of(endpoint))?;
        let mut tls = (*clients.tls_for(endpoint)?).clone();
        // Who goes on with an old session shows no certificate.
        tls.resumption = Resumption::disabled();
        Ok(Self { address, tls: Arc::new(tls), settings })
    }

    /// Asks once. Takes a request's time at most; best bounded by that of a probe.
    pub async fn ask(&self) -> Answer {
        let status = http::status(self.address.clone(), Arc::clone(&self.tls), &self.settings).await;
        if let Err(trouble) = &status {
            tracing::debug!(?trouble, "a probe of the CRM got no answer");
        }
        said::by_probe(status.ok())
    }
}
