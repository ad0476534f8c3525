//! The place that requests go to, taken apart once.

use std::net::IpAddr;

use reqwest::Url;
use rustls::pki_types::ServerName;

/// Where to connect to, and what every request to it begins with.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(super) host: Host,
    pub(super) port: u16,
    /// The name that the certificate must hold; `None` for plain HTTP.
    pub(super) tls: Option<ServerName<'static>>,
    /// Request line and the headers that never change, each with its line end.
    start: Vec<u8>,
}

/// A host as the URL names it.
#[derive(Debug, Clone)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Address {
    /// Takes an `http` or `https` URL apart, to POST to it; `None` where the host is none that one can connect to.
    pub(crate) fn new(url: &Url, product: &str) -> Option<Self> {
        Self::with_method("POST", url, product)
    }

    /// The same for a GET.
    pub(crate) fn of_get(url: &Url, product: &str) -> Option<Self> {
        Self::with_method("GET", url, product)
    }

    fn with_method(method: &str, url: &Url, product: &str) -> Option<Self> {
        let host = url.host_str()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tls = match url.scheme() {
            "https" => Some(ServerName::try_from(bare.to_owned()).ok()?),
            _ => None,
        };
        let mut start = format!("{method} {}", url.path());
        if let Some(query) = url.query() {
            start.push('?');
            start.push_str(query);
        }
        start.push_str(" HTTP/1.1\r\nhost: ");
        start.push_str(host);
        if let Some(port) = url.port() {
            start.push_str(&format!(":{port}"));
        }
        start.push_str("\r\naccept: */*\r\n");
        // A product that doesn't fit into a header would break the head in two.
        if product.bytes().all(|byte| byte.is_ascii_graphic()) {
            start.push_str(&format!("user-agent: {product}\r\n"));
        }
        Some(Self {
            host: bare.parse().map_or_else(|_| Host::Name(bare.to_owned()), Host::Ip),
            port: url.port_or_known_default()?,
            tls,
            start: start.into_bytes(),
        })
    }

    /// Begins the head of a request: to be followed by more headers, and an empty line.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::new(&Url::parse(url).unwrap(), "wagate/1").unwrap()
    }

    #[test]
    fn the_request_is_in_origin_form_and_names_its_host() {
        for (url, line, host, port) in [
            ("http://crm.store.lan/wagate", "/wagate", "crm.store.lan", 80),
            ("http://crm.store.lan", "/", "crm.store.lan", 80),
            ("https://crm.store.lan:443/a?b=c#d", "/a?b=c", "crm.store.lan", 443),
            ("https://crm.store.lan:8443/a b", "/a%20b", "crm.store.lan:8443", 8443),
            ("http://127.0.0.1:9000/", "/", "127.0.0.1:9000", 9000),
            ("http://[::1]:9000/", "/", "[::1]:9000", 9000),
            ("http://[::1]/", "/", "[::1]", 80),
            ("http://m\u{fc}ller.example/", "/", "xn--mller-kva.example", 80),
        ] {
            let address = address(url);
            let expected =
                format!("POST {line} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\nuser-agent: wagate/1\r\n");
            assert_eq!(address.start(), expected.as_bytes(), "{url}");
            assert_eq!((address.port, address.tls.is_some()), (port, url.starts_with("https")), "{url}");
        }
        let get = Address::of_get(&Url::parse("http://crm/health?a=b").unwrap(), "wagate/1").unwrap();
        assert!(get.start().starts_with(b"GET /health?a=b HTTP/1.1\r\nhost: crm\r\n"));
        assert!(matches!(address("http://[::1]/").host, Host::Ip(IpAddr::V6(_))));
        assert!(matches!(address("http://10.0.0.1/").host, Host::Ip(IpAddr::V4(_))));
        assert!(matches!(address("http://crm/").host, Host::Name(name) if name == "crm"));
    }
}
