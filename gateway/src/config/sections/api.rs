//! `[api]`: the store side, its clients, its TLS.

use std::net::{IpAddr, SocketAddr};

use super::super::Secret;
use super::super::reader::Section;
use super::super::types::{Api, ApiClient, ApiClientAuth, ApiTls, ClientAuthMode, Scope, Scopes};
use super::super::values::{self, Fault};
use super::{certificate_and_key, header_secrets, path, pem};

pub(super) fn api(section: &Section<'_>, public: Option<SocketAddr>) -> Option<Api> {
    let token = header_secrets(section, "token");
    long_enough(section, token.as_deref());
    let clients = clients(section);
    if let (Some(token), Some(clients)) = (&token, &clients) {
        each_once(section, token, clients);
    }
    let listen = section.read("listen", values::listen);
    let tls_section = section.section("tls");
    let tls = tls(&tls_section);
    let client_auth = client_auth(&section.section("client_auth"), tls.as_ref());
    let listen = listen?;
    if public.is_some_and(|public| collide(public, listen)) {
        let at = public.map_or(String::new(), |public| public.to_string());
        section.mistake(
            "listen",
            Fault::new(format!("`webhook.listen` is {at} already"))
                .help("give the two sides different ports"),
        );
        return None;
    }
    if !listen.ip().is_loopback() && tls == Some(ApiTls::Off) {
        section.warn(
            "listen",
            Fault::new("the token and the customers' messages cross this network in plain HTTP")
                .help("[api.tls], a loopback address, or a network that the store trusts"),
        );
    }
    Some(Api { listen, token: token?, clients: clients?, tls: tls?, client_auth: client_auth? })
}

/// Warns of a token that could be found by trying.
fn long_enough(section: &Section<'_>, tokens: Option<&[Secret]>) {
    let short = |token: &Secret| token.expose().len() < Api::TOKEN_SHORT;
    if tokens.is_some_and(|tokens| tokens.iter().any(short)) {
        let message =
            format!("this token has fewer than {} characters: it could be guessed", Api::TOKEN_SHORT);
        section.warn("token", Fault::new(message).help("such as from `openssl rand -hex 32`"));
    }
}

fn clients(api: &Section<'_>) -> Option<Vec<ApiClient>> {
    let sections = api.sections("clients");
    if let Some(section) = sections.get(Api::CLIENTS_MAX) {
        let message = format!("these are {} clients, and {} fit", sections.len(), Api::CLIENTS_MAX);
        section.mistake_here(Fault::new(message).help("programs with the same scopes may share one"));
        return None;
    }
    let mut clients: Vec<Option<ApiClient>> = Vec::new();
    for section in &sections {
        let client = client(section);
        let named = |earlier: &Option<ApiClient>| match (earlier, &client) {
            (Some(earlier), Some(client)) => earlier.name == client.name,
            _ => false,
        };
        if let Some(earlier) = clients.iter().position(named) {
            let message = format!("clients[{earlier}] has this name already");
            section.mistake("name", Fault::new(message).help("names tell clients apart in the audit log"));
        }
        clients.push(client);
    }
    clients.into_iter().collect()
}

fn client(section: &Section<'_>) -> Option<ApiClient> {
    let name = section.read("name", values::client_name);
    let token = header_secrets(section, "token");
    long_enough(section, token.as_deref());
    let scopes = section.read("scopes", values::choices);
    let scopes: Option<Vec<Scope>> =
        scopes.map(|chosen| chosen.into_iter().map(|of| Scope::ALL[of]).collect());
    Some(ApiClient { name: name?, token: token?, scopes: Scopes::of(&scopes?) })
}

