//! A call under way, watched.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::failover::{Answer, CallId};

use super::watched::Inner;

/// A call to one endpoint. Dropped without a word it says nothing of the endpoint.
#[must_use = "it is to be told how the call ended"]
pub struct Live {
    inner: Arc<Inner>,
    endpoint: usize,
    id: Option<CallId>,
}

impl Live {
    pub(super) const fn new(inner: Arc<Inner>, endpoint: usize, id: CallId) -> Self {
        Self { inner, endpoint, id: Some(id) }
    }

    /// The endpoint that was asked.
    #[must_use]
    pub const fn endpoint(&self) -> usize {
        self.endpoint
    }

    /// Whether another endpoint has become active since: what this call says about the whole way is no
    /// news then.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.inner.active() != self.endpoint
    }

    /// The call has ended, and the endpoint says that it is away for so long; says what [`Live::is_left`] says then.
    pub fn ended_away(mut self, asked: Duration) -> bool {
        if let Some(id) = self.id.take() {
            self.inner.ended_away(id, asked);
        }
        self.is_left()
    }

    /// The call has ended; says what [`Live::is_left`] says then.
    pub fn ended(mut self, answer: Answer) -> bool {
        if let Some(id) = self.id.take() {
            self.inner.ended(id, answer);
        }
        self.is_left()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.inner.forgotten(id);
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Live").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
