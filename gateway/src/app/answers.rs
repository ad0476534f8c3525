//! The store's answers on their way back to those who wait for them.
//!
//! The store's writer answers a whole group at a time. To wake each waiting task from the writer's
//! thread would be a system call each; here the first answer of a burst wakes one task, which hands
//! out all that have come by then on the thread where the others live.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ingress::Place;
use store::Refused;
use tokio::sync::{Notify, oneshot};

/// Somebody who waits for the store's word on a webhook.
pub(super) struct Asked {
    /// Where the answer goes.
    pub(super) sender: oneshot::Sender<Result<(), Refused>>,
    /// The webhook's place, free again with the answer.
    pub(super) place: Place,
}

/// Answers that have come and aren't handed out yet: never more than there are places.
#[derive(Default)]
pub(super) struct Answers {
    come: Mutex<Vec<(Asked, Result<(), Refused>)>>,
    told: Notify,
}

impl Answers {
    /// Takes an answer; of any thread, and without waiting.
    pub(super) fn put(&self, asked: Asked, answer: Result<(), Refused>) {
        let first = {
            let mut come = self.come();
            come.push((asked, answer));
            come.len() == 1
        };
        if first {
            self.told.notify_one();
        }
    }

    /// Hands out answers for as long as it is polled.
    pub(super) async fn hand_out(&self) {
        let mut taken = Vec::new();
        loop {
            self.told.notified().await;
            std::mem::swap(&mut *self.come(), &mut taken);
            for (Asked { sender, place }, answer) in taken.drain(..) {
                // The sender of the webhook may have hung up.
                let _ = sender.send(answer);
                drop(place);
            }
        }
    }

    fn come(&self) -> MutexGuard<'_, Vec<(Asked, Result<(), Refused>)>> {
        self.come.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
