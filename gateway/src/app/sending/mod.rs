//! The way out: the thread that owns the outbox, and how the rest of the program asks it.
//!
//! Everything that is asked is a closure over a turn of the outbox ([`outbox::Turn`]). Questions that come together share a
//! turn, and a turn is one transaction: who asked is answered when it is durable, in the same sync as the webhooks
//! of that moment.

mod calls;
#[cfg(test)]
pub(crate) mod fake;
mod gather;
mod journal;
mod leaps;
mod metrics;
mod notes;
mod routes;
mod settings;
mod status;
mod table;
mod thread;
mod tokens;
mod trouble;
mod work;

use std::time::Duration;

use outbox::{Clear, Other, TableError, Turn};
use store::Refused;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::calls::{ended, seen};
pub(crate) use self::routes::{Routes, Ways, endpoint};
pub(crate) use self::status::{Shown, Status, blocked};
pub(super) use self::thread::{Heard, SendingThread};

/// Questions that wait for the outbox; one more waits with its caller.
const QUESTIONS_MAX: usize = 256;

/// The end of a call, or of a wait, that couldn't be noted is tried again so much later.
const AGAIN: Duration = Duration::from_secs(1);
/// The end of a wait is told so often at most: a minute later the wait is mostly over by itself.
const CLEAR_MAX: u32 = 60;

/// Answers its caller, once it is known whether the turn is durable: on the thread of the store's writer, which is to
/// do nothing else for it.
type Answer = Box<dyn FnOnce(Result<(), Refused>) + Send>;
/// Does its part of a turn.
pub(super) type Question = Box<dyn FnOnce(&mut Turn<'_>) -> Result<Answer, TableError> + Send>;

/// The way to the outbox.
#[derive(Clone)]
pub(crate) struct Sending {
    questions: mpsc::Sender<Question>,
}

/// The outbox didn't answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendingError {
    /// It couldn't be made durable: nothing of it holds.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// It can't be read, or is being stopped.
    #[error("the outbox can't be asked now")]
    Gone,
}

impl Sending {
    pub(super) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        (Self { questions }, asked)
    }

    /// Asks in a turn of the outbox; what it answers holds, and is durable.
    ///
    /// # Errors
    /// When the turn couldn't be made durable, or read; nothing of it holds then.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Turn<'_>) -> Result<T, TableError> + Send + 'static,
    ) -> Result<T, SendingError> {
        let (sender, receiver) = oneshot::channel();
        let question: Question = Box::new(move |turn| {
            let answer = ask(turn)?;
            // Who hung up is told nothing.
            Ok(Box::new(move |durable: Result<(), Refused>| _ = sender.send(durable.map(|()| answer))))
        });
        self.questions.send(question).await.map_err(|_| SendingError::Gone)?;
        Ok(receiver.await.map_err(|_| SendingError::Gone)??)
    }

    /// Gives up a call that [`Turn::take_call`] has taken, for as long as it takes: a place in flight that is
    /// never given up is lost until the next start.
    pub(crate) async fn end_call(&self, number: String, other: Other, unsent: bool) {
        loop {
            let name = number.clone();
            match self.ask(move |turn| turn.end_call(&name, other, unsent)).await {
                Ok(()) => return,
                Err(_) if self.questions.is_closed() => return,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// What a number waits for because of its endpoint is over ([`Turn::way_is_clear`]). A disk that takes nothing is
    /// asked again: the messages would wait for minutes otherwise.
    pub(crate) async fn way_is_clear(&self, number: String, clear: Clear) {
        self.say_clear(number, clear, AGAIN).await;
    }

    async fn say_clear(&self, number: String, clear: Clear, again: Duration) {
        for _ in 0..CLEAR_MAX {
            let name = number.clone();
            match self.ask(move |turn| turn.way_is_clear(&name, clear)).await {
                Ok(()) => return,
                Err(_) if self.questions.is_closed() => return,
                Err(_) => tokio::time::sleep(again).await,
            }
        }
        tracing::debug!("what waits for an endpoint goes on waiting");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn clear(sending: &Sending) -> tokio::task::JoinHandle<()> {
        let sending = sending.clone();
        tokio::spawn(async move { sending.say_clear("1".to_owned(), Clear::Another, Duration::ZERO).await })
    }

    #[tokio::test]
    async fn that_a_way_is_clear_is_said_until_it_is_taken() {
        let (sending, mut asked) = Sending::new();
        let told = clear(&sending);
        // Refused, and then taken by an outbox.
        drop(asked.recv().await.unwrap());
        drop(asked.recv().await.unwrap());
        let question = asked.recv().await.unwrap();
        let settings = outbox::Settings {
            numbers: BTreeMap::new(),
            send_again_after_ms: [None; 3],
            history_ms: 1,
            rates: None,
        };
        let (taking, _fake) = fake::start(settings, 1_795_168_800_000);
        taking.questions.send(question).await.unwrap();
        told.await.unwrap();
        assert!(asked.try_recv().is_err(), "and no more");
    }

    #[tokio::test]
    async fn that_a_way_is_clear_is_said_for_a_minute_and_not_to_who_is_gone() {
        let (sending, mut asked) = Sending::new();
        let told = clear(&sending);
        for _ in 0..CLEAR_MAX {
            drop(asked.recv().await.unwrap());
        }
        told.await.unwrap();
        assert!(asked.try_recv().is_err());

        let told = clear(&sending);
        drop(asked.recv().await.unwrap());
        drop(asked);
        told.await.unwrap();
    }
}
