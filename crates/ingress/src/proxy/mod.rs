//! The PROXY protocol: who is calling, as a relay in front of the box says it.
//!
//! A relay that only passes bytes on, and holds no key, is the peer of every connection; with this header, written
//! before the first byte of TLS, it says whose connection it is. Only relays that are named ([`Relays`]) are asked
//! for one, and they have to send it: from anybody else it isn't read, or everybody could claim any address.
//!
//! [The protocol](https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt) has two forms: a line of text
//! (version 1) and bytes (version 2).

mod receive;
mod relays;

use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

pub(crate) use receive::{Said, receive};
pub use relays::{RELAYS_MAX, Relay, RelayError, Relays};

/// Bytes of the longest version 1 header, its line break included: section 2.1 of the protocol.
pub const V1_BYTES: usize = 107;
/// Bytes of a version 2 header that are read at most. Addresses take 52; HAProxy adds some 300 where it is told to
/// pass everything on (name asked for, id of the connection, its own TLS), which isn't looked at here.
pub const V2_BYTES: usize = 1024;

const V1_GREETING: &[u8] = b"PROXY ";
const V2_GREETING: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The greeting, a byte of version and command, one of family, and two of the length of what follows.
const V2_FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The beginning of a header: all of these bytes belong to it, and more are needed. Never from
    /// [`V2_BYTES`] bytes on.
    More,
    /// A whole header, perhaps with something else behind it.
    Header(Header),
    /// No header, whatever follows.
    Broken(Broken),
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its bytes; what comes behind them is TLS.
    pub length: usize,
    /// Where the connection comes from; `None` where it is the relay's own (`LOCAL`, a health check), or from
    /// nowhere that has an IP address (`UNKNOWN`, a Unix socket).
    pub source: Option<SocketAddr>,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// They begin in another way: the relay doesn't send headers.
    #[error("no PROXY header")]
    Missing,
    /// They begin like one and aren't one: the relay's fault.
    #[error("a PROXY header that can't be read")]
    Malformed,
    /// The relay passes on more than is read.
    #[error("a PROXY header of more than {V2_BYTES} bytes")]
    TooLong,
}

/// Reads the first bytes of a connection. Total and bounded: looks at [`V2_BYTES`] bytes at most.
#[must_use]
pub fn read(bytes: &[u8]) -> Progress {
    if begins_like(bytes, V1_GREETING) {
        v1(bytes)
    } else if begins_like(bytes, V2_GREETING) {
        v2(bytes)
    } else {
        Progress::Broken(Broken::Missing)
    }
}

/// Whether the two agree as far as both go.
fn begins_like(bytes: &[u8], greeting: &[u8]) -> bool {
    bytes.iter().zip(greeting).all(|(byte, expected)| byte == expected)
}

fn v1(bytes: &[u8]) -> Progress {
    // The line has to end within the bound; the library doesn't mind one that is longer and there at once.
    match parse(bytes.get(..V1_BYTES).unwrap_or(bytes)) {
        Err(Error::BufferTooShort) => Progress::More,
        read => whole(read),
    }
}

fn v2(bytes: &[u8]) -> Progress {
    let Some([.., high, low]) = bytes.first_chunk::<V2_FIXED>() else { return Progress::More };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > V2_BYTES {
        return Progress::Broken(Broken::TooLong);
    }
    // Handed on whole and alone, so that a header which is too short for its addresses is a broken one.
    bytes.get(..length).map_or(Progress::More, |header| whole(parse(header)))
}

fn parse(bytes: &[u8]) -> Result<(ProxyHeader<'_>, usize), Error> {
    ProxyHeader::parse(bytes, ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true })
}

fn whole(read: Result<(ProxyHeader<'_>, usize), Error>) -> Progress {
    match read {
        Ok((header, length)) => match header.proxied_address() {
            // A connection over TCP that was a datagram before is none.
            Some(address) if address.protocol != Protocol::Stream => Progress::Broken(Broken::Malformed),
            address => Progress::Header(Header { length, source: address.map(|address| address.source) }),
        },
        Err(_) => Progress::Broken(Broken::Malformed),
    }
}

#[cfg(test)]
mod tests;
