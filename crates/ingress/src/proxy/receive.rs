//! Takes the header off a connection, and nothing that follows it.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Broken, Progress, V2_BYTES, read};

/// What a relay said before the first byte of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// This is where the connection comes from; `None`: from the relay itself.
    Source(Option<SocketAddr>),
    /// Nothing: it only wanted to know whether somebody listens.
    Nothing,
    /// Something else.
    Broken(Broken),
}

/// Reads the header; the caller bounds the time.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn receive(stream: &mut TcpStream) -> io::Result<Said> {
    let mut header = vec![0; V2_BYTES];
    let mut have = 0;
    loop {
        // Looked at before it is taken: what stands behind the header belongs to TLS.
        let there = stream.peek(&mut header[have..]).await?;
        if there == 0 {
            return Ok(if have == 0 { Said::Nothing } else { Said::Broken(Broken::Malformed) });
        }
        let (taken, source) = match read(&header[..have + there]) {
            Progress::More => (there, None),
            Progress::Header(whole) => (whole.length.saturating_sub(have), Some(whole.source)),
            Progress::Broken(why) => return Ok(Said::Broken(why)),
        };
        stream.read_exact(&mut header[have..have + taken]).await?;
        have += taken;
        if let Some(source) = source {
            return Ok(Said::Source(source));
        }
    }
}
