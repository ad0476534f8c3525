//! Values that name a place on a network.

use std::net::SocketAddr;

use reqwest::Url;
use reqwest::header::HeaderName;
use toml::de::DeValue;

use super::super::keys::Key;
use super::super::types::{Webhook, WhatsAppEndpoint};
use super::{Fault, Read, as_text};

pub(in super::super) fn listen(_: &Key, value: &DeValue<'_>) -> Read<SocketAddr> {
    let wanted = "an IP address and a port, such as \"0.0.0.0:443\" or \"[::]:443\",";
    let text = as_text(value, wanted)?;
    text.parse().map_err(|_| {
        let fault = Fault::new(format!("{text:?} is not an IP address and a port"));
        match text.strip_prefix("localhost:") {
            Some(port) => fault.help(format!("did you mean \"127.0.0.1:{port}\"?")),
            None if text.parse::<std::net::IpAddr>().is_ok() => fault.help("the port is missing"),
            None if text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()) => {
                fault.help(format!("did you mean \"0.0.0.0{text}\"?"))
            }
            None => fault.help("such as \"0.0.0.0:443\" or \"[::]:443\""),
        }
    })
}

pub(in super::super) fn url(_: &Key, value: &DeValue<'_>) -> Read<Url> {
    let text = as_text(value, "an address in quotes")?;
    let shape = "such as \"https://crm.example.com/wagate\"";
    if !text.contains("://") {
        let fault = Fault::new("this is no whole URL");
        let proposed = format!("https://{text}");
        return Err(match Url::parse(&proposed) {
            Ok(_) if !text.contains(':') => fault.help(format!("did you mean \"{proposed}\"?")),
            _ => fault.help(shape),
        });
    }
    let url = Url::parse(&text).map_err(|error| Fault::new(format!("not a URL: {error}")).help(shape))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::new(format!("{:?} is not http or https", url.scheme())).help(shape));
    }
    // The parser itself refuses http and https without a host.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("a URL must not hold a user or a password"));
    }
    if url.fragment().is_some() {
        return Err(Fault::new("a URL must not hold a fragment: what follows `#` is never sent"));
    }
    Ok(url)
}

/// An address that Meta takes for a webhook.
pub(in super::super) fn public_url(key: &Key, value: &DeValue<'_>) -> Read<Url> {
    let shape = "such as \"https://box.example.com/webhook\"";
    let url = url(key, value)?;
    if url.scheme() != "https" {
        return Err(Fault::new("Meta calls webhooks by https only").help(shape));
    }
    if url.query().is_some() {
        return Err(Fault::new("a webhook's address must not hold a query").help(shape));
    }
    let length = url.as_str().len();
    if length > Webhook::PUBLIC_URL_MAX {
        let most = Webhook::PUBLIC_URL_MAX;
        return Err(Fault::new(format!("Meta takes {most} characters at most, and this has {length}")));
    }
    Ok(url)
}

/// The path of a URL, without query.
pub(in super::super) fn fixed_url_path(_: &Key, value: &DeValue<'_>) -> Read<String> {
    url_path(value, "")
}

/// The same, in which the phone number id may have its place.
pub(in super::super) fn number_url_path(_: &Key, value: &DeValue<'_>) -> Read<String> {
    url_path(value, WhatsAppEndpoint::NUMBER)
}

fn url_path(value: &DeValue<'_>, placeholder: &str) -> Read<String> {
    let text = as_text(value, "a path in quotes")?;
    if !text.starts_with('/') {
        return Err(Fault::new("a path begins with a slash").help("such as \"/webhook\""));
    }
    let fixed = if placeholder.is_empty() { text.clone() } else { text.replace(placeholder, "") };
    if let Some(odd) = fixed.chars().find(|c| !(c.is_ascii_alphanumeric() || "/-._~".contains(*c))) {
        return Err(Fault::new(format!("{odd:?} has no place in this path"))
            .help("letters, digits, `/`, `-`, `.`, `_` and `~`"));
    }
    if text.split('/').skip(1).any(|part| matches!(part, "." | "..")) || text.contains("//") {
        return Err(Fault::new("a path holds no `//`, `/./` or `/../`"));
    }
    Ok(text)
}

pub(in super::super) fn header(_: &Key, value: &DeValue<'_>) -> Read<HeaderName> {
    let text = as_text(value, "the name of a header in quotes")?;
    HeaderName::try_from(&text).map_err(|_| {
        Fault::new(format!("{text:?} is not the name of a header")).help("such as \"D360-API-KEY\"")
    })
}

pub(in super::super) fn contact(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "an address in quotes")?;
    let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    match address {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(text),
        _ if text.contains('@') && !text.contains(':') => {
            Err(Fault::new("`mailto:` is missing").help(format!("did you mean \"mailto:{text}\"?")))
        }
        _ => Err(Fault::new("this is no mail address").help("such as \"mailto:it@example.com\"")),
    }
}

/// A name of the DNS, without a dot at the end.
pub(in super::super) fn host(text: &str) -> Read<()> {
    if text.contains('.') { label_or_host(text) } else { Err(no_host(text)) }
}

/// The same, or a name of the local network without any dot.
pub(in super::super) fn label_or_host(text: &str) -> Read<()> {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) { Ok(()) } else { Err(no_host(text)) }
}

fn no_host(text: &str) -> Fault {
    Fault::new(format!("{text:?} is not a host name")).help("such as \"box.example.com\"")
}
