//! Gathering the questions of one turn.

use std::time::Duration;

use tokio::sync::mpsc;

use super::Question;

/// Questions that share a turn.
pub(super) const QUESTIONS_A_TURN: usize = 64;

/// Takes what else is asked by now, and in a moment where that makes turns that are worth a sync.
pub(super) fn gather(
    asked: &mut mpsc::Receiver<Question>,
    questions: &mut Vec<Question>,
    company_wait: impl FnOnce() -> Duration,
) {
    let mut take = |questions: &mut Vec<_>| {
        while questions.len() < QUESTIONS_A_TURN
            && let Ok(question) = asked.try_recv()
        {
            questions.push(question);
        }
    };
    take(questions);
    if !questions.is_empty() {
        // A few milliseconds at most, and mostly less than one, which the runtime's timers don't know; all else on
        // this thread can wait so long.
        std::thread::sleep(company_wait());
        take(questions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_is_heard_whatever_woke_the_thread() {
        let (sender, mut asked) = mpsc::channel::<Question>(QUESTIONS_A_TURN + 1);
        let question = || -> Question { Box::new(|_| Ok(Box::new(|_| ()))) };
        let mut questions = Vec::new();
        gather(&mut asked, &mut questions, || Duration::MAX);
        assert!(questions.is_empty(), "and nobody is waited for when none has asked");
        sender.try_send(question()).unwrap();
        gather(&mut asked, &mut questions, || {
            sender.try_send(question()).unwrap();
            Duration::ZERO
        });
        assert_eq!(questions.len(), 2, "the second has come meanwhile");
        for _ in 0..QUESTIONS_A_TURN {
            sender.try_send(question()).unwrap();
        }
        gather(&mut asked, &mut questions, || Duration::ZERO);
        assert_eq!(questions.len(), QUESTIONS_A_TURN, "a turn has its bound");
    }
}
