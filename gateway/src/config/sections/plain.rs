//! `[store]`, `[api]`, `[costs]`, `[clock]` and `[log]`.

use std::net::{IpAddr, SocketAddr};

use super::super::reader::Section;
use super::super::types::{Api, Clock, Costs, Log, LogFormat, LogLevel, Store, TIME_SERVERS_MAX, TimeServer};
use super::super::values::{self, Fault};
use super::{header_secret, path};

/// What a disk writes at least; segments of the intake log are made of it.
const BLOCK: u64 = 4096;

pub(super) fn store(section: &Section<'_>) -> Option<Store> {
    let path = path(section, "path");
    let max_size = section.read("max_size", values::size);
    let history = section.read("history", values::time);
    let log_segment = section.read("log_segment", values::size);
    let log_segments = section.read("log_segments", values::integer);
    if log_segment.is_some_and(|bytes| bytes % BLOCK != 0) {
        section.mistake("log_segment", Fault::new("this is no multiple of 4KiB"));
        return None;
    }
    Some(Store {
        path: path?,
        max_size: max_size?,
        history: history?,
        log_segment: log_segment?,
        log_segments: u32::try_from(log_segments?).ok()?,
    })
}

pub(super) fn api(section: &Section<'_>, public: Option<SocketAddr>) -> Option<Api> {
    let token = header_secret(section, "token");
    let listen = section.read("listen", values::listen)?;
    if public.is_some_and(|public| collide(public, listen)) {
        let at = public.map_or(String::new(), |public| public.to_string());
        section.mistake(
            "listen",
            Fault::new(format!("`webhook.listen` is {at} already"))
                .help("give the two sides different ports"),
        );
        return None;
    }
    if !listen.ip().is_loopback() {
        section.warn(
            "listen",
            Fault::new("the token and the customers' messages cross this network in plain HTTP")
                .help("a loopback address, or a network that the store trusts"),
        );
    }
    Some(Api { listen, token: token? })
}

/// Whether the system would refuse the second of two listeners. Port 0 is another one each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every = |one: IpAddr, other: IpAddr| match one {
        // A wildcard of IPv6 takes IPv4 along, unless the system is told otherwise.
        IpAddr::V6(ip) => ip.is_unspecified(),
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
    };
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip() || every(a.ip(), b.ip()) || every(b.ip(), a.ip()))
}

/// The file that `rate_card` names is read later, by [`super::super::rate_card`].
pub(super) fn costs(section: &Section<'_>) -> Option<Costs> {
    let rate_card = path(section, "rate_card");
    let low_water = section.read("low_water", values::amount);
    // What is there and can't be read has been noted; that it's missing is no mistake.
    Some(Costs { rate_card, cards: Vec::new(), low_water })
}

pub(super) fn clock(section: &Section<'_>) -> Option<Clock> {
    let believed_ahead = section.read("believed_ahead", values::time);
    // What is there and can't be read has been noted; that it's missing is no mistake.
    let texts = section.read("servers", values::texts).unwrap_or_default();
    let mut servers = Vec::new();
    for text in &texts {
        let Some(server) = TimeServer::read(text) else {
            let fault = Fault::new(format!("{text:?} is no name and no address of a server"));
            section.mistake("servers", fault.help("servers = [\"ntp.store.lan\", \"192.168.1.1\"]"));
            return None;
        };
        servers.push(server);
    }
    if servers.len() > TIME_SERVERS_MAX {
        let fault = Fault::new(format!("these are {} servers", servers.len()));
        section.mistake("servers", fault.help(format!("{TIME_SERVERS_MAX} at most; 4 are plenty")));
        return None;
    }
    Some(Clock { believed_ahead: believed_ahead?, servers })
}

pub(super) fn log(section: &Section<'_>) -> Option<Log> {
    let format = section.read("format", values::choice);
    let level = section.read("level", values::choice);
    let formats = [LogFormat::Auto, LogFormat::Human, LogFormat::Json];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    Some(Log { format: formats[format?], level: levels[level?] })
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
