//! The outbox in a simulated world: time, a disk, Graph, customers, people; crashes anywhere.

use std::collections::{BTreeMap, HashMap};

use model::{Address, Fact, OutboxId, Outcome, Priority, Says, Sequence, WallTime};
use policy::sending::clock::BELIEVED_AHEAD_MS;
use policy::sending::{Clock, Reading, Zone, class};
use wagate_outbox::{
    Call, Called, Consent, Done, Draft, Enqueue, Fallback, Kind, Note, Number, Outbox, Queued, Resolution,
    Settings, TableError, Unqueued,
};

use crate::chance::Chance;
use crate::graph::{Mood, Plan, Post, Settled, answer, fact, plan, statuses};
use crate::history::{Fate, Op, What};
use crate::table::Disk;

pub(crate) type Checked = Result<(), String>;

pub(crate) const NUMBERS: [&str; 3] = ["1", "2", "3"];
const ZONES: [&str; 3] = ["Europe/Berlin", "Africa/Cairo", "America/Santiago"];
const PORTFOLIOS: [&str; 3] = ["a", "a", "b"];
pub(crate) const DAY: i64 = 24 * 3_600_000;
/// 2026-10-24T20:00:00Z: the clocks of Berlin go back in the night.
const BEGIN: i64 = 1_792_872_000_000;

/// A message, as the simulation knows it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) contact: u128,
    pub(crate) priority: Priority,
    pub(crate) what: What,
    pub(crate) expires: bool,
    /// Its id, once that was acknowledged.
    pub(crate) id: Option<OutboxId>,
    pub(crate) posts: Vec<usize>,
    /// A person wants it sent once more.
    pub(crate) again: bool,
    /// Graph has said, and it was written down, that it has it; or that it failed.
    pub(crate) certain: bool,
    /// How often the CRM was told.
    pub(crate) notes: u32,
}

enum Event {
    Answer(usize, Called),
    Happens(Fact),
}

/// Something that is asked of the outbox.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Queue(Enqueue),
    Cancel(OutboxId),
    Resolve(OutboxId, Resolution),
    Consent(u128, bool),
    Resume,
    TakeCall(String, bool),
    EndCall(String, bool),
}

/// What a turn comes to.
struct Decided {
    done: Done,
    more: bool,
    queued: Vec<(Enqueue, Result<Queued, Unqueued>)>,
    /// Whether each of what was asked holds.
    said: Vec<bool>,
}

/// What an accepted call of the API was told: of its body, too.
type Answered = ([u8; 16], Queued);

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) disk: Disk,
    pub(crate) outbox: Outbox,
    variants: Vec<Settings>,
    pub(crate) clock: Clock,
    pub(crate) true_ms: i64,
    booted_ms: i64,
    wall_off: i64,
    events: BTreeMap<(i64, u64), Event>,
    counter: u64,
    pub(crate) journal: Vec<Fact>,
    /// Answers whose turn couldn't be made durable.
    unheard: Vec<(usize, Called)>,
    /// By how much now went ahead without that it was seen to pass, and not written down yet.
    leapt: i64,
    wake: Option<i64>,
    pub(crate) mood: Mood,
    fate: Option<Fate>,
    pub(crate) posts: Vec<Post>,
    pub(crate) told: HashMap<u64, Told>,
    keys: HashMap<[u8; 16], Enqueue>,
    pub(crate) answered: HashMap<[u8; 16], Answered>,
    in_flight: Vec<usize>,
    pub(crate) probes: BTreeMap<(String, i32), u64>,
    open_probes: BTreeMap<String, u32>,
    /// When a customer last wrote, as far as the outbox has been told.
    windows: HashMap<(String, u128), i64>,
    pub(crate) consents: HashMap<u128, bool>,
    unique_told: Option<u64>,
    pub(crate) throughput: HashMap<String, u32>,
    turns: u64,
    /// Every so many turns the table is audited.
    pub(crate) audit_every: u64,
    last_now: i64,
    pub(crate) crashes: u64,
    ranks: HashMap<OutboxId, u8>,
    pub(crate) notes: Vec<Note>,
}

