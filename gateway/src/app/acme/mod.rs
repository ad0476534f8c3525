//! Certificates by ACME (RFC 8555): the public listener's is fetched and renewed in the background.
//!
//! [`keeper::Keeper`] looks at the certificate now and then; when [`policy::renewal`] says so it makes an
//! [`attempt::Attempt`], of which there is one at a time. What is come by lies in `tls/acme/` of the store
//! ([`folder`], [`kept`]; docs/formats/acme.md). Whatever the authority does, the certificate that there is stays in use.
//! Nothing here blocks the runtime: files are written on threads for that.

mod advice;
mod answers;
mod attempt;
mod failure;
mod folder;
mod http;
mod keeper;
mod kept;
mod status;
#[cfg(test)]
mod tests;
mod tools;

use std::path::Path;
use std::sync::Arc;

use ingress::{ListenerMetrics, Tls};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

pub(crate) use status::Status;

use self::answers::Answers;
use self::folder::{Folder, Found};
use self::keeper::Keeper;
use self::kept::{CERTIFICATE, Certificate, Wanted};
use self::tools::Tools;
use super::events::Events;
use crate::config::Acme;

/// The keeper of the certificate, as the rest of the gateway sees it.
#[derive(Clone)]
pub(crate) struct Handle {
    status: watch::Receiver<Status>,
    wake: Arc<Notify>,
    /// Why nobody listens at `http_listen`.
    deaf: Option<Arc<str>>,
}

impl Handle {
    /// How it stands.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// What a person should see to.
    pub(crate) fn alarms(&self) -> Vec<String> {
        self.status().alarms().into_iter().chain(self.deaf.as_deref().map(str::to_owned)).collect()
    }

    /// A person wants it looked after now.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }
}

/// A keeper that has loaded what is kept and hasn't begun.
pub(super) struct Ready {
    keeper: Keeper,
    answers: Answers,
    listener: Option<TcpListener>,
    handle: Handle,
}

impl Ready {
    /// Loads what is kept in `store` and shows the certificate that there is, however old: it is better than none.
    ///
    /// Where `http_listen` can't be bound an alarm says so, and names are proved at the public listener alone.
    pub(super) async fn open(
        acme: &Acme,
        store: &Path,
        tls: Tls,
        events: Events,
        registry: &mut Registry,
    ) -> Self {
        let (mut listener, mut deaf) = (None, None);
        if let Some(address) = acme.http_listen {
            match answers::bind(address).await {
                Ok(bound) => listener = Some(bound),
                Err(error) => {
                    let why = format!("`webhook.tls.acme.http_listen`: can't listen on {address}: {error}");
                    tracing::error!("{why}; names are proved on the public listener alone");
                    deaf = Some(why);
                }
            }
        }
        let answers = Answers::new(tls.clone());
        let (sender, status) = watch::channel(Status::default());
        let wake = Arc::new(Notify::new());
        let tools = Tools::new(acme, folder_in(store), answers.clone(), listener.is_some());
        let keeper = Keeper::load(tools, tls, events, sender, Arc::clone(&wake)).await;
        keeper.register(registry);
        Self { keeper, answers, listener, handle: Handle { status, wake, deaf: deaf.map(Into::into) } }
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until `stop`.
    pub(super) async fn run(self, metrics: ListenerMetrics, stopped: watch::Receiver<bool>) {
        let serving = async {
            if let Some(listener) = self.listener {
                self.answers.serve(listener, metrics, super::when_true(stopped.clone())).await;
            }
        };
        tokio::join!(serving, self.keeper.run(super::when_true(stopped.clone())));
    }
}

/// The chain (PEM) that is kept for the listener; else why there is none, in words. Blocks.
pub(crate) fn kept_chain(store: &Path) -> Result<String, String> {
    match folder_in(store).read::<Certificate>(CERTIFICATE) {
        Found::There(certificate) => Ok(certificate.chain),
        Found::Nothing => Err("there is none yet".to_owned()),
        Found::Spoilt(why) | Found::Unread(why) => Err(why),
    }
}

fn folder_in(store: &Path) -> Folder {
    Folder::new(store.join("tls/acme"))
}

fn wanted(acme: &Acme) -> Wanted {
    let mut names: Vec<String> = acme.domains.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    Wanted { directory: acme.directory.to_string(), names }
}
