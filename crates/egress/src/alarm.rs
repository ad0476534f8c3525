//! A timer that is set again for every request and rarely touched.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes its task at a deadline that moves on with every use.
///
/// A timer stays registered at the deadline of an earlier use and is moved only when it goes off
/// before its time: once per timeout, not once per request.
#[derive(Debug)]
pub(crate) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// An alarm that is first used with `deadline`.
    pub(crate) fn new(deadline: Instant) -> Self {
        Self(Box::pin(sleep_until(deadline)))
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline < self.0.deadline() {
            self.0.as_mut().reset(deadline);
        }
        loop {
            ready!(self.0.as_mut().poll(context));
            if self.0.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_off_at_the_deadline_that_was_asked_for_last() {
        let start = Instant::now();
        let mut alarm = Alarm::new(start + Duration::from_secs(10));
        for seconds in [10, 17, 18, 40] {
            let deadline = start + Duration::from_secs(seconds);
            poll_fn(|context| alarm.poll(context, deadline)).await;
            assert_eq!(Instant::now(), deadline);
        }
        let mut alarm = Alarm::new(start + Duration::from_secs(100));
        let deadline = start + Duration::from_secs(50);
        poll_fn(|context| alarm.poll(context, deadline)).await;
        assert_eq!(Instant::now(), deadline, "an earlier one, too");
    }
}