/// Three settings for one seed: a restart may change them.
pub(crate) fn settings(seed: u64) -> Vec<Settings> {
    let mut chance = Chance::of(seed, &[2]);
    let history_ms = if chance.once_in(5) { 2 * DAY } else { 60 * DAY };
    (0..3)
        .map(|variant| {
            let number = |place: usize, chance: &mut Chance| Number {
                zone: Zone::new(ZONES[place]).unwrap(),
                portfolio: PORTFOLIOS[place].to_owned(),
                messages_per_day: chance.below(20) + if chance.once_in(3) { 100 } else { 2 },
                calls_per_day: chance.below(60) + if chance.once_in(3) { 300 } else { 5 },
                recipients_per_day: chance.below(4) + if chance.once_in(3) { 15 } else { 1 },
                per_second: if chance.once_in(3) { 80 } else { u32::try_from(chance.below(6)).unwrap() + 1 },
                batch_above: chance.pick(&[0.3, 0.8, 1.0]),
                batch_every_ms: 15 * 60_000,
                has_route: variant == 0 || !chance.once_in(10),
            };
            Settings {
                numbers: (0..3)
                    .map(|place| (NUMBERS[place].to_owned(), number(place, &mut chance)))
                    .collect(),
                send_again_after_ms: [None, None, chance.once_in(2).then_some(2 * 3_600_000)],
                history_ms: if variant == 2 { history_ms + DAY } else { history_ms },
                rates: None,
            }
        })
        .collect()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::on(Disk::default(), seed, settings(seed))
    }

    /// On the store itself.
    pub(crate) fn stored(seed: u64) -> Self {
        Self::on(Disk::stored(seed), seed, settings(seed))
    }

    fn on(disk: Disk, seed: u64, variants: Vec<Settings>) -> Self {
        let begin = BEGIN + Chance::of(seed, &[3]).span(0, 30) * DAY / 10;
        let mut clock = Clock::start(None, Reading { wall_ms: begin, mono_ms: 0 }, BELIEVED_AHEAD_MS);
        let now = clock.now_ms(Reading { wall_ms: begin, mono_ms: 0 });
        let (outbox, _) = Outbox::open(&disk, variants[0].clone(), now).unwrap();
        Self {
            seed,
            disk,
            outbox,
            variants,
            clock,
            true_ms: begin,
            booted_ms: begin,
            wall_off: 0,
            events: BTreeMap::new(),
            counter: 0,
            journal: Vec::new(),
            unheard: Vec::new(),
            leapt: 0,
            wake: None,
            mood: Mood::Mixed,
            fate: None,
            posts: Vec::new(),
            told: HashMap::new(),
            keys: HashMap::new(),
            answered: HashMap::new(),
            in_flight: Vec::new(),
            probes: BTreeMap::new(),
            open_probes: BTreeMap::new(),
            windows: HashMap::new(),
            consents: HashMap::new(),
            unique_told: None,
            throughput: HashMap::new(),
            turns: 0,
            audit_every: 12,
            last_now: i64::MIN,
            crashes: 0,
            ranks: HashMap::new(),
            notes: Vec::new(),
        }
    }

    /// Messages are forgotten while the history goes on.
    pub(crate) fn forgets(&self) -> bool {
        self.variants[0].history_ms < 10 * DAY
    }

    fn reading(&self) -> Reading {
        Reading {
            wall_ms: self.true_ms + self.wall_off,
            mono_ms: u64::try_from(self.true_ms - self.booted_ms).unwrap(),
        }
    }

    pub(crate) fn now(&mut self) -> i64 {
        let reading = self.reading();
        self.clock.now_ms(reading)
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn happens(&mut self, after: i64, fact: Fact) {
        let at = (self.true_ms + after, self.count());
        self.events.insert(at, Event::Happens(fact));
    }

    /// Does one thing of a history.
    pub(crate) fn run(&mut self, op: &Op) -> Checked {
        let number = |place: &usize| NUMBERS[*place].to_owned();
        let picked = |world: &Self, pick: usize| {
            let mut ids: Vec<OutboxId> = world.told.values().filter_map(|told| told.id).collect();
            ids.sort_unstable();
            (!ids.is_empty()).then(|| ids[pick % ids.len()])
        };
        match op {
            Op::Enqueue { number: place, contact, priority, kind, expires, parts } => {
                let call =
                    self.call(&number(place), *contact, Priority::ALL[*priority], *kind, *expires, *parts);
                self.turn(&[Ask::Queue(call)])
            }
            Op::Rush { number: place, people, priority } => {
                for contact in 1..=*people {
                    let call =
                        self.call(&number(place), contact, Priority::ALL[*priority], What::Template, None, 1);
                    self.turn(&[Ask::Queue(call)])?;
                }
                Ok(())
            }
            // What was forgotten would be queued anew.
            Op::Repeat { .. } if self.forgets() => Ok(()),
            Op::Repeat { pick, other_body } => {
                let mut keys: Vec<_> = self.keys.keys().copied().collect();
                keys.sort_unstable();
                let Some(key) = (!keys.is_empty()).then(|| keys[pick % keys.len()]) else { return Ok(()) };
                let mut call = self.keys[&key].clone();
                if *other_body {
                    call.body = [9; 16];
                }
                self.turn(&[Ask::Queue(call)])
            }
            Op::Cancel { pick } => match picked(self, *pick) {
                Some(id) => self.turn(&[Ask::Cancel(id)]),
                None => Ok(()),
            },
            Op::Resolve { pick, word } => {
                let words = [Resolution::Sent, Resolution::Failed, Resolution::Resend];
                let uncertain = self.outbox.turn(&self.disk, self.last_now).uncertain_after(0, 100);
                let ids: Vec<OutboxId> = uncertain.unwrap_or_default().iter().map(|shown| shown.id).collect();
                match (!ids.is_empty()).then(|| ids[pick % ids.len()]).or_else(|| picked(self, *pick)) {
                    Some(id) => self.turn(&[Ask::Resolve(id, words[*word])]),
                    None => Ok(()),
                }
            }
            Op::Wrote { number: place, contact, ago } => {
                let wamid = format!("in.{}", self.counter);
                let mut wrote = fact(Some(NUMBERS[*place]), Some(*contact), Says::Inbound { wamid });
                wrote.at = Some(WallTime((self.true_ms - ago).div_euclid(1_000) * 1_000));
                self.happens(0, wrote);
                self.pass(0)
            }
            Op::Consent { contact, agreed } => self.turn(&[Ask::Consent(*contact, *agreed)]),
            Op::Marketing { contact, stopped } => {
                let says = Says::Marketing { aliases: Vec::new(), stopped: *stopped };
                self.happens(0, fact(None, Some(*contact), says));
                self.pass(0)
            }
            Op::UniqueLimit(limit) => {
                self.happens(0, fact(None, None, Says::UniqueLimit(*limit)));
                self.pass(0)
            }
            Op::Throughput { number: place, per_second } => {
                self.happens(0, fact(Some(NUMBERS[*place]), None, Says::Throughput(*per_second)));
                self.pass(0)
            }
            Op::Account { usable } => {
                self.happens(0, fact(None, None, Says::Account { usable: *usable, reason: String::new() }));
                self.pass(0)
            }
            Op::Resume => self.turn(&[Ask::Resume]),
            Op::Pass { ms } => self.pass(*ms),
            Op::Jump { ms } => {
                self.wall_off += ms;
                Ok(())
            }
            Op::Crash { off, jump, settings } => self.crash(*off, *jump, *settings),
            Op::Fate(fate) => {
                self.fate = Some(*fate);
                Ok(())
            }
            Op::Join { one, other } => {
                self.disk.join(*one, *other);
                Ok(())
            }
            Op::Probe { number: place, unsent } => {
                if self.open_probes.contains_key(NUMBERS[*place]) {
                    self.turn(&[Ask::EndCall(number(place), *unsent)])
                } else {
                    self.turn(&[Ask::TakeCall(number(place), *unsent)])
                }
            }
            Op::Mood(mood) => {
                self.mood = *mood;
                Ok(())
            }
        }
    }

    pub(crate) fn call(
        &mut self,
        number: &str,
        contact: u128,
        priority: Priority,
        what: What,
        expires: Option<i64>,
        parts: usize,
    ) -> Enqueue {
        let now = self.now();
        let serial = self.count();
        let key = {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&serial.to_be_bytes());
            key
        };
        let drafts = (0..parts)
            .map(|_| {
                let chance = self.count();
                let told = Told {
                    contact,
                    priority,
                    what,
                    expires: expires.is_some(),
                    id: None,
                    posts: Vec::new(),
                    again: false,
                    certain: false,
                    notes: 0,
                };
                self.told.insert(chance, told);
                Draft {
                    number: number.to_owned(),
                    to: (what != What::Mark).then(|| Address::Phone(format!("+8526{contact}"))),
                    contact,
                    priority,
                    kind: match what {
                        What::Free | What::Either => Kind::FreeForm,
                        What::Template => Kind::Template,
                        What::Mark => Kind::ReadMark,
                    },
                    template: (what == What::Template).then(|| "t".to_owned()),
                    payload: if what == What::Template { "template" } else { "free" }.to_owned(),
                    fallback: (what == What::Either)
                        .then(|| Fallback { payload: "template".to_owned(), template: "t".to_owned() }),
                    expires_ms: expires.map(|after| now + after),
                    chance,
                }
            })
            .collect();
        let call = Enqueue { key, body: [1; 16], drafts };
        self.keys.insert(key, call.clone());
        call
    }

    /// Lets time pass: whatever is due happens in its order.
    pub(crate) fn pass(&mut self, ms: i64) -> Checked {
        let end = self.true_ms + ms;
        let mut at_once = 0;
        loop {
            let now = self.now();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let due = event.is_some_and(|at| at <= self.true_ms)
                || self.wake.is_some_and(|wake| wake <= now)
                || !self.unheard.is_empty();
            if due {
                at_once += 1;
                if at_once > 2_000 {
                    return Err(format!("a turn is due at once, for ever: at {now}, wake {:?}", self.wake));
                }
                self.turn(&[])?;
                continue;
            }
            if self.true_ms >= end {
                return Ok(());
            }
            let wake = self.wake.map(|wake| self.true_ms.saturating_add((wake - now).max(1)));
            let next = [event, wake].into_iter().flatten().min().unwrap_or(end).min(end);
            if next > self.true_ms {
                at_once = 0;
            }
            self.true_ms = next;
        }
    }

    fn due_events(&mut self) {
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.true_ms
        {
            let ((at, _), event) = entry.remove_entry();
            match event {
                Event::Answer(post, called) => self.unheard.push((post, called)),
                Event::Happens(mut fact) => {
                    fact.sequence = Sequence(self.journal.len() as u64 + 1);
                    if fact.at == Some(WallTime(0)) {
                        fact.at = Some(WallTime(at.div_euclid(1_000) * 1_000));
                    }
                    let (signed, reading) = (fact.at.unwrap().0, self.reading());
                    let before = self.clock.now_ms(reading);
                    self.clock.heard(signed, reading);
                    self.leapt += self.clock.now_ms(reading) - before;
                    self.journal.push(fact);
                }
            }
        }
    }

    fn decide(
        &self,
        unheard: &[(usize, Called)],
        news: &[Fact],
        asks: &[Ask],
        now: i64,
    ) -> Result<Decided, TableError> {
        let mut queued = Vec::new();
        let mut said = Vec::new();
        let mut turn = self.outbox.turn(&self.disk, now);
        turn.leapt(self.leapt);
        for (_, called) in unheard {
            turn.called(called.clone())?;
        }
        for fact in news {
            turn.learn(fact.clone())?;
        }
        for ask in asks {
            said.push(match ask {
                Ask::Queue(call) => {
                    queued.push((call.clone(), turn.enqueue(call.clone())?));
                    true
                }
                Ask::Cancel(id) => turn.cancel(*id)?.is_ok(),
                Ask::Resolve(id, word) => turn.resolve(*id, *word)?.is_ok(),
                Ask::Consent(contact, agreed) => {
                    let consent = Consent { at_ms: now, proof: "said so".to_owned() };
                    turn.consent(*contact, agreed.then_some(&consent))?;
                    true
                }
                Ask::Resume => {
                    turn.resume()?;
                    true
                }
                Ask::TakeCall(number, probe) => turn.take_call(number, *probe)?.is_ok(),
                Ask::EndCall(number, unsent) => {
                    turn.end_call(number, *unsent)?;
                    true
                }
            });
        }
        let more = turn.advance()?;
        let done = turn.finish()?;
        Ok(Decided { done, more, queued, said })
    }

    /// One turn: what has happened, and what is asked.
    pub(crate) fn turn(&mut self, asks: &[Ask]) -> Checked {
        self.due_events();
        let now = self.now();
        if now < self.last_now {
            return Err(format!("now went back from {} to {now}", self.last_now));
        }
        self.last_now = now;
        let known = usize::try_from(self.outbox.cursor().0).unwrap();
        let news: Vec<Fact> = self.journal[known..].to_vec();
        let unheard = std::mem::take(&mut self.unheard);
        let Ok(Decided { done, more, queued, said }) = self.decide(&unheard, &news, asks, now) else {
            // The power is gone, and this program with it.
            return self.crash(0, 0, 0);
        };
        let fate = if done.changes.is_empty() { None } else { self.fate.take() };
        if matches!(fate, Some(Fate::Refused | Fate::Lost)) {
            if fate == Some(Fate::Lost) {
                return self.crash(0, 0, 0);
            }
            self.unheard = unheard;
            return Ok(());
        }
        let carried = fate.is_none() && !done.urgent && Chance::of(self.seed, &[5, self.turns]).once_in(2);
        let mut fate = fate;
        if !carried && !done.changes.is_empty() && !self.disk.apply(&done.changes) {
            self.disk.restart();
            if !self.disk.holds(&done.changes) {
                return self.crash(0, 0, 0);
            }
            fate = Some(Fate::Kept);
        }
        self.leapt = 0;
        let acknowledged = fate != Some(Fate::Kept);
        self.written(&done, &unheard, &news, now)?;
        for (ask, said) in asks.iter().zip(said) {
            self.asked(ask, said, now);
        }
        if acknowledged {
            for (call, answer) in queued {
                self.queued(&call, answer)?;
            }
            self.wake = if more { Some(now) } else { done.next_ms };
        }
        let calls = done.calls.clone();
        if carried {
            self.outbox.carry(done);
        } else if acknowledged {
            self.outbox.commit(&done);
        }
        let made = match fate {
            Some(Fate::Kept) => 0,
            Some(Fate::Calls(most)) => most,
            _ => usize::MAX,
        };
        for (place, call) in calls.iter().enumerate() {
            self.post(call, now, place < made)?;
        }
        if fate.is_some() {
            return self.crash(0, 0, 0);
        }
        self.turns += 1;
        if self.turns.is_multiple_of(self.audit_every) {
            self.audit()?;
        }
        Ok(())
    }

    /// What was written down is from now on true for the outbox.
    fn written(&mut self, done: &Done, unheard: &[(usize, Called)], news: &[Fact], now: i64) -> Checked {
        for (post, called) in unheard {
            self.in_flight.retain(|open| open != post);
            let post = &mut self.posts[*post];
            post.ended = Some(now);
            post.settled = match &called.outcome {
                Outcome::Accepted { .. } => Settled::Accepted,
                Outcome::NotSent { .. } => Settled::NotSent,
                Outcome::Unknown { .. } => Settled::Unknown,
                Outcome::Refused(refusal) if class(refusal) == policy::sending::Class::Ambiguous => {
                    Settled::Unknown
                }
                Outcome::Refused(_) => Settled::Refused,
            };
            if post.settled == Settled::Accepted {
                self.told.get_mut(&post.id.chance).unwrap().certain = true;
            }
        }
        for fact in news {
            match &fact.says {
                Says::Inbound { .. } => {
                    let at = fact.at.unwrap().0.min(now);
                    let key = (fact.number.clone().unwrap(), fact.contact.unwrap());
                    let last = self.windows.entry(key).or_insert(at);
                    *last = at.max(*last);
                }
                Says::Status { outbox_id: Some(id), .. } => {
                    self.told.get_mut(&id.chance).unwrap().certain = true;
                }
                Says::UniqueLimit(limit) => self.unique_told = *limit,
                Says::Throughput(most) => _ = self.throughput.insert(fact.number.clone().unwrap(), *most),
                _ => {}
            }
        }
        for note in &done.notes {
            if let Note::Sent(sent) = note {
                let told = self.told.get_mut(&sent.id.chance).unwrap();
                told.notes += 1;
                if told.notes > 1 {
                    return Err(format!("the CRM is told twice that {} is sent", sent.id));
                }
            }
        }
        self.notes.extend(done.notes.iter().cloned());
        Ok(())
    }

    fn asked(&mut self, ask: &Ask, said: bool, now: i64) {
        match ask {
            Ask::Resolve(id, Resolution::Resend) if said => {
                self.told.get_mut(&id.chance).unwrap().again = true;
            }
            Ask::Consent(contact, agreed) => {
                use wagate_outbox::Table as _;
                for one in self.disk.family(*contact) {
                    self.consents.insert(one, *agreed);
                }
            }
            Ask::TakeCall(number, _) if said => {
                let day = self.outbox.settings().numbers[number].zone.day(now).0;
                *self.probes.entry((number.clone(), day)).or_default() += 1;
                self.open_probes.insert(number.clone(), u32::try_from(day).unwrap());
            }
            Ask::EndCall(number, unsent) => {
                let began = i32::try_from(self.open_probes.remove(number).unwrap()).unwrap();
                let today = self.outbox.settings().numbers[number].zone.day(now).0;
                if *unsent && began == today {
                    *self.probes.get_mut(&(number.clone(), began)).unwrap() -= 1;
                }
            }
            _ => {}
        }
    }

    fn queued(&mut self, call: &Enqueue, answer: Result<Queued, Unqueued>) -> Checked {
        let known = self.answered.get(&call.key);
        match (answer, known) {
            (Ok(queued), None) => {
                if queued.parts.len() != call.drafts.len() {
                    return Err(format!("{} parts for {} drafts", queued.parts.len(), call.drafts.len()));
                }
                for id in &queued.parts {
                    let told = self.told.get_mut(&id.chance).ok_or("an id that nobody asked for")?;
                    told.id = Some(*id);
                }
                self.answered.insert(call.key, (call.body, queued));
                Ok(())
            }
            (Ok(queued), Some((body, first))) => {
                let same = Queued { repeated: true, ..first.clone() } == queued;
                if *body == call.body && same { Ok(()) } else { Err(format!("{queued:?} after {first:?}")) }
            }
            (Err(Unqueued::KeyUsed), Some((body, _))) if *body != call.body => Ok(()),
            (Err(Unqueued::KeyUsed), None) if call.body == [9; 16] => Ok(()),
            (Err(_), None) => Ok(()),
            (Err(why), Some(_)) => Err(format!("a call that was taken is refused the second time: {why}")),
        }
    }

    /// The window of a customer by what the outbox was told: when it closes.
    fn window(&self, number: &str, contact: u128) -> Option<i64> {
        use wagate_outbox::Table as _;
        let family = self.disk.family(contact);
        family.iter().filter_map(|one| self.windows.get(&(number.to_owned(), *one))).max().map(|at| at + DAY)
    }

    fn post(&mut self, call: &Call, now: i64, made: bool) -> Checked {
        let serial = self.posts.len();
        let mut chance = Chance::of(self.seed, &[4, call.id.chance, u64::from(call.attempt)]);
        let told = self.told.get(&call.id.chance).ok_or("a call for a message that nobody queued")?.clone();
        let plan = if made { plan(self.mood, &mut chance) } else { Plan::Vanish };
        let window = self.window(&call.number, told.contact);
        let settings = self.outbox.settings();
        let number = settings.numbers[&call.number].clone();
        let shared = settings.numbers.values().filter(|other| other.portfolio == number.portfolio);
        let shared = shared.map(|other| other.recipients_per_day).chain(self.unique_told).min();
        let delay = chance.pick(&[0, 0, 100, 2_000, 25_000]);
        let post = Post {
            id: call.id,
            number: call.number.clone(),
            contact: told.contact,
            kind: call.kind,
            push: call.kind == Kind::Template && window.is_none_or(|closes| closes <= now),
            recipients_max: shared.unwrap_or(u64::MAX),
            at: now,
            arrives: now + delay,
            day: number.zone.day(now).0,
            taken: plan.is_taken(),
            settled: Settled::Open,
            ended: None,
        };
        // A restart may have changed it since the message was queued once more.
        let allowed = self
            .variants
            .iter()
            .filter_map(|variant| variant.send_again_after_ms[told.priority as usize])
            .min();
        if std::env::var("WAGATE_TRACE").is_ok() {
            println!("{post:?} {plan:?}");
        }
        crate::checks::post(self, &post, &told, call, &number, window, allowed)?;
        let told = self.told.get_mut(&call.id.chance).unwrap();
        told.posts.push(serial);
        told.again = false;
        self.posts.push(post);
        if !made {
            return Ok(());
        }
        self.in_flight.push(serial);
        let wamid = format!("w.{}.{}", call.id.chance, call.attempt);
        let called = answer(&plan, call, &wamid, &mut chance);
        let answered = delay + if plan == Plan::Vanish { 30_000 } else { chance.pick(&[0, 1, 200, 3_000]) };
        let at = (self.true_ms + answered, self.count());
        self.events.insert(at, Event::Answer(serial, called));
        if plan.is_taken() {
            for (after, fact) in statuses(call, told_contact(&self.told, call), &wamid, &mut chance) {
                self.happens(delay + after, fact);
            }
        }
        Ok(())
    }

    pub(crate) fn open_calls(&self) -> impl Iterator<Item = &Post> {
        self.in_flight.iter().map(|post| &self.posts[*post])
    }

    pub(crate) fn open_probes(&self, number: &str) -> usize {
        usize::from(self.open_probes.contains_key(number))
    }

    /// The program ends at once and starts again.
    pub(crate) fn crash(&mut self, off: i64, jump: i64, settings: usize) -> Checked {
        self.crashes += 1;
        self.events.retain(|_, event| matches!(event, Event::Happens(_)));
        self.unheard.clear();
        self.leapt = 0;
        self.in_flight.clear();
        self.open_probes.clear();
        self.fate = None;
        self.true_ms += off;
        self.wall_off += jump;
        self.booted_ms = self.true_ms;
        self.disk.restart();
        let (done, now) = loop {
            let Ok(last_known) = Outbox::last_known_ms(&self.disk) else {
                self.disk.restart();
                continue;
            };
            self.clock = Clock::start(last_known, self.reading(), BELIEVED_AHEAD_MS);
            self.last_now = last_known.unwrap_or(i64::MIN);
            let now = self.now();
            let variant = self.variants[settings].clone();
            if let Ok((outbox, done)) = Outbox::open(&self.disk, variant, now) {
                self.outbox = outbox;
                if done.changes.is_empty() || self.disk.apply(&done.changes) {
                    break (done, now);
                }
            }
            // Once more, whether it was kept or not.
            self.disk.restart();
        };
        self.written(&done, &[], &[], now)?;
        self.outbox.commit(&done);
        self.wake = Some(now);
        if !done.calls.is_empty() {
            return Err("a call is made while opening".to_owned());
        }
        self.audit()
    }

    /// The table against itself, and the standings against what they were.
    pub(crate) fn audit(&mut self) -> Checked {
        let Ok(audit) = wagate_outbox::audit(&self.outbox, &self.disk) else {
            return self.crash(0, 0, 0);
        };
        if let Some(fault) = audit.faults.first() {
            return Err(format!("audit: {fault}"));
        }
        for (id, (standing, why)) in &audit.messages {
            let rank = crate::checks::rank(*standing);
            let before = self.ranks.get(id).copied().unwrap_or(0);
            if self.outbox.carried() == 0 {
                // What isn't durable is read anew after a crash.
                self.ranks.insert(*id, rank);
            }
            if rank < before {
                return Err(format!("{id} went back to {standing:?} ({why:?})"));
            }
        }
        for (number, posting) in &audit.posting {
            let open = self.open_calls().filter(|post| post.number == *number).count();
            if open != usize::try_from(*posting).unwrap() {
                return Err(format!(
                    "{posting} messages of {number} are being posted, and {open} calls are open"
                ));
            }
        }
        Ok(())
    }
}

fn told_contact(told: &HashMap<u64, Told>, call: &Call) -> u128 {
    told[&call.id.chance].contact
}
