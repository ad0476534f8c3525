//! What attempts are made with.

use std::path::PathBuf;
use std::time::Duration;

use egress::{ClientSettings, Clients};
use instant_acme::CertificateIdentifier;

use super::answers::{Answers, Proof};
use super::attempt::Attempt;
use super::failure::Failure;
use super::folder::{Folder, Found};
use super::http::Caller;
use super::kept::{ACCOUNT, Account, Wanted};
use crate::app::delivery::product;
use crate::clock;
use crate::config::Acme;

/// For one call of the authority.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// What the configuration wants, and what serves it.
pub(super) struct Tools {
    pub(super) wanted: Wanted,
    contact: Option<String>,
    ca: Option<PathBuf>,
    pub(super) folder: Folder,
    answers: Answers,
    /// There is a listener for [`Proof::Http`].
    has_http: bool,
}

impl Tools {
    pub(super) fn new(acme: &Acme, folder: Folder, answers: Answers, has_http: bool) -> Self {
        Self {
            wanted: super::wanted(acme),
            contact: acme.contact.clone(),
            ca: acme.ca.clone(),
            folder,
            answers,
            has_http,
        }
    }

    /// What the authority calls the account that is kept, if it has said.
    pub(super) async fn account(&self) -> Option<String> {
        let folder = self.folder.clone();
        let read = tokio::task::spawn_blocking(move || folder.read::<Account>(ACCOUNT)).await;
        // A file that is spoilt is told where another account is made for it.
        let Ok(Found::There(account)) = read else { return None };
        account.url.filter(|_| account.directory == self.wanted.directory)
    }

    /// A client that lives for as long as it's needed: the roots of the world are in memory a few times a year.
    ///
    /// # Errors
    /// When the file of the extra root can't be used.
    pub(super) async fn caller(&self) -> Result<Caller, Failure> {
        let ca = self.ca.clone();
        let made = tokio::task::spawn_blocking(move || {
            let mut settings = ClientSettings::new(product(), 1);
            settings.request_timeout = CALL_WITHIN;
            if let Some(ca) = ca {
                settings.extra_roots = std::fs::read(ca).map_err(|error| error.to_string())?;
            }
            Clients::new(settings).and_then(|clients| clients.client()).map_err(|error| error.to_string())
        });
        match made.await {
            Ok(Ok(http)) => Ok(Caller::new(http)),
            Ok(Err(why)) => Err(Failure::own(&format!("no client for the authority: {why}"))),
            Err(error) => Err(Failure::own(&error)),
        }
    }

    /// An attempt, after so many proofs that failed.
    ///
    /// # Errors
    /// As for [`Tools::caller`].
    pub(super) async fn attempt(
        &self,
        proofs_failed: u32,
        replaces: Option<(CertificateIdentifier<'static>, String)>,
        over: Option<String>,
    ) -> Result<Attempt, Failure> {
        let caller = self.caller().await?;
        let speaks = caller.clone();
        // The other way may do better, where there is one. Whoever opened port 80 has a reason to.
        let http = self.has_http && proofs_failed.is_multiple_of(2);
        Ok(Attempt {
            wanted: self.wanted.clone(),
            contact: self.contact.clone(),
            folder: self.folder.clone(),
            answers: self.answers.clone(),
            caller,
            http: Box::new(move || Box::new(speaks.clone())),
            proof: if http { Proof::Http } else { Proof::Tls },
            replaces,
            over,
            now: clock::now,
        })
    }
}
