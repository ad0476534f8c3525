//! `[webhook]`, its TLS and Meta's client certificate.

use std::net::{IpAddr, SocketAddr};

use ingress::proxy::Relays;
use reqwest::Url;

use super::super::reader::Section;
use super::super::types::{Acme, ClientAuth, ClientAuthMode, Tls, Webhook};
use super::super::values::{self, Fault};
use super::api::collide;
use super::{certificate_and_key, path, pem, secret, secrets};

pub(super) fn webhook(section: &Section<'_>) -> Option<Webhook> {
    let listen = section.read("listen", values::listen);
    let path = section.read("path", values::fixed_url_path);
    let public_url = section.read("public_url", values::public_url);
    if let (Some(url), Some(path)) = (&public_url, &path)
        && url.path() != path
    {
        let message = format!("this leads to {}, and the webhook is served at {path}", url.path());
        section.warn(
            "public_url",
            Fault::new(message).help("the same path, unless a relay in front of the box changes it"),
        );
    }
    let relays = relays(section);
    let verify_token = secret(section, "verify_token");
    let app_secret = secrets(section, "app_secret");
    let tls = tls(&section.section("tls"), listen);
    let client_auth = client_auth(&section.section("client_auth"));
    let asked = client_auth.as_ref().is_some_and(|auth| auth.mode != ClientAuthMode::Off);
    if asked && tls == Some(Tls::Off) {
        let fault = Fault::new("without tls no client can show a certificate");
        section.section("client_auth").mistake("mode", fault.help("mode = \"off\", or another kind of tls"));
        return None;
    }
    let path = path?;
    let public_url = if section.has("public_url") {
        Some(public_url?)
    } else {
        tls.as_ref().and_then(|tls| address_of(tls, &path))
    };
    Some(Webhook {
        listen: listen?,
        path,
        public_url,
        relays: relays?,
        verify_token: verify_token?,
        app_secret: app_secret?,
        tls: tls?,
        client_auth: client_auth?,
    })
}

fn relays(section: &Section<'_>) -> Option<Relays> {
    let relays = match section.read("relays", values::relays) {
        None if section.has("relays") => return None,
        relays => relays.unwrap_or_default(),
    };
    for wide in relays.iter().filter(|relay| relay.is_wide()) {
        let message = format!("every machine in {wide}, a network of the internet, may claim any address");
        section.warn("relays", Fault::new(message).help("the addresses of the relays alone"));
    }
    Some(relays.into_iter().collect())
}

/// The address that the certificate's first name gives; none if it is longer than Meta takes.
fn address_of(tls: &Tls, path: &str) -> Option<Url> {
    let Tls::Acme(acme) = tls else { return None };
    let url = Url::parse(&format!("https://{}{path}", acme.domains.first()?)).ok()?;
    (url.as_str().len() <= Webhook::PUBLIC_URL_MAX).then_some(url)
}

fn tls(section: &Section<'_>, listen: Option<SocketAddr>) -> Option<Tls> {
    let self_signed = section.read("self_signed", values::flag);
    let off_flag = section.read("off", values::flag);
    let kinds = [
        ("self_signed", self_signed == Some(true)),
        ("certificate", section.has("certificate")),
        ("acme", section.has("acme")),
        ("off", off_flag == Some(true)),
    ];
    let chosen: Vec<&str> = kinds.into_iter().filter_map(|(name, chosen)| chosen.then_some(name)).collect();
    if section.has("key") && !section.has("certificate") {
        let fault = Fault::new("a key without its `certificate`");
        section.mistake("key", fault.help("add certificate = \"cert.pem\""));
    }
    if section.has("ocsp") && !section.has("certificate") {
        let fault = Fault::new("an OCSP answer without its `certificate`");
        section.mistake("ocsp", fault.help("it stands beside certificate and key"));
    }
    for extra in chosen.iter().skip(1) {
        let message = format!("`{extra}` is one kind of tls, and `{}` is chosen already", chosen[0]);
        section.mistake(extra, Fault::new(message).help("keep exactly one"));
    }
    match chosen.first().copied() {
        Some("self_signed") => Some(Tls::SelfSigned),
        Some("certificate") => files(section),
        Some("acme") => acme(&section.section("acme"), listen).map(Tls::Acme),
        Some(_) => off(section, listen),
        None => {
            // A kind that is there but can't be read isn't forgotten.
            let unread = section.has("self_signed") && self_signed.is_none()
                || section.has("off") && off_flag.is_none();
            if !(unread || section.has("key")) {
                section.mistake_here(Fault::new("one kind of tls is required and missing").help(
                    "add to [webhook.tls] one of: self_signed = true, certificate and key, acme = { ... }, off = true",
                ));
            }
            None
        }
    }
}

