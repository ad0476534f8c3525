//! Requests under way, and those to an endpoint that was left.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

/// All requests under way. They are driven by whoever waits for [`Requests::gather`]: a task of its own for
/// each would only be a detour.
pub(crate) struct Requests<F> {
    sending: FuturesUnordered<F>,
    left: Option<Left<F>>,
}

/// Requests to an endpoint that was left.
pub(crate) struct Left<F> {
    sending: FuturesUnordered<F>,
    /// Nobody waits for them any longer than until then.
    until: Instant,
    /// Where they went to.
    pub(crate) endpoint: usize,
    /// They went before the endpoint was changed for this time.
    pub(crate) switches: u64,
}

impl<F: Future> Requests<F> {
    pub(crate) fn new() -> Self {
        Self { sending: FuturesUnordered::new(), left: None }
    }

    pub(crate) fn push(&self, request: F) {
        self.sending.push(request);
    }

    pub(crate) fn len(&self) -> usize {
        self.sending.len() + self.left.as_ref().map_or(0, |left| left.sending.len())
    }

    /// All that is under way goes to an endpoint that is in use no more. Returns what is still under way to
    /// one that was left before: it has had its time.
    pub(crate) fn leave(&mut self, endpoint: usize, switches: u64, until: Instant) -> Option<Left<F>> {
        let before = self.left.take();
        if !self.sending.is_empty() {
            let sending = std::mem::take(&mut self.sending);
            self.left = Some(Left { sending, until, endpoint, switches });
        }
        before
    }

    /// When to ask for what has had its time.
    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.left.as_ref()?.until)
    }

    /// What has had its time.
    pub(crate) fn overdue(&mut self) -> Option<Left<F>> {
        self.left.take_if(|left| left.until <= Instant::now())
    }

    /// Collects all requests that have ended, one at least; waits for ever if none is under way.
    pub(crate) async fn gather(&mut self, ended: &mut Vec<F::Output>) {
        poll_fn(|context| {
            collect(&mut self.sending, context, ended);
            if let Some(left) = &mut self.left {
                collect(&mut left.sending, context, ended);
                if left.sending.is_empty() {
                    self.left = None;
                }
            }
            if ended.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

fn collect<F: Future>(
    sending: &mut FuturesUnordered<F>,
    context: &mut Context<'_>,
    ended: &mut Vec<F::Output>,
) {
    while let Poll::Ready(Some(next)) = sending.poll_next_unpin(context) {
        ended.push(next);
    }
}
