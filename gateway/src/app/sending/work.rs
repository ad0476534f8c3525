//! The loop of the sending thread: gather, decide in a turn, make it durable, act.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Fact, Record, Says, Sequence};
use outbox::{Call, Called, Done, Outbox, TableError};
use policy::sending::{Clock, Reading};
use records::Numbers;
use ring::rand::SecureRandom as _;
use store::{Query, ReadError, Refused, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::calls::{self, Calls};
use super::leaps::Leaps;
use super::metrics::Metrics;
use super::notes::Notes;
use super::routes::Routes;
use super::status::Status;
use super::table::StoreTable;
use super::tokens::Tokens;
use super::{Answer, Question};
use crate::clock;

/// Questions that share a turn.
const QUESTIONS_A_TURN: usize = 64;
/// A turn takes no more questions past so many bytes: a transaction has its bound.
const TURN_BYTES: usize = 256 * 1024;
/// Records of the journal that are read at a time.
const RECORDS_A_TURN: usize = 512;
const RECORD_BYTES_A_TURN: usize = 1 << 20;
/// A new outbox begins so many records back: windows are of the last day, and no older message is its own.
const FIRST_LOOK: u64 = 200_000;
/// What comes in is read so much later, with what comes meanwhile; a question reads it at once.
const JOURNAL_WAIT: Duration = Duration::from_millis(100);
/// What only the journal says is written so much later at the latest, or when there is so much of it.
const CARRY_FOR: Duration = Duration::from_secs(60);
const CARRY_MAX: usize = 1_024;
/// After a turn that couldn't be made durable, or read.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Nothing is waited for longer, so that what is shown doesn't grow old.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Calls in flight have so long at a stop.
const DRAIN: Duration = Duration::from_secs(9);
/// What is shown is put together no more often.
const SHOW_EVERY: Duration = Duration::from_millis(500);
pub(super) struct Work {
    pub(super) outbox: Outbox,
    pub(super) table: StoreTable,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) began: Instant,
    pub(super) leaps: Leaps,
    pub(super) asked: mpsc::Receiver<Question>,
    pub(super) tail: watch::Receiver<egress::Tail>,
    pub(super) calls: Calls,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) numbers: Arc<Numbers>,
    pub(super) notes: Notes,
    pub(super) status: watch::Sender<Status>,
    pub(super) metrics: Metrics,
    pub(super) random: ring::rand::SystemRandom,
    pub(super) tokens: Tokens,
    /// Answered, and not yet in a durable turn.
    pub(super) answered: Vec<Called>,
    pub(super) in_flight: JoinSet<(Called, Option<i64>)>,
    pub(super) carried_since: Option<Instant>,
    pub(super) shown_at: Option<Instant>,
}

/// Why a turn came to nothing.
enum Trouble {
    Read(TableError),
    Refused(Refused),
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
                Some(question) = self.asked.recv() => questions.push(question),
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
            while questions.len() < QUESTIONS_A_TURN
                && let Ok(question) = self.asked.try_recv()
            {
                questions.push(question);
            }
            if self.routes.has_changed().unwrap_or(false) {
                self.routes.mark_unchanged();
                self.tokens.replaced();
                questions.push(Box::new(|turn| {
                    turn.resume()?;
                    Ok(Box::new(|_| {}))
                }));
            }
            let routes = self.routes.borrow().clone();
            questions.extend(self.tokens.due(&self.calls, &routes));
            let wait = self.turn(&mut questions, true).await;
            due = Instant::now() + wait.min(IDLE_MAX);
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
        self.turn(&mut Vec::new(), false).await;
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

    fn journal_is_read(&self) -> bool {
        self.outbox.cursor() >= self.tail.borrow().newest
    }

    /// One turn; says how long the next may wait.
    async fn turn(&mut self, questions: &mut Vec<Question>, go_on: bool) -> Duration {
        let reading = self.reading();
        let facts = match self.facts(reading) {
            Ok(facts) => facts,
            Err(error) => return self.give_up(&Trouble::Read(error)),
        };
        let now = self.clock.now_ms(reading);
        let leapt = self.leaps.untold(now, reading);
        match self.decide(facts, questions, (now, leapt), go_on) {
            Ok((done, answers, more)) => match self.make_durable(done, answers, (now, leapt)).await {
                Ok(_) if more || !questions.is_empty() || !self.journal_is_read() => Duration::ZERO,
                Ok(next) => next,
                Err(trouble) => self.give_up(&trouble),
            },
            Err(error) => self.give_up(&Trouble::Read(error)),
        }
    }

    fn give_up(&self, trouble: &Trouble) -> Duration {
        let said = match trouble {
            Trouble::Read(error) => error.to_string(),
            Trouble::Refused(refused) => refused.to_string(),
        };
        self.status.send_if_modified(|status| {
            let new = status.trouble.as_ref() != Some(&said);
            if new {
                tracing::error!("the outbox can't go on: {said}; trying again");
                status.trouble = Some(said);
            }
            new
        });
        RETRY_AFTER
    }

