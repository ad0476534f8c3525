//! The health gate: what a version on trial has to show before it stays.
//!
//! A webhook of its own on the disk, then twenty seconds in which the store's writer answers and the store has
//! nothing to complain of. The CRM, Meta, the network and the clock are asked for nothing: an update that goes
//! well while the line is down is an update that goes well. A version that doesn't pass is ended by the
//! supervisor, which counts the time.

use std::time::Duration;

use board::BoardError;
use tokio::time::{Instant, sleep};

/// So long all has to be well behind the self-test.
const HOLD: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a self-test that failed, or a commit that was refused.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    SelfTest,
    Look,
    Commit,
}

/// How far the proof is. Times are since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Gate {
    tested: bool,
    well_since: Option<Duration>,
}

impl Gate {
    fn next(&self, now: Duration) -> Step {
        match self.well_since {
            _ if !self.tested => Step::SelfTest,
            Some(since) if now.saturating_sub(since) >= HOLD => Step::Commit,
            _ => Step::Look,
        }
    }

    const fn tested(&mut self, passed: bool) {
        self.tested = passed;
    }

    /// Something is wrong: the time begins anew with the next look at which all is well.
    fn looked(&mut self, well: bool, now: Duration) {
        self.well_since = if well { self.well_since.or(Some(now)) } else { None };
    }
}

/// A version on trial, as the gate sees it. What isn't well is said in words for the log.
pub(super) trait Trial: Send {
    /// Posts a webhook to the box's own public listener; `Ok` when it is answered as stored.
    fn self_test(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Whether the store's writer answers, and the store is well.
    fn look(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Makes the version stay.
    fn commit(&mut self) -> impl Future<Output = Result<(), BoardError>> + Send;
}

/// Returns when the version is committed.
pub(super) async fn pass(mut trial: impl Trial) {
    let begun = Instant::now();
    let mut gate = Gate::default();
    loop {
        match gate.next(begun.elapsed()) {
            Step::SelfTest => {
                let result = trial.self_test().await;
                gate.tested(result.is_ok());
                match result {
                    Ok(()) => tracing::info!("self-test passed: a webhook of our own is on disk"),
                    Err(why) => {
                        tracing::error!("this version can't be committed yet: the self-test failed: {why}");
                        sleep(TRY_AGAIN).await;
                    }
                }
            }
            Step::Look => {
                let result = trial.look().await;
                gate.looked(result.is_ok(), begun.elapsed());
                if let Err(why) = result {
                    tracing::error!("this version can't be committed yet: {why}");
                }
                sleep(LOOK_EVERY).await;
            }
            Step::Commit => match trial.commit().await {
                Ok(()) => {
                    tracing::info!("this version has proved itself and stays");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "this version has proved itself, but the commit was refused");
                    sleep(TRY_AGAIN).await;
                    // A board that refuses for a while is no reason to overlook what happens meanwhile.
                    gate.looked(trial.look().await.is_ok(), begun.elapsed());
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use board::Code;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a trial does at which time since its start, and what was asked of it when.
    struct Script {
        begun: Instant,
        self_test: fn(Duration) -> bool,
        look: fn(Duration) -> bool,
        commit: fn(Duration) -> bool,
        asked: Arc<Mutex<Vec<(Step, Duration)>>>,
    }

    impl Script {
        fn ask(&self, step: Step, does: fn(Duration) -> bool) -> bool {
            let at = self.begun.elapsed();
            self.asked.lock().unwrap().push((step, at));
            does(at)
        }
    }

    impl Trial for Script {
        async fn self_test(&mut self) -> Result<(), String> {
            self.ask(Step::SelfTest, self.self_test).then_some(()).ok_or_else(|| "no".to_owned())
        }

        async fn look(&mut self) -> Result<(), String> {
            self.ask(Step::Look, self.look).then_some(()).ok_or_else(|| "no".to_owned())
        }

        async fn commit(&mut self) -> Result<(), BoardError> {
            let done = self.ask(Step::Commit, self.commit);
            done.then_some(()).ok_or_else(|| BoardError::new(Code::Io, "no"))
        }
    }

    /// When it was committed, within ten minutes; and all that was asked.
    async fn run(
        self_test: fn(Duration) -> bool,
        look: fn(Duration) -> bool,
        commit: fn(Duration) -> bool,
    ) -> (Option<Duration>, Vec<(Step, Duration)>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let begun = Instant::now();
        let script = Script { begun, self_test, look, commit, asked: Arc::clone(&asked) };
        let passed = tokio::time::timeout(SECOND * 600, pass(script)).await;
        let asked = asked.lock().unwrap().clone();
        (passed.ok().map(|()| begun.elapsed()), asked)
    }

    const ALWAYS: fn(Duration) -> bool = |_| true;
    const NEVER: fn(Duration) -> bool = |_| false;

    #[tokio::test(start_paused = true)]
    async fn who_is_well_is_committed_after_twenty_seconds() {
        let (when, asked) = run(ALWAYS, ALWAYS, ALWAYS).await;
        assert_eq!(when, Some(HOLD));
        let looks = asked.iter().filter(|(step, _)| *step == Step::Look).count();
        assert_eq!(looks, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_webhook_on_disk_nothing_is_ever_committed() {
        let (when, asked) = run(NEVER, ALWAYS, ALWAYS).await;
        assert_eq!(when, None);
        assert!(asked.iter().all(|(step, _)| *step == Step::SelfTest), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_begins_the_twenty_seconds_anew() {
        let hangs_at_19: fn(Duration) -> bool = |at| !(SECOND * 18..SECOND * 22).contains(&at);
        let (when, _) = run(ALWAYS, hangs_at_19, ALWAYS).await;
        assert_eq!(when, Some(SECOND * 22 + HOLD));
        assert_eq!(run(ALWAYS, NEVER, ALWAYS).await.0, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_commit_is_tried_again_while_all_stays_well() {
        let (when, _) = run(ALWAYS, ALWAYS, |at| at >= SECOND * 60).await;
        assert_eq!(when, Some(SECOND * 60));
        let sick_after_30: fn(Duration) -> bool = |at| at < SECOND * 30;
        assert_eq!(run(ALWAYS, sick_after_30, |at| at >= SECOND * 60).await.0, None);
    }

    proptest! {
        /// Whatever comes: a commit is never due unless the self-test has passed and every look of the last
        /// twenty seconds was well.
        #[test]
        fn nothing_is_committed_that_was_not_well_for_long_enough(looks in prop::collection::vec((any::<bool>(), 0_u64..8), 1..60)) {
            let mut gate = Gate::default();
            prop_assert_eq!(gate.next(SECOND * 1000), Step::SelfTest);
            gate.tested(true);
            let (mut now, mut sick_at) = (0, None);
            let mut first = None;
            for (well, pause) in looks {
                now += pause;
                gate.looked(well, SECOND * u32::try_from(now).unwrap());
                first = first.or(Some(now));
                if !well {
                    sick_at = Some(now);
                }
                let due = gate.next(SECOND * u32::try_from(now).unwrap()) == Step::Commit;
                let since = sick_at.or(first).unwrap();
                prop_assert!(!due || now - since >= HOLD.as_secs());
            }
        }
    }
}
