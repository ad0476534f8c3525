//! Where Meta reaches this box.

use reqwest::Url;

use crate::config::{Config, Tls};

/// The address of the webhook as Meta calls it; `None` where the configuration doesn't tell.
pub(super) fn public_url(config: &Config) -> Option<Url> {
    let Tls::Acme(acme) = &config.webhook.tls else { return None };
    Url::parse(&format!("https://{}{}", acme.domains.first()?, config.webhook.path)).ok()
}
