//! One file per part of the configuration: which keys it has, and how they go together.

mod api;
mod cards;
mod network;
mod numbers;
mod outward;
mod plain;
mod roots;
mod standby;
mod webhook;

use super::reader::{Entry, Section};
use super::secret::SecretSource;
use super::types::Config;
use super::values::Fault;
use super::{Secret, Severity, values};

pub(super) use cards::cards;

/// Reads everything. `None`: something is wrong, and has been noted.
pub(super) fn config(root: &Section<'_>) -> Option<Config> {
    let store = plain::store(&root.section("store"));
    let webhook = webhook::webhook(&root.section("webhook"));
    let api = api::api(&root.section("api"), webhook.as_ref().map(|webhook| webhook.listen));
    if let (Some(webhook), Some(api)) = (&webhook, &api) {
        webhook::apart(root, webhook, api.listen);
    }
    let numbers = numbers::numbers(root);
    let whatsapp = outward::whatsapp(&root.section("whatsapp"), numbers.as_deref());
    if let (Some(numbers), Some(whatsapp)) = (&numbers, &whatsapp) {
        numbers::together(root, numbers, whatsapp);
    }
    let crm = outward::crm(&root.section("crm"));
    let standby = standby::standby(&root.section("standby"), webhook.as_ref());
    let costs = plain::costs(&root.section("costs"));
    let clock = plain::clock(&root.section("clock"));
    let log = plain::log(&root.section("log"));
    let network = network::network(&root.section("network"));
    Some(Config {
        store: store?,
        webhook: webhook?,
        api: api?,
        numbers: numbers?,
        whatsapp: whatsapp?,
        crm: crm?,
        standby: standby?,
        costs: costs?,
        clock: clock?,
        log: log?,
        network: network?,
    })
}

/// A file or folder; a relative one lies in the folder of the configuration.
fn path(section: &Section<'_>, name: &str) -> Option<std::path::PathBuf> {
    section.read(name, values::text).map(|text| section.reader.source.base.join(text))
}

/// A PEM file that has to be there and to hold a block of the right kind.
fn pem(section: &Section<'_>, name: &str, label: &str) -> Option<std::path::PathBuf> {
    let path = path(section, name)?;
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("-----BEGIN ") && text.contains(&format!("{label}-----")) => Some(path),
        Ok(_) => {
            section.mistake(
                name,
                Fault::new(format!("{} holds no {}", path.display(), label.to_lowercase()))
                    .help(format!("a PEM file with \"-----BEGIN ... {label}-----\"")),
            );
            None
        }
        Err(error) => {
            let reason = super::secret::reason(&error);
            section.mistake(name, Fault::new(format!("can't read {}: {reason}", path.display())));
            None
        }
    }
}

/// The files of a listener's certificate, both of them.
fn certificate_and_key(section: &Section<'_>) -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let certificate = pem(section, "certificate", "CERTIFICATE");
    if !section.has("key") {
        let fault = Fault::new("a certificate without its `key`");
        section.mistake("certificate", fault.help("add key = \"key.pem\""));
    }
    let key = pem(section, "key", "PRIVATE KEY");
    Some((certificate?, key?))
}

/// A secret that may be any text.
fn secret(section: &Section<'_>, name: &str) -> Option<Secret> {
    one_secret(section, name, &Entry { value: section.raw(name)?, place: None })
}

/// A secret that travels in a header: visible ASCII.
fn header_secret(section: &Section<'_>, name: &str) -> Option<Secret> {
    secret(section, name).filter(|secret| fits_a_header(section, name, secret))
}

/// The same, one or a list of two.
fn header_secrets(section: &Section<'_>, name: &str) -> Option<Vec<Secret>> {
    secrets(section, name).filter(|secrets| secrets.iter().all(|secret| fits_a_header(section, name, secret)))
}

fn fits_a_header(section: &Section<'_>, name: &str, secret: &Secret) -> bool {
    let fits = secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        section.mistake(
            name,
            Fault::new("a header can't carry this secret")
                .help("visible ASCII characters only: no blank, no second line, nothing accented"),
        );
    }
    fits
}

/// One secret, a list of one or two, or, where the key isn't there, none.
fn secrets(section: &Section<'_>, name: &str) -> Option<Vec<Secret>> {
    let value = section.raw(name)?;
    let Some(entries) = value.get_ref().as_array() else {
        return one_secret(section, name, &Entry { value, place: None }).map(|secret| vec![secret]);
    };
    if entries.is_empty() || entries.len() > 2 {
        let fault = Fault::new(format!("this is a list of {}", entries.len()));
        section.mistake(name, fault.help("one secret, or two while one replaces the other"));
        return None;
    }
    // All of them are read before one of them may count: each may have its own mistake.
    let read: Vec<Option<Secret>> = entries
        .iter()
        .enumerate()
        .map(|(place, value)| one_secret(section, name, &Entry { value, place: Some(place) }))
        .collect();
    read.into_iter().collect()
}

fn one_secret(section: &Section<'_>, name: &str, entry: &Entry<'_>) -> Option<Secret> {
    let Some(text) = entry.value.get_ref().as_str() else {
        let fault =
            Fault::new("a secret is named by text in quotes").help(format!("such as \"file:{name}\""));
        section.note_entry(Severity::Mistake, name, entry, fault);
        return None;
    };
    match SecretSource::parse(text, &section.reader.source.base).read(section.reader.env) {
        Ok(read) => {
            for doubt in read.warnings {
                let fault = Fault::new(doubt.message).help(doubt.help);
                section.note_entry(Severity::Warning, name, entry, fault);
            }
            Some(read.secret)
        }
        Err(message) => {
            section.note_entry(Severity::Mistake, name, entry, Fault::new(message));
            None
        }
    }
}
