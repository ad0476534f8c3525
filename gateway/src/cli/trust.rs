//! TLS of the operator's commands with a running gateway: which certificate they take, which one they show.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use egress::Clients;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::Target;
use crate::onlooker::{ANOTHER, judging_by};

/// A client for the gateway at `target`.
///
/// # Errors
/// When a certificate can't be read or used: the message names the file.
pub(super) fn client(clients: &Clients, target: &Target) -> anyhow::Result<reqwest::Client> {
    if target.url.scheme() != "https" {
        return Ok(clients.client()?);
    }
    let mut tls = match &target.certificate {
        Some(file) => pinned(file).with_context(|| cannot(file))?,
        None => clients.tls(),
    };
    if let Some(file) = &target.client_certificate {
        let key = own(&tls, file).with_context(|| cannot(file))?;
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
    }
    Ok(clients.client_over(tls)?)
}

/// What is wrong where a gateway answers and TLS with it fails, and what to do, by the words of the error and its causes;
/// `None`: it's something else.
pub(super) fn refusal(words: &str) -> Option<[&'static str; 2]> {
    let says = |alerts: &[&str]| alerts.iter().any(|alert| words.contains(&format!("fatal alert: {alert}")));
    if words.contains(ANOTHER) {
        Some([
            "what answers shows another certificate than the one on disk",
            "see the log (`journalctl -u wagate`): where the files were exchanged and the new ones can't be used, the old \
             certificate stays in use; `--certificate FILE` takes the one in FILE",
        ])
    } else if says(&["CertificateRequired"]) {
        Some([
            "the gateway wants a client certificate",
            "name one in `api.client_auth.operator`, or give --client-certificate FILE",
        ])
    } else if says(&[
        "BadCertificate",
        "CertificateExpired",
        "CertificateUnknown",
        "UnknownCA",
        "AccessDenied",
    ]) {
        Some([
            "the gateway doesn't take our client certificate",
            "renew the one in `api.client_auth.operator`, or give --client-certificate FILE",
        ])
    } else {
        None
    }
}

fn cannot(file: &Path) -> String {
    format!("the certificate in {} can't be used", file.display())
}

/// Takes the certificate in this file and no other, whatever names and dates it bears: the file is the gateway's own.
fn pinned(file: &Path) -> anyhow::Result<ClientConfig> {
    let pem = std::fs::read(file)?;
    let own = CertificateDer::pem_slice_iter(&pem).next().ok_or_else(|| anyhow!("there is none in it"))??;
    let tls = judging_by(move |shown| *shown == own)?;
    Ok((*tls).clone())
}

/// Certificate and key to show, both in this file.
fn own(tls: &ClientConfig, file: &Path) -> anyhow::Result<CertifiedKey> {
    let pem = std::fs::read(file)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&pem)?;
    Ok(CertifiedKey::from_der(chain, key, tls.crypto_provider())?)
}
