//! `WAGATE_CONFINE=1`: the gateway gives up what it doesn't need, before it has a second thread.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use board::confine;

use crate::app;
use crate::config::{ApiTls, Loaded, Tls};

/// Confines the process to what `loaded` needs, where that was asked for.
///
/// # Errors
/// When the kernel refuses what it says that it can, or the store's folder can't be made.
pub(super) fn confine_if_asked(loaded: &Loaded) -> anyhow::Result<()> {
    if !confine::is_asked() {
        return Ok(());
    }
    let config = &loaded.config;
    let store = &config.store.path;
    // What isn't there can't be opened up; and afterwards nobody may make it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(store)
        .with_context(|| format!("the folder {} can't be made", store.display()))?;
    let mut ports = vec![config.webhook.listen.port(), config.api.listen.port()];
    if let Tls::Acme(acme) = &config.webhook.tls {
        ports.extend(acme.http_listen.map(|address| address.port()));
    }
    // The supervisor starts a new gateway when it is started again itself, and there must be one only.
    let has_supervisor = std::env::var_os(board::paths::SOCKET_ENV).is_some();
    let base = &loaded.source().base;
    let confined = confine::gateway(store, base, &read_again(loaded), &ports, has_supervisor)
        .context("this process can't be confined")?;
    tracing::info!("{confined}");
    for missing in confined.missing() {
        tracing::error!("{missing}");
    }
    app::note_unconfined(confined.missing());
    Ok(())
}

/// Where things lie that are read again while the program runs: certificates, authorities and secrets. By their folders, for they
/// are replaced by others of the same name.
fn read_again(loaded: &Loaded) -> Vec<PathBuf> {
    let mut files = Vec::new();
    match &loaded.config.webhook.tls {
        Tls::Files { certificate, key, ocsp } => {
            files.extend([certificate, key].into_iter().chain(ocsp).cloned());
        }
        Tls::Acme(acme) => files.extend(acme.ca.clone()),
        Tls::SelfSigned | Tls::Off => {}
    }
    files.extend(loaded.config.webhook.client_auth.asked().map(|asked| asked.ca));
    let api = &loaded.config.api;
    if let ApiTls::Files { certificate, key } = &api.tls {
        files.extend([certificate.clone(), key.clone()]);
    }
    files.extend(api.client_auth.ca.clone());
    let source = loaded.source();
    if let Ok(table) = source.text.parse::<toml::Table>() {
        referred(&toml::Value::Table(table), &mut |file| files.push(source.base.join(file)));
    }
    files.iter().map(|file| folder_of(file)).collect()
}

/// Every `file:` in a configuration.
fn referred(value: &toml::Value, found: &mut impl FnMut(&str)) {
    match value {
        toml::Value::String(text) => {
            if let Some(file) = text.strip_prefix("file:") {
                found(file);
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|value| referred(value, found)),
        toml::Value::Table(table) => table.values().for_each(|value| referred(value, found)),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

/// The folder of a file; the file alone where that is one that holds everybody's.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if ![Path::new("/"), Path::new("/etc"), Path::new("")].contains(&folder) => {
            folder.to_owned()
        }
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_is_opened_by_its_folder_but_not_all_of_etc() {
        let text = "[api]\ntoken = \"file:token\"\n[webhook]\napp_secret = [\"file:/srv/keys/a\", \"env:B\"]\n\
                    [[crm.endpoints]]\nname = \"file:/etc/c\"\n";
        let mut found = Vec::new();
        referred(&toml::Value::Table(text.parse().unwrap()), &mut |file| {
            found.push(folder_of(&Path::new("/data/config/current").join(file)));
        });
        found.sort();
        assert_eq!(found, ["/data/config/current", "/etc/c", "/srv/keys"].map(PathBuf::from));
    }
}