    /// Reads on in the journal. Never skips a record that it may need, and never stops at one.
    fn facts(&mut self, reading: Reading) -> Result<(Vec<Fact>, Option<Sequence>), TableError> {
        let mut after = self.outbox.cursor();
        if after == Sequence::START {
            after = Sequence(self.store.newest().0.saturating_sub(FIRST_LOOK));
        }
        if after >= self.store.newest() {
            return Ok((Vec::new(), None));
        }
        let query = Query { after: Some(after), limit: RECORDS_A_TURN, bytes: RECORD_BYTES_A_TURN };
        let page = match self.store.page(&query, &|_| true) {
            Ok(page) => page,
            // Older history went before it was read: a day's budget was used up in one.
            Err(ReadError::Gone { oldest, .. }) => {
                return Ok((Vec::new(), Some(Sequence(oldest.0.saturating_sub(1)))));
            }
            Err(error) => return Err(TableError(Box::new(error))),
        };
        self.metrics.read(page.records.len());
        let mut facts = Vec::with_capacity(page.records.len());
        for record in &page.records {
            for mut fact in records::facts(record, &self.numbers) {
                if let Some(at) = fact.at {
                    self.clock.heard(at.0, reading);
                }
                self.resolve(&mut fact, record);
                facts.push(fact);
            }
        }
        Ok((facts, Some(page.next)))
    }

    /// An opt-out names its customer by aliases only.
    fn resolve(&self, fact: &mut Fact, record: &Record) {
        if let Says::Marketing { aliases, .. } = &fact.says
            && fact.contact.is_none()
        {
            match self.store.contact(aliases) {
                Ok(contact) => fact.contact = contact.and_then(|contact| contact.to_bits()),
                Err(error) => {
                    let sequence = record.sequence.0;
                    tracing::warn!(%error, sequence, "who wants no marketing can't be looked up");
                }
            }
        }
    }

    fn decide(
        &self,
        (facts, read_to): (Vec<Fact>, Option<Sequence>),
        questions: &mut Vec<Question>,
        (now, leapt): (i64, i64),
        go_on: bool,
    ) -> Result<(Done, Vec<Answer>, bool), TableError> {
        let mut turn = self.outbox.turn(&self.table, now);
        turn.leapt(leapt);
        for fact in facts {
            turn.learn(fact)?;
        }
        if let Some(sequence) = read_to {
            turn.known_to(sequence);
        }
        for called in &self.answered {
            turn.called(called.clone())?;
        }
        let mut answers = Vec::with_capacity(questions.len());
        let mut taken = 0;
        while taken < questions.len() && turn.bytes() < TURN_BYTES {
            taken += 1;
            // The oldest first; the rest is of the next turn.
            answers.push(questions.remove(0)(&mut turn)?);
        }
        // Windows are judged by all that has come in.
        let read = turn.cursor() >= self.tail.borrow().newest;
        let more = go_on && read && turn.advance()?;
        Ok((turn.finish()?, answers, more))
    }

    /// Makes a turn durable and acts on it; says how long the next may wait.
    async fn make_durable(
        &mut self,
        done: Done,
        answers: Vec<Answer>,
        (now, leapt): (i64, i64),
    ) -> Result<Duration, Trouble> {
        let next = done.next_ms.map_or(IDLE_MAX, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)).min(IDLE_MAX)
        });
        let waits = !done.changes.is_empty();
        let due = self.carried_since.is_some_and(|since| since.elapsed() >= CARRY_FOR);
        if !done.urgent && !(waits && (due || done.changes.len() >= CARRY_MAX)) {
            self.outbox.carry(done);
            if waits {
                self.carried_since.get_or_insert_with(Instant::now);
            }
            for answer in answers {
                answer(Ok(()));
            }
            self.show(now, false);
            return Ok(next);
        }
        let (sender, durable) = oneshot::channel();
        let transaction = store::Transaction {
            changes: done
                .changes
                .iter()
                .map(|(key, value)| store::Change { key: key.clone(), value: value.clone() })
                .collect(),
            items: self.notes.items(&done.notes, now),
            // What has happened is to be noted whatever the budget says; it is the API that takes in no more.
            essential: true,
        };
        self.store.transact(transaction, clock::now(), Box::new(move |result| _ = sender.send(result)));
        let result = durable.await.unwrap_or(Err(Refused::Closed));
        for answer in answers {
            answer(result);
        }
        result.map_err(Trouble::Refused)?;
        self.metrics.committed();
        self.leaps.told(leapt);
        self.answered.clear();
        self.carried_since = None;
        self.outbox.commit(&done);
        for call in done.calls {
            self.make(call);
        }
        self.show(now, true);
        Ok(next)
    }

    /// Makes a call, whose intent is durable.
    fn make(&mut self, call: Call) {
        let routes = self.routes.borrow().clone();
        let mut chance = [0; 8];
        // Without chance the jitter is nothing: the calls of one box alone hardly need it.
        let _ = self.random.fill(&mut chance);
        let Some(endpoint) = routes.of(&call.number).cloned() else {
            let outcome = model::Outcome::NotSent { reason: "the number has no endpoint".to_owned() };
            self.answered.push(Called {
                id: call.id,
                number: call.number,
                endpoint: String::new(),
                outcome,
                slow_for_ms: None,
                chance: 0,
            });
            return;
        };
        let graph = self.calls.graph();
        self.in_flight.spawn(calls::post(graph, endpoint, call, u64::from_ne_bytes(chance)));
    }

    /// Shows how things stand, now and then.
    fn show(&mut self, now: i64, changed: bool) {
        let every = if changed { SHOW_EVERY } else { IDLE_MAX };
        if self.shown_at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        let turn = self.outbox.turn(&self.table, now);
        let look = || Ok::<_, TableError>((turn.ways()?, turn.quotas()?, turn.balance()?));
        let Ok((ways, quotas, balance)) = look() else { return };
        self.shown_at = Some(Instant::now());
        self.status.send_replace(Status {
            ways,
            quotas,
            balance,
            clock_trusted: self.clock.is_trusted(),
            now_ms: now,
            tokens: self.tokens.shown(now),
            trouble: None,
        });
    }
}
