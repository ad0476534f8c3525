//! What isn't TLS, or only half of it.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::attacker::{Field, MARK, again_and_again, swallow};
use crate::harness::accept_any;

/// Kinds of garbage, each on as many connections.
const KINDS: u32 = 12;
/// Connections of each kind.
const EACH: u32 = 16;

/// Garbage of every kind at once.
pub(crate) async fn all(field: Field) {
    let hello = Arc::new(hello());
    again_and_again(KINDS * EACH, move |place| {
        let (field, hello) = (field.clone(), Arc::clone(&hello));
        async move {
            let Ok(mut stream) = field.tcp(field.nth_address(place), field.webhook).await else { return };
            field.tally.asked();
            let record = |kind: u8, length: u16, bytes: &[u8]| {
                let [high, low] = length.to_be_bytes();
                [&[kind, 3, 3, high, low][..], bytes].concat()
            };
            let bytes = match place % KINDS {
                // Half a hello, then silence; a whole one, then silence.
                0 => hello[..hello.len() / 2].to_vec(),
                1 => hello.to_vec(),
                2 => return byte_by_byte(stream, &hello).await,
                3 => noise(place, 64 * 1024),
                // A record that is larger than any may be, and one that is announced and doesn't come.
                4 => record(22, u16::MAX, &noise(place, 65_535)),
                5 => record(22, 16_384, &[1, 0, 0x40]),
                // A hello of the largest kind, a fragment a record.
                6 => (0..60_000_u32).flat_map(|_| record(22, 1, &[1])).collect(),
                7 => record(21, 2, &[1, 90]).repeat(10_000),
                8 => record(20, 1, &[1]).repeat(10_000),
                // Records of nothing.
                9 => [hello.to_vec(), record(23, 0, &[]).repeat(20_000)].concat(),
                10 => format!("GET /{MARK} HTTP/1.1\r\nHost: {MARK}\r\n\r\n").repeat(200).into_bytes(),
                // What should follow a hello, said before the answer and wrong.
                _ => [hello.to_vec(), record(20, 1, &[1]), record(23, 512, &noise(place, 512))].concat(),
            };
            let _ = stream.write_all(&bytes).await;
            tokio::select! {
                () = swallow(&mut stream) => {}
                () = sleep(Duration::from_millis(700)) => {}
            }
        }
    })
    .await;
}

async fn byte_by_byte(mut stream: tokio::net::TcpStream, hello: &[u8]) {
    for byte in hello {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whole handshakes as fast as they can be had, each left behind at once: they cost the box more than anything else
/// that a stranger may ask for.
pub(crate) async fn handshakes(field: Field) {
    let hello = Arc::new(hello());
    again_and_again(250, move |place| {
        let (field, hello) = (field.clone(), Arc::clone(&hello));
        async move {
            let Ok(mut stream) = field.tcp(field.address(), field.webhook).await else { return };
            field.tally.asked();
            // Some finish; for most the first answer, with its signature, is what they are after.
            if place % 50 == 0 {
                drop(stream);
                let _ = field.tls(field.address()).await;
                return;
            }
            let _ = stream.write_all(&hello).await;
            let mut some = [0; 256];
            let answered = tokio::io::AsyncReadExt::read(&mut stream, &mut some);
            if matches!(tokio::time::timeout(Duration::from_secs(5), answered).await, Ok(Ok(1..))) {
                field.tally.handshakes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    })
    .await;
}

/// The first message of a client.
fn hello() -> Vec<u8> {
    let name = ServerName::try_from(format!("{MARK}.example")).unwrap();
    let mut client = ClientConnection::new(Arc::new(accept_any()), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Bytes that look like chance and are always the same.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let byte = |state: &mut u64| {
        // Knuth's MMIX generator; its upper bits are the good ones.
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| byte(&mut state)).collect()
}
