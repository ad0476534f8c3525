//! The other box, as it is asked for a sign of life.

use std::error::Error;
use std::io;

use egress::{ClientSettings, Clients};
use reqwest::Url;
use rustls::AlertDescription;

use crate::app::product;
use crate::config::Standby;

/// Asks the peer.
pub(crate) struct Peer {
    clients: Clients,
    url: Url,
}

impl Peer {
    /// # Errors
    /// When TLS can't be set up.
    pub(super) fn new(standby: &Standby) -> anyhow::Result<Self> {
        let settings = ClientSettings {
            connect_timeout: standby.timeout,
            request_timeout: standby.timeout,
            extra_roots: standby.ca.as_ref().map(|roots| roots.pem.clone()).unwrap_or_default(),
            ..ClientSettings::new(product(), 0)
        };
        Ok(Self { clients: Clients::new(settings)?, url: standby.peer.clone() })
    }

    /// Whether it gives a sign of life, over a connection and names of its own: any answer under 500, or that it wants a
    /// client certificate, which only Meta has. `None` where it can't even be asked, which says nothing of the peer.
    pub(super) async fn answers(&self) -> Option<bool> {
        let client = self
            .clients
            .client()
            .inspect_err(|error| tracing::error!(%error, "the peer box can't be asked"))
            .ok()?;
        // The client has an end to its patience, from the name to the answer.
        let answer = client.get(self.url.clone()).send().await;
        match &answer {
            Ok(answer) => tracing::debug!(status = answer.status().as_u16(), "the peer has answered"),
            Err(error) => tracing::debug!(%error, "the peer hasn't answered"),
        }
        Some(match answer {
            Ok(answer) => answer.status().as_u16() < 500,
            Err(error) => wants_a_certificate(&error),
        })
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }
}

/// Whether the other side has shown a certificate that is right, and ended the handshake for want of ours.
fn wants_a_certificate(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = within.and_then(|within| within.downcast_ref::<rustls::Error>());
        if matches!(tls, Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired))) {
            return true;
        }
        cause = error.source();
    }
    false
}
