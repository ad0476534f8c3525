//! A server for updates, on a line that breaks.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::shop::HOST;

/// Names the file, strongly: what comes later is of the same one.
const ETAG: &str = "\"a bundle\"";
/// Of a request.
const HEAD_MAX: usize = 16 * 1024;

/// Serves one file under any path. Each answer breaks off in the middle of what it had to send, but for those with
/// less than a piece left.
pub(crate) struct Web {
    /// As a box in QEMU calls it.
    pub(crate) url: String,
    asked: Arc<Asked>,
    accepts: JoinHandle<()>,
}

struct Asked {
    file: Bytes,
    /// What is sent whole.
    piece: usize,
    /// From where on the file was wanted, in order.
    from: Mutex<Vec<usize>>,
}

impl Web {
    pub(crate) async fn serve(file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let piece = file.len() / 3;
        let asked = Arc::new(Asked { file: file.into(), piece, from: Mutex::default() });
        let shared = Arc::clone(&asked);
        let accepts = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A line that breaks is what this is for.
                let _ = shared.answer(stream).await;
            }
        });
        Self { url: format!("http://{HOST}:{port}/wagate.update"), asked, accepts }
    }

    /// From where on the file was wanted, in order.
    pub(crate) fn asked_from(&self) -> Vec<usize> {
        self.asked.from.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

impl Asked {
    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let wanted = |line: &str| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok();
        let from: usize = head.lines().find_map(wanted).unwrap_or(0);
        let (total, left) = (self.file.len(), self.file.len() - from);
        self.from.lock().unwrap_or_else(PoisonError::into_inner).push(from);
        let status = if from == 0 {
            "200 OK".to_owned()
        } else {
            format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1)
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: {ETAG}\r\nContent-Length: {left}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let sent = if left <= self.piece { left } else { left / 2 };
        stream.write_all(&self.file[from..from + sent]).await?;
        stream.shutdown().await
    }
}