fn files(section: &Section<'_>) -> Option<Tls> {
    let ocsp = path(section, "ocsp");
    if section.has("ocsp") && ocsp.is_none() {
        return None;
    }
    certificate_and_key(section).map(|(certificate, key)| Tls::Files { certificate, key, ocsp })
}

fn off(section: &Section<'_>, listen: Option<SocketAddr>) -> Option<Tls> {
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        section.mistake(
            "off",
            Fault::new(format!(
                "without tls `webhook.listen` has to be a loopback address, and it is {listen}"
            ))
            .help(format!("listen = \"127.0.0.1:{}\", or another kind of tls", listen.port())),
        );
        return None;
    }
    Some(Tls::Off)
}

/// Notes it where the listener for names that are proved on port 80 would be in the store side's way.
pub(super) fn apart(root: &Section<'_>, webhook: &Webhook, api: SocketAddr) {
    let Tls::Acme(Acme { http_listen: Some(http), .. }) = &webhook.tls else { return };
    if collide(*http, api) {
        let section = root.section("webhook").section("tls").section("acme");
        let fault = Fault::new(format!("`api.listen` is {api} already"));
        section.mistake("http_listen", fault.help("http_listen = \"0.0.0.0:80\""));
    }
}

fn acme(section: &Section<'_>, listen: Option<SocketAddr>) -> Option<Acme> {
    let domains = section.read("domains", values::texts);
    let contact = section.read("contact", values::contact);
    let directory = section.read("directory", values::url);
    let ca = pem(section, "ca", "CERTIFICATE");
    let http_listen = section.read("http_listen", values::listen);
    if let (Some(http), Some(listen)) = (http_listen, listen)
        && http.port() == listen.port()
    {
        let fault = Fault::new(format!("`webhook.listen` has port {} already", listen.port()));
        section.mistake("http_listen", fault.help("http_listen = \"0.0.0.0:80\""));
    }
    if !section.has("domains") {
        let fault = Fault::new("`domains` is required and missing");
        section.mistake("domains", fault.help("domains = [\"box.example.com\"]"));
    }
    for domain in domains.iter().flatten() {
        if let Err(fault) = values::host(domain) {
            section.mistake("domains", fault);
        } else if domain.parse::<IpAddr>().is_ok() {
            let fault = Fault::new(format!("{domain} is an address, and a certificate is for names"));
            section.mistake("domains", fault.help("domains = [\"box.example.com\"]"));
        }
    }
    if let Some(too_many) = domains.as_ref().map(Vec::len).filter(|names| *names > Acme::DOMAINS_MAX) {
        let fault = Fault::new(format!("these are {too_many} names, and a certificate has 100 at most"));
        section.mistake("domains", fault);
    }
    if directory.as_ref().is_some_and(|url| url.scheme() != "https") {
        section.mistake("directory", Fault::new("a certificate authority is asked by https only"));
    }
    Some(Acme { domains: domains?, contact, directory: directory?, ca, http_listen })
}

fn client_auth(section: &Section<'_>) -> Option<ClientAuth> {
    let modes = [ClientAuthMode::Off, ClientAuthMode::Optional, ClientAuthMode::Required];
    let mode = section.read("mode", values::choice).map(|choice| modes[choice]);
    let ca = match mode {
        Some(ClientAuthMode::Off) | None => path(section, "ca"),
        Some(ClientAuthMode::Optional | ClientAuthMode::Required) => pem(section, "ca", "CERTIFICATE"),
    };
    let name = section.read("name", values::text);
    if let Some(name) = &name
        && let Err(fault) = values::host(name)
    {
        section.mistake("name", fault);
    }
    Some(ClientAuth { mode: mode?, ca: ca?, name: name? })
}
