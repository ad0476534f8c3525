//! From a signed webhook to the disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingress::{Admit, Place, Reason, Refusal};
use model::WallTime;
use store::{Refused, Store};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answers::{Answers, Asked};
use super::board::SelfTest;
use crate::clock;

/// A body larger than this is taken apart on a thread that may take its time: the largest one
/// that a hostile sender could make takes some 0.3 s, one of this size 5 ms.
const INLINE_BYTES: usize = 64 * 1024;
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
    answers: Arc<Answers>,
    self_test: Arc<SelfTest>,
}

impl StoreAdmit {
    /// `answers` are handed out by [`Answers::hand_out`], which has to run; what `self_test` recognises is no
    /// webhook of Meta's.
    pub(super) const fn new(store: Arc<Store>, answers: Arc<Answers>, self_test: Arc<SelfTest>) -> Self {
        Self { store, answers, self_test }
    }
}

impl Admit for StoreAdmit {
    fn admit(&self, body: Bytes, place: Place) -> impl Future<Output = Result<(), Refusal>> + Send {
        let (sender, answer) = oneshot::channel();
        let asked = Asked { sender, place };
        let received_at = clock::now();
        if self.self_test.is(&body) {
            let answers = Arc::clone(&self.answers);
            let answer = Box::new(move |result| answers.put(asked, result));
            self.store.transact(SelfTest::transaction(), received_at, answer);
        } else if body.len() <= INLINE_BYTES {
            append(&self.store, &self.answers, &body, received_at, asked);
        } else {
            let (store, answers) = (Arc::clone(&self.store), Arc::clone(&self.answers));
            tokio::task::spawn_blocking(move || append(&store, &answers, &body, received_at, asked));
        }
        async {
            match timeout(PATIENCE, answer).await {
                Ok(Ok(result)) => result.map_err(refusal),
                Ok(Err(_)) => Err(refusal(Refused::Closed)),
                Err(_) => Err(refusal(Refused::Busy)),
            }
        }
    }
}

fn append(store: &Store, answers: &Arc<Answers>, body: &[u8], received_at: WallTime, asked: Asked) {
    let answers = Arc::clone(answers);
    store.append(records::digest(body), received_at, Box::new(move |result| answers.put(asked, result)));
}

const fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Full => Refusal { reason: Reason::Full, retry_after: FULL_RETRY },
        Refused::Busy => Refusal { reason: Reason::Busy, retry_after: BUSY_RETRY },
        Refused::Disk | Refused::Closed | _ => Refusal { reason: Reason::Broken, retry_after: BUSY_RETRY },
    }
}
