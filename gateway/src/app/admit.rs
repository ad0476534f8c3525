//! From a signed webhook to the disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingress::{Admit, Reason, Refusal};
use store::{Refused, Store};
use tokio::sync::oneshot;

use crate::clock;

/// A body larger than this is taken apart on a thread that may take its time: the largest one
/// that a hostile sender could make takes some 0.3 s.
const INLINE_BYTES: usize = 256 * 1024;
/// A disk that doesn't answer for this long counts as busy. What is written after all is
/// recognised when Meta sends it again.
const PATIENCE: Duration = Duration::from_secs(15);
/// When to try again after a full disk: room is made by deliveries, which take their time.
const FULL_RETRY: Duration = Duration::from_secs(30);
/// When to try again otherwise.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// Puts webhooks into the store.
pub(super) struct StoreAdmit {
    store: Arc<Store>,
}

impl StoreAdmit {
    pub(super) const fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

impl Admit for StoreAdmit {
    async fn admit(&self, body: Bytes) -> Result<(), Refusal> {
        let received_at = clock::now();
        let items = if body.len() <= INLINE_BYTES {
            records::digest(&body)
        } else {
            match tokio::task::spawn_blocking(move || records::digest(&body)).await {
                Ok(items) => items,
                Err(error) => {
                    tracing::error!(%error, "taking a webhook apart has panicked");
                    return Err(refusal(Refused::Closed));
                }
            }
        };
        let (sender, answer) = oneshot::channel();
        self.store.append(items, received_at, Box::new(move |result| _ = sender.send(result)));
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(result)) => result.map_err(refusal),
            Ok(Err(_)) => Err(refusal(Refused::Closed)),
            Err(_) => Err(refusal(Refused::Busy)),
        }
    }
}

const fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Full => Refusal { reason: Reason::Full, retry_after: FULL_RETRY },
        Refused::Busy => Refusal { reason: Reason::Busy, retry_after: BUSY_RETRY },
        Refused::Disk | Refused::Closed | _ => Refusal { reason: Reason::Broken, retry_after: BUSY_RETRY },
    }
}
