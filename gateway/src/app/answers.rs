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
pub(super) struct Asked<P = Place> {
    /// Where the answer goes.
    pub(super) sender: oneshot::Sender<Result<(), Refused>>,
    /// The webhook's place, free again with the answer.
    pub(super) place: P,
}

type Come<P> = Vec<(Asked<P>, Result<(), Refused>)>;

/// Answers that have come and aren't handed out yet: never more than there are places.
pub(super) struct Answers<P = Place> {
    come: Mutex<Come<P>>,
    told: Notify,
}

impl<P> Default for Answers<P> {
    fn default() -> Self {
        Self { come: Mutex::default(), told: Notify::new() }
    }
}

impl<P> Answers<P> {
    /// Takes an answer; of any thread, and without waiting.
    pub(super) fn put(&self, asked: Asked<P>, answer: Result<(), Refused>) {
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

    fn come(&self) -> MutexGuard<'_, Come<P>> {
        self.come.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Poll;

    use super::*;

    type Waiting = oneshot::Receiver<Result<(), Refused>>;

    /// Two who wait; each has a part of the place.
    fn two(place: &Arc<()>) -> [(Asked<Arc<()>>, Waiting); 2] {
        std::array::from_fn(|_| {
            let (sender, answer) = oneshot::channel();
            (Asked { sender, place: Arc::clone(place) }, answer)
        })
    }

    #[tokio::test]
    async fn everybody_gets_the_own_answer_and_gives_the_place_back() {
        let (answers, place) = (Arc::new(Answers::default()), Arc::new(()));
        let handing = Arc::clone(&answers);
        let handing = tokio::spawn(async move { handing.hand_out().await });
        for _ in 0..3 {
            let [(first, one), (second, other)] = two(&place);
            let writer = Arc::clone(&answers);
            std::thread::spawn(move || {
                writer.put(first, Ok(()));
                writer.put(second, Err(Refused::Full));
            });
            assert_eq!((one.await, other.await), (Ok(Ok(())), Ok(Err(Refused::Full))));
        }
        handing.abort();
        assert!(handing.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[tokio::test]
    async fn those_that_come_together_are_one_wake() {
        let (answers, place) = (Answers::default(), Arc::new(()));
        let woken = Arc::new(Counted::default());
        let waker = std::task::Waker::from(Arc::clone(&woken));
        let mut context = std::task::Context::from_waker(&waker);
        let mut handing = std::pin::pin!(answers.hand_out());
        assert_eq!(handing.as_mut().poll(&mut context), Poll::Pending);
        let [(first, mut one), (second, mut other)] = two(&place);
        answers.put(first, Ok(()));
        answers.put(second, Ok(()));
        assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(handing.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!((one.try_recv(), other.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
    }

    #[derive(Default)]
    struct Counted(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}