/// Notes each token that is another's, too: nobody could say whose request it is, and a rotation would replace a token
/// by itself. Places are named, tokens never shown.
fn each_once(api: &Section<'_>, token: &[Secret], clients: &[ApiClient]) {
    let sections = api.sections("clients");
    let mut seen: Vec<(String, &Secret)> = Vec::new();
    let all = std::iter::once((api, "api.token".to_owned(), token)).chain(
        sections.iter().zip(clients).enumerate().map(|(place, (section, client))| {
            (section, format!("api.clients[{place}].token"), client.token.as_slice())
        }),
    );
    for (section, owner, tokens) in all {
        for (place, token) in tokens.iter().enumerate() {
            let own = if tokens.len() == 1 { owner.clone() } else { format!("{owner}[{place}]") };
            if let Some((earlier, _)) = seen.iter().find(|(_, other)| *other == token) {
                let fault = Fault::new(format!("{own} is the same as {earlier}"));
                section.mistake(
                    "token",
                    fault.help("a token of its own for each, such as from `openssl rand -hex 32`"),
                );
            }
            seen.push((own, token));
        }
    }
}

fn tls(section: &Section<'_>) -> Option<ApiTls> {
    let self_signed = section.read("self_signed", values::flag);
    let names = section.read("names", values::texts);
    for name in names.iter().flatten() {
        if name.parse::<IpAddr>().is_err() && name != "localhost" && values::label_or_host(name).is_err() {
            let fault = Fault::new(format!("{name:?} is neither a name nor an address"));
            section.mistake("names", fault.help("names = [\"box.store.lan\", \"192.168.1.20\"]"));
        }
    }
    let own = self_signed == Some(true);
    if section.has("key") && !section.has("certificate") {
        let fault = Fault::new("a key without its `certificate`");
        section.mistake("key", fault.help("add certificate = \"cert.pem\""));
        return None;
    }
    if own && section.has("certificate") {
        let fault = Fault::new("`certificate` is one kind of tls, and `self_signed` is chosen already");
        section.mistake("certificate", fault.help("keep exactly one"));
        return None;
    }
    if section.has("names") && !own {
        let fault = Fault::new("names are for a certificate of the box's own, and none is made");
        section.mistake("names", fault.help("add self_signed = true, or leave `names` out"));
        return None;
    }
    if section.has("self_signed") && self_signed.is_none() || section.has("names") && names.is_none() {
        return None;
    }
    if own {
        return Some(ApiTls::SelfSigned { names: names.unwrap_or_default() });
    }
    if section.has("certificate") {
        let (certificate, key) = certificate_and_key(section)?;
        return Some(ApiTls::Files { certificate, key });
    }
    Some(ApiTls::Off)
}

fn client_auth(section: &Section<'_>, tls: Option<&ApiTls>) -> Option<ApiClientAuth> {
    let modes = [ClientAuthMode::Off, ClientAuthMode::Optional, ClientAuthMode::Required];
    let mode = section.read("mode", values::choice).map(|choice| modes[choice]);
    let asks = mode.is_some_and(|mode| mode != ClientAuthMode::Off);
    let ca = if asks { pem(section, "ca", "CERTIFICATE") } else { path(section, "ca") };
    let name = section.read("name", values::text);
    let operator = path(section, "operator");
    if asks && tls == Some(&ApiTls::Off) {
        let fault = Fault::new("without TLS nobody can show a certificate");
        section.mistake("mode", fault.help("add [api.tls], with self_signed = true or certificate and key"));
        return None;
    }
    if asks && !section.has("ca") {
        let fault = Fault::new("`ca` is required and missing");
        section.mistake(
            "ca",
            fault.help("ca = \"client-ca.pem\", the root that the clients' certificates come from"),
        );
        return None;
    }
    if let Some(name) = &name
        && let Err(fault) = values::label_or_host(name)
    {
        section.mistake("name", fault);
        return None;
    }
    let unread = section.has("ca") && ca.is_none()
        || section.has("name") && name.is_none()
        || section.has("operator") && operator.is_none();
    (!unread).then_some(ApiClientAuth { mode: mode?, ca, name, operator })
}

/// Whether the system would refuse the second of two listeners. Port 0 is another one each time.
pub(super) fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every = |one: IpAddr, other: IpAddr| match one {
        // A wildcard of IPv6 takes IPv4 along, unless the system is told otherwise.
        IpAddr::V6(ip) => ip.is_unspecified(),
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
    };
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip() || every(a.ip(), b.ip()) || every(b.ip(), a.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_collide_when_the_system_would_refuse_the_second() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
