//! From the runtime, where bytes come, to the thread on which the board reads them.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

/// Portions between the two: what comes faster than the disk takes it waits with its sender.
const PORTIONS_MAX: usize = 4;

/// Where bytes go in.
#[derive(Debug)]
pub(super) struct Inlet(mpsc::Sender<Result<Bytes, io::Error>>);

/// Where they come out, on a thread that may wait.
#[derive(Debug)]
pub(super) struct Outlet {
    portions: mpsc::Receiver<Result<Bytes, io::Error>>,
    rest: Bytes,
}

/// The reader has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

pub(super) fn pipe() -> (Inlet, Outlet) {
    let (sender, portions) = mpsc::channel(PORTIONS_MAX);
    (Inlet(sender), Outlet { portions, rest: Bytes::new() })
}

impl Inlet {
    /// Hands a portion over, when there is room for it. Dropping the inlet is the end of the file.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(super) async fn give(&self, portion: Bytes) -> Result<(), Gone> {
        if portion.is_empty() {
            return Ok(());
        }
        self.0.send(Ok(portion)).await.map_err(|_| Gone)
    }

    /// Comes to pass when nobody reads any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }

    /// Ends it as broken: what came so far is not the file.
    pub(super) async fn break_off(&self, why: &str) {
        // Who has gone needs no telling.
        let _ = self.0.send(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why.to_owned()))).await;
    }
}

impl Read for Outlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.portions.blocking_recv() {
                Some(portion) => self.rest = portion?,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(into.len());
        self.rest.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_out_as_they_went_in_and_a_broken_file_is_no_short_one() {
        let (inlet, mut outlet) = pipe();
        let reading = tokio::task::spawn_blocking(move || {
            let (mut all, mut three) = (Vec::new(), [0; 3]);
            loop {
                match outlet.read(&mut three) {
                    Ok(0) => return (all, None),
                    Ok(count) => all.extend_from_slice(&three[..count]),
                    Err(error) => return (all, Some(error.to_string())),
                }
            }
        });
        for portion in ["abcde", "", "f"] {
            inlet.give(Bytes::from_static(portion.as_bytes())).await.unwrap();
        }
        inlet.break_off("it was cancelled").await;
        assert_eq!(reading.await.unwrap(), (b"abcdef".to_vec(), Some("it was cancelled".to_owned())));

        let (inlet, outlet) = pipe();
        drop(outlet);
        inlet.gone().await;
        assert_eq!(inlet.give(Bytes::from_static(b"x")).await, Err(Gone));
    }
}
