//! Asking the store's writer for a sign of life, with an end to the patience.

use std::sync::Arc;
use std::time::Duration;

use store::{Answer, Refused, Store};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

/// How long after a full queue the writer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Somebody who answers when asked for a sign of life, as [`Store::ping`].
pub(in super::super) trait Pinged: Send + Sync {
    /// Asks. `answer` is called once, and perhaps never.
    fn ping(&self, answer: Answer);
}

impl Pinged for Arc<Store> {
    fn ping(&self, answer: Answer) {
        Store::ping(self, answer);
    }
}

/// A question to the writer. There is one at a time, however long it takes: a writer that hangs isn't asked twice.
#[derive(Debug)]
pub(in super::super) struct Probe<W> {
    writer: W,
    since: Option<Instant>,
    asked: Option<oneshot::Receiver<Result<(), Refused>>>,
}

impl<W: Pinged> Probe<W> {
    pub(in super::super) const fn new(writer: W) -> Self {
        Self { writer, since: None, asked: None }
    }

    /// How long the writer took to answer, from when it was first asked; `None` where it didn't in the time from
    /// now on that is given.
    pub(super) async fn ask(&mut self, within: Duration) -> Option<Duration> {
        let deadline = Instant::now() + within;
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            let answer = match &mut self.asked {
                Some(asked) => asked,
                None => {
                    let (sender, answer) = oneshot::channel();
                    // Who asked may be gone by the time of the answer.
                    self.writer.ping(Box::new(move |result| _ = sender.send(result)));
                    self.asked.insert(answer)
                }
            };
            let answer = timeout_at(deadline, answer).await.ok()?;
            self.asked = None;
            if answer == Ok(Ok(())) {
                self.since = None;
                return Some(since.elapsed());
            }
            // A full queue says nothing, and without a writer nothing more will come.
            if Instant::now() + ASK_AGAIN >= deadline {
                tokio::time::sleep_until(deadline).await;
                return None;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// How long an answer has been waited for.
    pub(super) fn waiting(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// What a writer does when it is asked.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) enum Does {
        Answers,
        IsFull,
        Hangs,
    }

    /// A writer for tests. Clones are the same one.
    #[derive(Clone)]
    pub(in super::super) struct Writer(Arc<Mutex<(Does, Vec<Answer>)>>);

    impl Writer {
        pub(in super::super) fn new(does: Does) -> Self {
            Self(Arc::new(Mutex::new((does, Vec::new()))))
        }

        /// From now on; what hung is answered where it doesn't hang any more. Says how many waited.
        pub(in super::super) fn now(&self, does: Does) -> usize {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.0 = does;
            let waiting = if does == Does::Answers { std::mem::take(&mut inner.1) } else { Vec::new() };
            let count = waiting.len();
            waiting.into_iter().for_each(|answer| answer(Ok(())));
            count
        }
    }

    impl Pinged for Writer {
        fn ping(&self, answer: Answer) {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match inner.0 {
                Does::Answers => answer(Ok(())),
                Does::IsFull => answer(Err(Refused::Busy)),
                Does::Hangs => inner.1.push(answer),
            }
        }
    }

    const TEN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_hangs_is_asked_once_and_its_late_answer_counts() {
        let writer = Writer::new(Does::Hangs);
        let mut probe = Probe::new(writer.clone());
        for round in 1..=3 {
            assert_eq!(probe.ask(TEN).await, None);
            assert_eq!(probe.waiting(), TEN * round);
        }
        assert_eq!(writer.now(Does::Answers), 1, "asked once");
        assert_eq!(probe.ask(TEN).await, Some(TEN * 3));
        assert_eq!((probe.ask(TEN).await, probe.waiting()), (Some(Duration::ZERO), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_asked_again_until_the_time_is_up() {
        let writer = Writer::new(Does::IsFull);
        let mut probe = Probe::new(writer.clone());
        let start = Instant::now();
        assert_eq!((probe.ask(TEN).await, start.elapsed()), (None, TEN));
        let later = writer.clone();
        tokio::spawn(async move {
            sleep(TEN / 2).await;
            later.now(Does::Answers);
        });
        let took = probe.ask(TEN).await.unwrap();
        assert!((TEN + TEN / 2..TEN * 2).contains(&took), "{took:?}");
    }
}
