//! The certificates of both sides, from the start to the end.

use ingress::{Tls, Transport};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::opening::{open_api_tls, open_tls};
use super::{sending, when_true};
use crate::clock;
use crate::config::Config;

/// What each side shows, where it speaks TLS.
pub(super) struct Certificates {
    pub(super) public: Option<Tls>,
    pub(super) api: Option<Tls>,
}

impl Certificates {
    /// Reads or makes them.
    ///
    /// # Errors
    /// When one that is configured can't be used; the message says which.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { public: open_tls(config)?, api: open_api_tls(config)? })
    }

    /// Shows them in the metrics, and looks after their files until the end.
    pub(super) fn watch(
        &self,
        registry: &mut Registry,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        self.public.iter().for_each(|tls| tls.register(registry));
        self.api.iter().for_each(|tls| tls.register_api(registry));
        let watched = self.each().cloned().map(|tls| {
            tls.show(clock::now());
            let told = stopped.clone();
            tokio::spawn(async move { tls.watch(clock::now, when_true(told)).await })
        });
        watched.collect()
    }

    /// Judges the clients' certificates by what is known of now.
    pub(super) fn judge_clients_by(&self, status: &watch::Receiver<sending::Status>) {
        for tls in self.each() {
            let status = status.clone();
            tls.judge_clients_by(move || status.borrow().known());
        }
    }

    /// How the public side and the store side speak.
    pub(super) fn transports(&self) -> (Transport, Transport) {
        let speaks = |tls: &Option<Tls>| tls.clone().map_or(Transport::Plain, Transport::Tls);
        (speaks(&self.public), speaks(&self.api))
    }

    fn each(&self) -> impl Iterator<Item = &Tls> {
        self.public.iter().chain(&self.api)
    }
}
