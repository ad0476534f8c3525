//! The loop of the sending thread: gather, decide in a turn, make it durable, act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Sequence;
use outbox::{Call, Called, Done, Outbox, TableError};
use policy::sending::{Clock, Reading};
use records::Numbers;
use ring::rand::SecureRandom as _;
use store::{Refused, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::calls;
use super::gather::{QUESTIONS_A_TURN, gather};
use super::journal::{RECORDS_A_TURN, Said};
use super::leaps::Leaps;
use super::metrics::Metrics;
use super::notes::Notes;
use super::routes::{Routes, Ways};
use super::status::Status;
use super::table::StoreTable;
use super::tokens::Tokens;
use super::trouble::Trouble;
use super::{Answer, Question};
use crate::app::events::Events;
use crate::app::time::Agreed;
use crate::clock;

/// A turn takes no more questions past so many bytes: a transaction has its bound.
const TURN_BYTES: usize = 256 * 1024;
/// What comes in is read so much later, with what comes meanwhile; a question reads it at once.
const JOURNAL_WAIT: Duration = Duration::from_millis(100);
/// What only the journal says is written so much later at the latest, or when there is so much of it.
const CARRY_FOR: Duration = Duration::from_secs(60);
const CARRY_MAX: usize = 1_024;
const CARRY_BYTES: usize = TURN_BYTES / 2;
/// After a turn that couldn't be made durable, or read.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The same at a stop, which waits for it.
const RETRY_SOON: Duration = Duration::from_millis(100);
/// Nothing is waited for longer, so that what is shown doesn't grow old.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Calls in flight have so long at a stop.
const DRAIN: Duration = Duration::from_secs(9);
/// What is shown is put together no more often.
const SHOW_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Work {
    pub(super) outbox: Outbox,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) began: Instant,
    pub(super) leaps: Leaps,
    pub(super) asked: mpsc::Receiver<Question>,
    pub(super) tail: watch::Receiver<egress::Tail>,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    /// What time servers say, where the box asks any.
    pub(super) agreed: watch::Receiver<Option<Agreed>>,
    pub(super) ways: Ways,
    pub(super) numbers: Arc<Numbers>,
    pub(super) notes: Notes,
    pub(super) events: Events,
    pub(super) status: watch::Sender<Status>,
    pub(super) metrics: Metrics,
    pub(super) random: ring::rand::SystemRandom,
    pub(super) tokens: Tokens,
    /// Answered, and not yet in a durable turn.
    pub(super) answered: Vec<Called>,
    pub(super) in_flight: JoinSet<(Called, Option<i64>)>,
    /// Where calls are made: not on this thread, which waits for the disk.
    pub(super) calls_on: tokio::runtime::Handle,
    pub(super) carried_since: Option<Instant>,
    pub(super) shown_at: Option<Instant>,
    /// Something has changed since then.
    pub(super) unshown: bool,
    /// What is stopped is to be tried again, for the tokens are new.
    pub(super) resume: bool,
    /// Accounts and one of their numbers, as records name them together.
    pub(super) accounts: BTreeMap<String, String>,
    /// The journal is passed over up to here.
    pub(super) skip_to: Sequence,
    /// Records, answers and questions that a turn takes: fewer after one that was too large.
    pub(super) most: usize,
}

/// What a turn comes to.
struct Decided {
    done: Done,
    answers: Vec<Answer>,
    /// Another turn is due at once.
    more: bool,
    /// Answers of Graph that it has taken in.
    answered: usize,
    leapt: i64,
}

