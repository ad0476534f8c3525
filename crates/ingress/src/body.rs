//! Reading a body within bounds, or reading it off.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::time::{Instant, timeout_at};

use crate::memory::Share;

/// A body in memory, with its share of the memory that bodies may take.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// Why a body isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More than allowed.
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// Broke off, or isn't HTTP.
    Broken,
    /// The memory for bodies is used up by others.
    NoMemory,
}

/// A body that may still have to be read.
pub(crate) struct Reading<B> {
    body: B,
    /// The sender waits for our word before it sends the body; reading gives the word.
    waiting: bool,
    /// Nothing more will come, or nothing that could be made sense of.
    over: bool,
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(head: &Parts, body: B) -> Self {
        Self { over: body.is_end_stream(), body, waiting: head.headers.contains_key(EXPECT) }
    }

    /// Reads all of it, at most `most` bytes until `deadline`.
    ///
    /// `share` grows as bytes come, so that announcing much costs others nothing.
    pub(crate) async fn read(
        &mut self,
        most: usize,
        deadline: Instant,
        mut share: Share,
    ) -> Result<Held, BodyError> {
        if self.body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(BodyError::TooLarge);
        }
        self.waiting = false;
        let mut bytes = BytesMut::new();
        loop {
            let data = match timeout_at(deadline, self.body.frame()).await {
                // Trailers say nothing that is asked.
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                ended => {
                    self.over = true;
                    return match ended {
                        Ok(None) => Ok(Held { bytes: bytes.freeze(), share }),
                        Ok(Some(_)) => Err(BodyError::Broken),
                        Err(_) => Err(BodyError::TooSlow),
                    };
                }
            };
            if bytes.len() + data.len() > most {
                return Err(BodyError::TooLarge);
            }
            if !share.grow_to(bytes.len() + data.len()) {
                return Err(BodyError::NoMemory);
            }
            // Asked before the copy: a body of one piece, as nearly all are, needs none.
            self.over = self.body.is_end_stream();
            if self.over && bytes.is_empty() {
                return Ok(Held { bytes: data, share });
            }
            bytes.extend_from_slice(&data);
            if self.over {
                return Ok(Held { bytes: bytes.freeze(), share });
            }
        }
    }

    /// What the sender is still sending and nobody wants.
    pub(crate) fn rest(self) -> Option<B> {
        (!self.over && !self.waiting).then_some(self.body)
    }
}

/// Reads `body` and drops it, at most `most` bytes in `time`, so that a sender who writes first
/// and reads later comes to see the answer. Past a bound the connection is closed on it.
pub(crate) async fn drop_rest<B>(body: B, most: usize, time: Duration)
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let deadline = Instant::now() + time;
    let mut dropped = 0_usize;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        dropped = dropped.saturating_add(frame.data_ref().map_or(0, Buf::remaining));
        if dropped > most {
            return;
        }
    }
}
