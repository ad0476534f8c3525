//! Where a time server is.

/// Where time servers listen (RFC 5905, section 7.2).
const PORT: u16 = 123;
/// Time servers that a box asks, at most.
pub const TIME_SERVERS_MAX: usize = 8;

/// A time server: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeServer {
    /// A name, or an address without brackets.
    pub host: String,
    /// Where it listens.
    pub port: u16,
}

impl TimeServer {
    /// `time.example`, `192.0.2.1`, `2001:db8::1`, with `:PORT` behind it where it is another than 123
    /// (`[2001:db8::1]:10123`). `None` for what is none of these.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<std::net::SocketAddr>() {
            return Some(Self { host: address.ip().to_string(), port: address.port() });
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Some(Self { host: text.to_owned(), port: PORT });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
            None => (text, PORT),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = host.strip_suffix('.').unwrap_or(host);
        let numbers = name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        (name.len() <= 253 && name.split('.').all(is_label) && !numbers)
            .then(|| Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_or_an_address() {
        for (text, expected) in [
            ("time.example", Some(("time.example", 123))),
            ("time", Some(("time", 123))),
            ("time.example:1123", Some(("time.example", 1123))),
            ("192.0.2.1", Some(("192.0.2.1", 123))),
            ("192.0.2.1:5", Some(("192.0.2.1", 5))),
            ("2001:db8::1", Some(("2001:db8::1", 123))),
            ("[2001:db8::1]:5", Some(("2001:db8::1", 5))),
            ("", None),
            ("ntp://time", None),
            ("time example", None),
            ("300.0.2.1", None),
            ("time:0", None),
            ("-x.example", None),
        ] {
            let read = TimeServer::read(text);
            let read = read.as_ref().map(|place| (place.host.as_str(), place.port));
            assert_eq!(read, expected, "{text}");
        }
    }
}