impl Work {
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut due = Instant::now();
        let mut questions = Vec::new();
        loop {
            let mut wait = tokio::time::Instant::from_std(due);
            if !self.journal_is_read() {
                wait = wait.min(tokio::time::Instant::now() + JOURNAL_WAIT);
            }
            tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(call) = self.in_flight.join_next() => self.take_answer(call),
                Some(question) = self.asked.recv(), if questions.len() < QUESTIONS_A_TURN => {
                    questions.push(question);
                }
                () = tokio::time::sleep_until(wait) => {}
                changed = self.tail.changed() => {
                    // At most one turn for all that comes in a while.
                    if changed.is_err() || Instant::now() < due {
                        due = due.min(Instant::now() + JOURNAL_WAIT);
                        continue;
                    }
                }
            }
            while let Some(call) = self.in_flight.try_join_next() {
                self.take_answer(call);
            }
            gather(&mut self.asked, &mut questions, || self.store.company_wait());
            if self.routes.has_changed().unwrap_or(false) {
                self.routes.mark_unchanged();
                self.tokens.replaced();
                self.resume = true;
            }
            self.hear_time_servers();
            let routes = self.routes.borrow().clone();
            questions.extend(self.tokens.due(&routes));
            let wait = self.turn(&mut questions, true).await.unwrap_or(RETRY_AFTER);
            due = Instant::now() + wait.min(if self.unshown { SHOW_EVERY } else { IDLE_MAX });
        }
        self.drain().await;
    }

    /// Lets calls in flight end, and writes down what became of them.
    async fn drain(&mut self) {
        self.asked.close();
        let end = tokio::time::Instant::now() + DRAIN;
        while let Ok(Some(call)) = tokio::time::timeout_at(end, self.in_flight.join_next()).await {
            self.take_answer(call);
        }
        self.carried_since = self.carried_since.and(Instant::now().checked_sub(CARRY_FOR));
        while self.turn(&mut Vec::new(), false).await.is_none() || !self.answered.is_empty() {
            if tokio::time::Instant::now() >= end {
                tracing::error!(
                    "what became of the last calls couldn't be noted: they are uncertain at the next start"
                );
                return;
            }
            tokio::time::sleep(RETRY_SOON).await;
        }
    }

    fn take_answer(&mut self, call: Result<(Called, Option<i64>), tokio::task::JoinError>) {
        match call {
            Ok((called, date_ms)) => {
                self.metrics.called(&called.number, &called.outcome);
                let reading = self.reading();
                if let Some(date_ms) = date_ms {
                    self.clock.heard(date_ms, reading);
                }
                self.answered.push(called);
            }
            // A release ends with the panic; what was posted is uncertain at the next start.
            Err(error) => tracing::error!(%error, "a call has panicked"),
        }
    }

    fn reading(&self) -> Reading {
        let mono_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Reading { wall_ms: clock::now().0, mono_ms }
    }

    /// Tells the clock what time servers have said since the last look, which may be [`IDLE_MAX`] ago.
    fn hear_time_servers(&mut self) {
        if !self.agreed.has_changed().unwrap_or(false) {
            return;
        }
        let word = *self.agreed.borrow_and_update();
        if let Some(Agreed { now_ms, at }) = word {
            let passed = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
            let reading = self.reading();
            self.clock.agreed(now_ms.saturating_add(passed), reading);
            self.unshown = true;
        }
    }

    fn journal_is_read(&self) -> bool {
        self.outbox.cursor() >= self.tail.borrow().newest
    }

    /// One turn; says how long the next may wait, or nothing if this one came to nothing.
    async fn turn(&mut self, questions: &mut Vec<Question>, go_on: bool) -> Option<Duration> {
        let reading = self.reading();
        // What can't be read now is read later: those who ask aren't kept waiting for it.
        let (said, unread) = match self.journal(reading) {
            Ok(said) => (said, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let now = self.clock.now_ms(reading);
        let leapt = self.leaps.untold(now, reading);
        let first = said.first().map(|(sequence, _)| *sequence);
        let decided = match self.decide(said, questions, now, leapt, go_on && unread.is_none()) {
            Ok(decided) => decided,
            Err(error) => {
                // They are told so, and may ask again.
                questions.clear();
                self.give_up(&Trouble::Read(error));
                return None;
            }
        };
        let more = decided.more || !questions.is_empty();
        match self.make_durable(decided, now).await {
            Ok(next) => {
                if let Some(error) = unread {
                    self.give_up(&Trouble::Read(error));
                    return None;
                }
                Some(if more || !self.journal_is_read() { Duration::ZERO } else { next })
            }
            Err(refused) => {
                if refused == Refused::TooLarge {
                    self.make_smaller(first);
                }
                self.give_up(&Trouble::Refused(refused));
                None
            }
        }
    }

    fn decide(
        &self,
        said: Vec<Said>,
        questions: &mut Vec<Question>,
        now: i64,
        leapt: i64,
        go_on: bool,
    ) -> Result<Decided, TableError> {
        let table = StoreTable::new(&self.store);
        let mut turn = self.outbox.turn(&table, now);
        turn.leapt(leapt);
        turn.known_to(self.skip_to);
        let (mut learned, mut answered) = (0, 0);
        for called in self.answered.iter().take(self.most) {
            if answered > 0 && turn.bytes() >= TURN_BYTES {
                break;
            }
            turn.called(called.clone())?;
            answered += 1;
        }
        for (sequence, facts) in said {
            if learned > 0 && turn.bytes() >= TURN_BYTES {
                break;
            }
            for fact in facts {
                turn.learn(fact)?;
            }
            turn.known_to(sequence);
            learned += 1;
        }
        if self.resume {
            turn.resume()?;
        }
        let mut answers = Vec::with_capacity(questions.len());
        let mut left = std::mem::take(questions).into_iter();
        while answers.is_empty() || (answers.len() < self.most && turn.bytes() < TURN_BYTES) {
            let Some(question) = left.next() else { break };
            answers.push(question(&mut turn)?);
        }
        // The rest is of the next turn.
        questions.extend(left);
        // Windows are judged by all that has come in.
        let read = turn.cursor() >= self.tail.borrow().newest;
        let more = go_on && read && turn.bytes() < TURN_BYTES && turn.advance()?;
        Ok(Decided { done: turn.finish()?, answers, more, answered, leapt })
    }

    /// Makes a turn durable and acts on it; says how long the next may wait.
    async fn make_durable(&mut self, decided: Decided, now: i64) -> Result<Duration, Refused> {
        let Decided { mut done, answers, answered, leapt, .. } = decided;
        let next = done.next_ms.map_or(IDLE_MAX, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)).min(IDLE_MAX)
        });
        let bytes: usize =
            done.changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        let due = self.carried_since.is_some_and(|since| since.elapsed() >= CARRY_FOR);
        let large = done.changes.len() >= CARRY_MAX || bytes >= CARRY_BYTES;
        if !done.urgent && !(bytes > 0 && (due || large)) {
            self.events.messages(&done.stood);
            self.outbox.carry(done);
            if bytes > 0 {
                self.carried_since.get_or_insert_with(Instant::now);
            }
            for answer in answers {
                answer(Ok(()));
            }
            self.show(now, false);
            return Ok(next);
        }
        let (sender, durable) = oneshot::channel();
        let changes = std::mem::take(&mut done.changes).into_iter();
        let transaction = store::Transaction {
            changes: changes.map(|(key, value)| store::Change { key, value }).collect(),
            items: self.notes.items(&done.notes, now),
            // What has happened is to be noted whatever the budget says; it is the API that takes in no more.
            essential: true,
        };
        // Who asked is answered by the writer, and doesn't wait for this thread to wake up.
        let answer = move |result| {
            answers.into_iter().for_each(|answer| answer(result));
            _ = sender.send(result);
        };
        self.store.transact(transaction, clock::now(), Box::new(answer));
        durable.await.unwrap_or(Err(Refused::Closed))?;
        self.metrics.committed();
        self.leaps.told(leapt);
        self.answered.drain(..answered);
        self.carried_since = None;
        self.resume = false;
        self.most = self.most.saturating_mul(2).min(RECORDS_A_TURN);
        self.outbox.commit(&done);
        self.events.messages(&done.stood);
        for call in done.calls {
            self.make(call);
        }
        self.show(now, true);
        Ok(next)
    }

    /// Makes a call, whose intent is durable.
    fn make(&mut self, call: Call) {
        let mut chance = [0; 8];
        // Without chance the jitter is nothing: the calls of one box alone hardly need it.
        let _ = self.random.fill(&mut chance);
        let Some((graph, live)) = self.ways.begin(&call.number, false) else {
            let outcome = model::Outcome::NotSent { reason: "the number has no endpoint".to_owned() };
            self.answered.push(Called {
                id: call.id,
                number: call.number,
                endpoint: String::new(),
                left: false,
                outcome,
                slow_for_ms: None,
                chance: 0,
            });
            return;
        };
        let post = calls::post(graph, live, call, u64::from_ne_bytes(chance));
        self.in_flight.spawn_on(post, &self.calls_on);
    }

    /// Shows how things stand, now and then.
    fn show(&mut self, now: i64, changed: bool) {
        self.unshown |= changed;
        let every = if self.unshown { SHOW_EVERY } else { IDLE_MAX };
        if self.shown_at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        let table = StoreTable::new(&self.store);
        let turn = self.outbox.turn(&table, now);
        let look = || Ok::<_, TableError>((turn.ways()?, turn.quotas()?, turn.balance()?));
        let Ok((ways, quotas, balance)) = look() else { return };
        self.shown_at = Some(Instant::now());
        self.unshown = false;
        self.status.send_replace(Status {
            ways,
            quotas,
            balance,
            clock_trusted: self.clock.is_trusted(),
            proved_ms: self.clock.proved_ms(self.reading()),
            now_ms: now,
            tokens: self.tokens.shown(now),
            trouble: None,
        });
    }
}
