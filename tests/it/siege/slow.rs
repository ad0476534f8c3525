//! Requests that never end: heads and bodies a byte at a time, and chunks without a last one.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::attacker::{Field, MARK, again_and_again, swallow};

/// Of the right shape, and nobody's.
pub(crate) fn forged() -> String {
    format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64))
}

/// Slow heads: 400 connections, each with a further header line now and then.
pub(crate) async fn heads(field: Field) {
    again_and_again(400, move |place| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tls(field.nth_address(place)).await else { return };
            field.tally.asked();
            let mut said = stream.write_all(b"POST /webhook HTTP/1.1\r\nHost: box\r\n").await;
            while said.is_ok() {
                sleep(Duration::from_millis(200)).await;
                said = stream.write_all(format!("X-{MARK}: a\r\n").as_bytes()).await;
            }
        }
    })
    .await;
}

/// Slow bodies: 400 connections that announce 4 MiB and bring a kilobyte now and then.
pub(crate) async fn bodies(field: Field) {
    again_and_again(400, move |place| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tls(field.nth_address(place)).await else { return };
            field.tally.asked();
            let head = format!(
                "POST /webhook HTTP/1.1\r\nHost: box\r\n{}Content-Length: 4194304\r\n\r\n{MARK}",
                forged()
            );
            let mut said = stream.write_all(head.as_bytes()).await;
            while said.is_ok() {
                sleep(Duration::from_millis(100)).await;
                said = stream.write_all(&[b'x'; 1024]).await;
            }
        }
    })
    .await;
}

/// Chunks without end, as fast as they are taken: whole ones, and of one byte each behind a long extension.
pub(crate) async fn chunks(field: Field) {
    again_and_again(24, move |place| {
        let field = field.clone();
        async move {
            let Ok(stream) = field.tls(field.nth_address(place)).await else { return };
            field.tally.asked();
            let signature = if place % 2 == 0 { forged() } else { String::new() };
            let head = format!(
                "POST /webhook HTTP/1.1\r\nHost: box\r\n{signature}Transfer-Encoding: chunked\r\n\r\n"
            );
            let chunk = match place % 4 {
                0 | 1 => format!("4000\r\n{}\r\n", "x".repeat(0x4000)),
                2 => format!("1;{}\r\nx\r\n", MARK.repeat(8)),
                _ => "1\r\nx\r\n".repeat(2_000),
            };
            let (mut reader, mut writer) = tokio::io::split(stream);
            let send = async {
                let mut said = writer.write_all(head.as_bytes()).await;
                while said.is_ok() {
                    said = writer.write_all(chunk.as_bytes()).await;
                }
            };
            tokio::join!(send, swallow(&mut reader));
        }
    })
    .await;
}
