//! Connections that come through a relay.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wagate_ingress::proxy::Relays;
use wagate_ingress::{ConnectionLimits, RequestLimits, Transport};

use crate::support::*;
use crate::tls::{over_tls, self_signed};

/// Loopback addresses: the relay's, and one that is nobody's.
const RELAY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";
const V1: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.1 56325 443\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xCB\0\x71\x09\xC6\x33\x64\x01\xDC\x05\x01\xBB\x02\0\x05local";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn behind_a_relay() -> ConnectionLimits {
    let relays: Relays = [format!("{RELAY}/32").parse().unwrap()].into_iter().collect();
    ConnectionLimits { relays, ..ConnectionLimits::default() }
}

async fn connect(door: &Door, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(door.address).await.unwrap()
}

/// What comes back for `bytes`, to the end of the connection; nothing where it is reset.
async fn exchange(door: &Door, from: &str, bytes: &[u8]) -> String {
    let mut stream = connect(door, from).await;
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn plain(limits: ConnectionLimits) -> Door {
    Door::over(Transport::Plain, limits, RequestLimits::default()).await
}

#[tokio::test]
async fn a_webhook_behind_each_kind_of_header_is_taken() {
    let door = plain(behind_a_relay()).await;
    let headers: [&[u8]; 5] =
        [V1, V2, LOCAL, b"PROXY UNKNOWN\r\n", b"PROXY TCP6 2001:db8::9 ::1 56325 443\r\n"];
    for header in headers {
        let request = [header, &signed(b"{}")].concat();
        assert_eq!(status(&exchange(&door, RELAY, &request).await), 200, "{header:?}");
        // As a slow line brings it, a byte at a time.
        let mut stream = connect(&door, RELAY).await;
        stream.set_nodelay(true).unwrap();
        for byte in &request[..header.len()] {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.write_all(&request[header.len()..]).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), 200, "{header:?}");
    }
    assert_eq!(door.shelf.bodies().len(), 10);
}

#[tokio::test]
async fn tls_begins_right_behind_the_header() {
    let (folder, transport) = self_signed();
    let door = Door::over(transport, behind_a_relay(), RequestLimits::default()).await;
    for header in [V1, V2] {
        let mut stream = connect(&door, RELAY).await;
        stream.write_all(header).await.unwrap();
        let mut stream = over_tls(stream, &folder.path().join("self_signed.pem")).await.unwrap();
        stream.write_all(&signed(b"{}")).await.unwrap();
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(status(std::str::from_utf8(&bytes).unwrap()), 200);
    }
}

#[tokio::test]
async fn a_relay_without_a_header_is_closed_and_counted() {
    let door = plain(behind_a_relay()).await;
    let long = [&V2[..14], &[0xFF, 0xFF], &[b'x'; 70_000]].concat();
    let wrong: [&[u8]; 5] = [
        &signed(b"{}"),
        b"PROXY TCP4 203.0.113.9\r\n",
        &long,
        &[b"PROXY UNKNOWN".as_slice(), &[b' '; 200]].concat(),
        &V2[..20],
    ];
    for bytes in wrong {
        assert_eq!(exchange(&door, RELAY, bytes).await, "", "{bytes:?}");
    }
    until(|| door.listener().ended("proxy_header") == wrong.len() as u64).await;
    // Whoever only looks whether somebody listens does nothing wrong.
    assert_eq!(exchange(&door, RELAY, b"").await, "");
    until(|| door.listener().ended("closed") == 1).await;
    assert!(door.shelf.bodies().is_empty());
}

#[tokio::test]
async fn a_relay_that_says_nothing_has_the_time_of_a_handshake_for_both() {
    let (_folder, transport) = self_signed();
    let limits = ConnectionLimits { handshake_time: Duration::from_millis(50), ..behind_a_relay() };
    let door = Door::over(transport, limits, RequestLimits::default()).await;
    let mut silent = connect(&door, RELAY).await;
    let mut half = connect(&door, RELAY).await;
    half.write_all(&V2[..20]).await.unwrap();
    let mut no_tls = connect(&door, RELAY).await;
    no_tls.write_all(V2).await.unwrap();
    for stream in [&mut silent, &mut half, &mut no_tls] {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    until(|| door.listener().ended("handshake_timeout") == 3).await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (_folder, transport) = self_signed();
    let secure = Door::over(transport, behind_a_relay(), RequestLimits::default()).await;
    for header in [V1, V2] {
        let answer = connect(&secure, STRANGER).await;
        let mut stream = answer;
        stream.write_all(header).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    until(|| secure.listener().ended("handshake_failed") == 2).await;
    assert_eq!(secure.listener().ended("proxy_header"), 0);
    // To HTTP it is no request either, and without relays no header is read from anybody.
    for (limits, from) in [(behind_a_relay(), STRANGER), (ConnectionLimits::default(), RELAY)] {
        let door = plain(limits).await;
        let request = [V1, &signed(b"{}")].concat();
        assert_ne!(status(&exchange(&door, from, &request).await), 200);
        assert!(door.shelf.bodies().is_empty());
        assert_eq!(status(&exchange(&door, STRANGER, &signed(b"{}")).await), 200);
    }
}

#[tokio::test]
async fn budgets_go_by_the_source_and_not_by_the_relay() {
    let requests = RequestLimits {
        unsigned_burst: std::num::NonZeroU32::new(2).unwrap(),
        unsigned_per_minute: std::num::NonZeroU32::new(1).unwrap(),
        ..RequestLimits::default()
    };
    let door = Door::over(Transport::Plain, behind_a_relay(), requests).await;
    let knock = async |header: &[u8]| {
        status(&exchange(&door, RELAY, &[header, &post(&forged(), b"{}")].concat()).await)
    };
    for expected in [401, 401, 429] {
        assert_eq!(knock(V1).await, expected);
    }
    assert_eq!(knock(V2).await, 429, "the same source in the other version");
    let other = b"PROXY TCP4 203.0.113.10 198.51.100.1 56325 443\r\n";
    assert_eq!(knock(other).await, 401, "another source has its own budget");
    assert_eq!(knock(LOCAL).await, 401, "and so has the relay");
}

/// A flood through the relay is a crowd at its sources, or at the relay for as long as it says nothing: it drives
/// out itself, and neither what is proved nor the next that comes.
#[tokio::test]
async fn a_flood_through_the_relay_drives_out_itself() {
    let limits = ConnectionLimits { connections: 8, ..behind_a_relay() };
    let door = plain(limits).await;
    let mut meta = connect(&door, RELAY).await;
    meta.write_all(&[V1, &signed(b"1")].concat()).await.unwrap();
    assert_eq!(status(&answer(&mut meta).await), 200);
    let mut flood = Vec::new();
    for number in 0..40 {
        let mut stream = connect(&door, RELAY).await;
        if number % 2 == 0 {
            let _ = stream.write_all(b"PROXY TCP4 203.0.113.66 198.51.100.1 5 443\r\n").await;
        }
        flood.push(stream);
    }
    until(|| door.listener().ended("evicted") >= 33).await;
    let mut next = connect(&door, RELAY).await;
    next.write_all(&[b"PROXY TCP4 203.0.113.7 198.51.100.1 5 443\r\n".as_slice(), &signed(b"2")].concat())
        .await
        .unwrap();
    assert_eq!(status(&answer(&mut next).await), 200);
    meta.write_all(&signed(b"3")).await.unwrap();
    assert_eq!(status(&answer(&mut meta).await), 200, "what was proved stays");
    assert_eq!(door.listener().ended("refused"), 0);
}
