//! What SIGHUP replaces: secrets and certificates.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use egress::SigningSecrets;
use ingress::{Credentials, Tls, Webhook};
use model::signature::hub::AppSecret;
use model::signature::standard_webhooks::SigningSecret;

use super::access::Access;
use super::admit::StoreAdmit;
use crate::config::{Config, Secret};

/// What Meta shows in its handshake, replaceable while it is used: it goes to Meta with a callback.
pub(crate) type VerifyToken = Arc<RwLock<Secret>>;

/// What the box signs a webhook to itself with, likewise: the first app secret.
pub(super) type OwnAppSecret = Arc<RwLock<Secret>>;

/// The holders of everything secret.
pub(super) struct Secrets {
    webhook: Arc<Webhook<StoreAdmit>>,
    signing: SigningSecrets,
    access: Access,
    verify_token: VerifyToken,
    app_secret: OwnAppSecret,
    tls: Option<Tls>,
    api_tls: Option<Tls>,
}

impl Secrets {
    pub(super) fn new(
        config: &Config,
        webhook: Arc<Webhook<StoreAdmit>>,
        tls: Option<Tls>,
        api_tls: Option<Tls>,
    ) -> anyhow::Result<Self> {
        let signing = SigningSecrets::new(signing(config)?);
        let held = |secret: &Secret| Arc::new(RwLock::new(secret.clone()));
        let (access, verify_token) = (Access::new(&config.api), held(&config.webhook.verify_token));
        let app_secret = config.webhook.app_secret.first().map(held).context("there is no app secret")?;
        Ok(Self { webhook, signing, access, verify_token, app_secret, tls, api_tls })
    }

    pub(super) fn signing(&self) -> SigningSecrets {
        self.signing.clone()
    }

    pub(super) fn access(&self) -> Access {
        self.access.clone()
    }

    pub(super) fn verify_token(&self) -> VerifyToken {
        Arc::clone(&self.verify_token)
    }

    pub(super) fn app_secret(&self) -> OwnAppSecret {
        Arc::clone(&self.app_secret)
    }

    #[cfg(test)]
    pub(super) fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// Takes over the secrets of `config`, all or none.
    pub(super) fn replace(&self, config: &Config) {
        match credentials(config).and_then(|credentials| Ok((credentials, signing(config)?))) {
            Ok((credentials, signing)) => {
                self.webhook.replace(credentials);
                self.signing.replace(signing);
                self.access.replace(&config.api);
                let webhook = &config.webhook;
                let held = [(&self.verify_token, &webhook.verify_token)];
                let first = webhook.app_secret.first().map(|secret| (&self.app_secret, secret));
                for (held, new) in held.into_iter().chain(first) {
                    *held.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
                }
                tracing::info!("secrets read again");
            }
            Err(error) => tracing::error!(%error, "the new secrets can't be used; the old ones stay"),
        }
    }

    /// Reads the certificates again; what can't be used is said there, and the old one stays.
    pub(super) fn reload_certificates(&self) {
        for tls in [&self.tls, &self.api_tls].into_iter().flatten() {
            let _ = tls.reload();
        }
    }
}

pub(super) fn credentials(config: &Config) -> anyhow::Result<Credentials> {
    let secrets = config.webhook.app_secret.iter().map(|secret| AppSecret::new(secret.expose().as_bytes()));
    Credentials::new(config.webhook.verify_token.expose().as_bytes().to_vec(), secrets.collect())
        .context("the webhook's secrets can't be used")
}

fn signing(config: &Config) -> anyhow::Result<Vec<SigningSecret>> {
    let secrets = config.crm.signing_secret.iter();
    secrets.map(|secret| SigningSecret::parse(secret.expose()).context("`crm.signing_secret`")).collect()
}
