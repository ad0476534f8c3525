//! A bundle from this machine to the box.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::client::Client;
use super::progress::{Line, amount};

/// Bytes that are read at a time.
const PORTION: usize = 256 * 1024;
/// Portions that wait for the network.
const PORTIONS_MAX: usize = 4;
/// How often the line is written anew.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// Sends the file at `path` and waits until it is in its slot; gives what came of it.
pub(super) async fn send(client: &Client, path: &Path, reboot: bool) -> anyhow::Result<Value> {
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    let (file, length) = open().with_context(|| format!("{} can't be read", path.display()))?;
    let sent = Arc::new(AtomicU64::new(0));
    let request = client
        .request(Method::POST, &format!("/v1/update?reboot={reboot}"))?
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, length)
        .body(body(file, length, Arc::clone(&sent)));
    let mut line = Line::default();
    let mut answer = std::pin::pin!(client.answer(request));
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            () = tokio::time::sleep(SHOW_EVERY) => {
                let sent = sent.load(Ordering::Relaxed);
                let words = if sent < length { "sending" } else { "the box is verifying it" };
                line.say(words, &amount(&json!({ "received": sent, "total": length })));
            }
        }
    };
    drop(line);
    Ok(answer?["job"].take())
}

/// The file in portions, read on a thread that may wait.
fn body(mut file: File, length: u64, sent: Arc<AtomicU64>) -> Body {
    let (portions, filled) = mpsc::channel::<io::Result<Bytes>>(PORTIONS_MAX);
    tokio::task::spawn_blocking(move || {
        // No more than was said, should it grow meanwhile.
        let mut left = length;
        while left > 0 {
            let mut portion = Vec::with_capacity(PORTION);
            let most = left.min(PORTION as u64);
            let read = file.by_ref().take(most).read_to_end(&mut portion);
            let ended = match read {
                Ok(0) => Some(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(_) => None,
                Err(error) => Some(error),
            };
            if let Some(error) = ended {
                let _ = portions.blocking_send(Err(error));
                return;
            }
            left -= portion.len() as u64;
            // Whoever has the answer reads no more.
            if portions.blocking_send(Ok(portion.into())).is_err() {
                return;
            }
        }
    });
    Body::wrap_stream(futures_util::stream::unfold(filled, move |mut filled| {
        let sent = Arc::clone(&sent);
        async move {
            let portion = filled.recv().await?;
            if let Ok(portion) = &portion {
                sent.fetch_add(portion.len() as u64, Ordering::Relaxed);
            }
            Some((portion, filled))
        }
    }))
}
