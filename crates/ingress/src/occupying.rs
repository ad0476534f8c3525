//! Answers that take their time.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::connections::Busy;

/// The body of an answer. One whose length isn't known beforehand is a stream that may be silent
/// for long (server-sent events), and keeps its connection busy to its end; any other is on its
/// way as soon as the head is, and who doesn't read it is idle.
pub(crate) struct Occupying<B> {
    body: B,
    _busy: Option<Busy>,
}

impl<B: Body> Occupying<B> {
    pub(crate) fn new(body: B, busy: Busy) -> Self {
        let streams = body.size_hint().exact().is_none();
        Self { body, _busy: streams.then_some(busy) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Occupying<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
