//! The outbox in a simulated world: time, a disk, Graph, customers, people; crashes anywhere.

mod calls;
mod crashes;
mod settings;
mod turns;

use std::collections::{BTreeMap, HashMap};

use model::{Address, Fact, OutboxId, Priority, Says, WallTime};
use policy::sending::clock::BELIEVED_AHEAD_MS;
use policy::sending::{Clock, Reading};
use wagate_outbox::{
    Called, Clear, Done, Draft, Enqueue, Fallback, Kind, Note, Other, Outbox, Queued, Resolution, Settings,
    Unqueued,
};

pub(crate) use self::settings::settings;
use crate::chance::Chance;
use crate::graph::{Mood, Post, fact};
use crate::history::{Fate, Op, What};
use crate::table::Disk;

pub(crate) type Checked = Result<(), String>;

pub(crate) const NUMBERS: [&str; 3] = ["1", "2", "3"];
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
    /// Another endpoint of the number is used, or the one works again.
    WayIsClear(String, Clear),
    TakeCall(String, Other),
    EndCall(String, Other, bool),
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
    open_probes: BTreeMap<String, (u32, Other)>,
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
            Op::WayIsClear { number: place, clear } => self.turn(&[Ask::WayIsClear(number(place), *clear)]),
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
                if let Some((_, other)) = self.open_probes.get(NUMBERS[*place]) {
                    self.turn(&[Ask::EndCall(number(place), *other, *unsent)])
                } else {
                    let other = if *unsent { Other::Probe } else { Other::Errand };
                    self.turn(&[Ask::TakeCall(number(place), other)])
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
}
