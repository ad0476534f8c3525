//! What a start opens before anything can run: store, certificate, addresses.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use ingress::Tls;
use records::Numbers;
use store::{FolderDisk, Store};
use tokio::net::TcpListener;

use super::board::Below;
use super::journal::{self, StoreJournal};
use super::panics;
use crate::config::{self, Config};

pub(super) async fn open_store(
    config: &Config,
    below: &Below,
) -> anyhow::Result<(Arc<StoreJournal>, Arc<Store>)> {
    let options = store::Options {
        segment_bytes: config.store.log_segment,
        segments: config.store.log_segments,
        max_bytes: config.store.max_size,
        // A small log, on a small disk, is folded a segment at a time, too.
        fold_bytes: config.store.log_segment,
        history: config.store.history,
        deliver: !config.crm.endpoints.is_empty(),
        keep_format: below.keep_format(),
        // The start reads what was kept.
        hold_folds: true,
        ..store::Options::default()
    };
    panics::note_those_of_the_index(config.store.path.clone());
    let path = config.store.path.clone();
    let (tail, on_durable) = journal::tail();
    let opened = tokio::task::spawn_blocking(move || {
        let disk = FolderDisk::new(&path)?;
        Store::open(Arc::new(disk), options, on_durable)
    })
    .await?;
    if let Err(error) = &opened {
        below.cannot_open(error).await;
    }
    let store =
        opened.with_context(|| format!("the store in {} can't be opened", config.store.path.display()))?;
    let store = Arc::new(store);
    Ok((Arc::new(StoreJournal::new(Arc::clone(&store), tail)), store))
}

pub(super) fn open_tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    let source = match &config.webhook.tls {
        config::Tls::Off => return Ok(None),
        config::Tls::SelfSigned => ingress::Source::SelfSigned(tls_folder(&config.store.path)),
        config::Tls::Files { certificate, key, ocsp } => {
            ingress::Source::Files { certificate: certificate.clone(), key: key.clone(), ocsp: ocsp.clone() }
        }
        config::Tls::Acme(_) => ingress::Source::Managed,
    };
    let tls = Tls::open(&source).context("there is no usable certificate for the public listener")?;
    let Some(asked) = config.webhook.client_auth.asked() else { return Ok(Some(tls)) };
    Ok(Some(tls.asking(&asked).context("`webhook.client_auth.ca`: no client could be let in")?))
}

/// The certificate of the store side, and who has to show one to it; `None`: it speaks plain HTTP.
pub(super) fn open_api_tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    let source = match &config.api.tls {
        config::ApiTls::Off => return Ok(None),
        config::ApiTls::SelfSigned { names } => {
            let mut names = names.clone();
            let listen = config.api.listen.ip();
            if !(listen.is_unspecified() || listen.is_loopback()) {
                names.push(listen.to_string());
            }
            ingress::Source::SelfSignedFor { folder: api_tls_folder(&config.store.path), names }
        }
        config::ApiTls::Files { certificate, key } => {
            ingress::Source::Files { certificate: certificate.clone(), key: key.clone(), ocsp: None }
        }
    };
    let tls = Tls::open(&source).context("there is no usable certificate for the store side, `[api.tls]`")?;
    let Some(asked) = config.api.client_auth.asked() else { return Ok(Some(tls)) };
    Ok(Some(tls.asking(&asked).context("`api.client_auth.ca`: no program could be let in")?))
}

/// Where the store side's own certificate is kept. Apart from the public one: whoever trusts one of them needn't
/// trust the other.
pub(crate) fn api_tls_folder(store: &Path) -> std::path::PathBuf {
    tls_folder(store).join("api")
}

fn tls_folder(store: &Path) -> std::path::PathBuf {
    store.join("tls")
}

pub(super) fn numbers(config: &Config) -> Numbers {
    let known = config.numbers.iter();
    known.map(|number| (number.phone_number_id.clone(), number.phone.clone().unwrap_or_default())).collect()
}

pub(super) async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("`{key}`: can't listen on {address}"))
}
