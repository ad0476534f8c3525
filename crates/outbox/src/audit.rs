//! Whether the table agrees with itself: every index, count and timer against a full scan of the messages.
//!
//! For tests only: it reads everything there is, at once.

use std::collections::{BTreeMap, BTreeSet};

use model::{OutboxId, Standing};

use crate::keys;
use crate::outbox::Outbox;
use crate::table::{Table, TableError, View, decode};
use crate::timers;
use crate::turn::is_open;
use crate::values::{Busy, Counts, Lane, Message, State, Units};
use crate::why::Why;

/// What a scan of the whole table finds.
#[derive(Debug, Default)]
pub struct Audit {
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// Each message: its standing, and why.
    pub messages: BTreeMap<OutboxId, (Standing, Option<Why>)>,
    /// Units used by number and day: messages and calls.
    pub units: BTreeMap<(String, i32), (u64, u64)>,
    /// Message units that are held by messages which surely haven't gone.
    pub waiting: BTreeMap<(String, i32), u64>,
    /// Calls that are being made, by number.
    pub posting: BTreeMap<String, u32>,
}

/// A scan under way.
struct Scan<'a> {
    found: Audit,
    raw: BTreeMap<Vec<u8>, Vec<u8>>,
    view: View<'a>,
    /// When each message is looked at.
    timers: BTreeMap<u64, BTreeSet<i64>>,
}

type Lanes = BTreeMap<(String, u128), BTreeSet<(u8, u64)>>;

/// Scans the whole table.
///
/// # Errors
/// When the table can't be read.
pub fn audit(outbox: &Outbox, table: &dyn Table) -> Result<Audit, TableError> {
    let view = View::carrying(table, &outbox.carried);
    let raw = view.range(&[0], &[u8::MAX; 4], usize::MAX)?.into_iter().collect();
    let mut scan = Scan { found: Audit::default(), raw, view, timers: BTreeMap::new() };
    let timers: Vec<(u64, i64)> = scan
        .of(b't')
        .filter(|(key, _)| key.get(9) == Some(&1))
        .filter_map(|(key, _)| Some((keys::place_of(key)?, crate::timers::time_of(key)?)))
        .collect();
    for (place, at) in timers {
        scan.timers.entry(place).or_default().insert(at);
    }
    let mut lanes = Lanes::new();
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut open = 0;
    for place in scan.places(b's') {
        let message: Option<Message> = scan.view.get(&keys::message(place))?;
        let state: Option<State> = scan.view.get(&keys::state(place))?;
        let (Some(message), Some(state)) = (message, state) else {
            scan.fault(format!("message {place} has only one of its two values"));
            continue;
        };
        open += u64::from(is_open(state.standing));
        if let Some(count) = counts.entry(message.number.clone()).or_default().of(state.standing) {
            *count += 1;
        }
        scan.message(place, &message, &state, &mut lanes);
        if place >= outbox.memory.next {
            scan.fault(format!("message {place} is not below the next place"));
        }
    }
    if open != outbox.memory.open {
        scan.fault(format!("{open} messages are open and {} are counted", outbox.memory.open));
    }
    scan.strays();
    scan.lanes(outbox, &lanes)?;
    scan.numbers(outbox, &counts)?;
    scan.recipients()?;
    scan.rests();
    Ok(scan.found)
}

impl Scan<'_> {
    fn fault(&mut self, text: String) {
        self.found.faults.push(text);
    }

    fn of(&self, space: u8) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.raw.range(vec![space]..vec![space + 1])
    }

    fn places(&self, space: u8) -> Vec<u64> {
        self.of(space).filter_map(|(key, _)| keys::place_of(key)).collect()
    }

    fn has(&self, key: &keys::Key) -> bool {
        self.raw.contains_key(key.as_bytes())
    }

    fn expect(&mut self, what: &str, place: u64, is: bool, should: bool, state: &State) {
        if is != should {
            let stands = (state.standing, state.why);
            self.fault(format!("message {place}: {what} is {is} and should be {should}: {stands:?}"));
        }
    }

    fn message(&mut self, place: u64, message: &Message, state: &State, lanes: &mut Lanes) {
        let (number, contact, class) = (message.number.as_str(), message.contact, message.class());
        let standing = state.standing;
        self.found.messages.insert(message.id(place), (standing, state.why));
        let posting = self.has(&keys::posting(place));
        let waits = standing == Standing::Queued || posting;
        if waits {
            lanes.entry((number.to_owned(), contact)).or_default().insert((class, place));
        }
        if posting {
            *self.found.posting.entry(number.to_owned()).or_default() += 1;
        }
        if matches!(standing, Standing::Queued | Standing::Held)
            && let Some(day) = state.unit_day
        {
            *self.found.waiting.entry((number.to_owned(), day)).or_default() += 1;
        }
        let held = standing == Standing::Held;
        let why = state.why;
        let crowded = held && why == Some(Why::UniqueRecipients);
        let freed_by_writing = held && why != Some(Why::Withheld);
        for (what, key, should) in [
            ("the open mark", keys::open(place), is_open(standing)),
            ("the uncertain mark", keys::uncertain(place), standing == Standing::Uncertain),
            ("its place in the lane", keys::in_lane(number, contact, class, place), waits),
            ("the held mark", keys::held(number, contact, place), freed_by_writing),
            ("the crowded mark", keys::crowded_out(number, class, place), crowded),
            ("the answer of its call", keys::idempotency(&message.key), true),
        ] {
            let is = self.has(&key);
            self.expect(what, place, is, should, state);
        }
        if standing == Standing::Sending {
            self.expect("the posting mark", place, posting, true, state);
        }
        let waiting = matches!(standing, Standing::Queued | Standing::Held);
        let timers = self.timers.get(&place).cloned().unwrap_or_default();
        if waiting && let Some(at) = state.expires_ms {
            self.expect("the timer of its end", place, timers.contains(&at), true, state);
        }
        if held && let Some(at) = state.not_before_ms {
            self.expect("the timer of its hold", place, timers.contains(&at), true, state);
        }
        if let Some(over) = state.over_ms {
            let later = timers.iter().any(|at| *at > over);
            self.expect("the timer of its forgetting", place, later, true, state);
        }
        if let Some(wamid) = &state.wamid {
            let known = self.has(&keys::wamid(&self.view.hash(wamid.as_bytes())));
            self.expect("its wamid", place, known, true, state);
        }
    }

    /// Keys of messages that aren't there.
    fn strays(&mut self) {
        for space in *b"mofqxu?" {
            for place in self.places(space) {
                if !self.has(&keys::state(place)) {
                    let space = char::from(space);
                    self.fault(format!("a key {space:?} names message {place}, which isn't there"));
                }
            }
        }
        let named: Vec<Option<u64>> = self.of(b'w').map(|(_, value)| decode(value)).collect();
        for place in named {
            if !place.is_some_and(|place| self.has(&keys::state(place))) {
                self.fault(format!("a wamid names message {place:?}, which isn't there"));
            }
        }
        let waiting: Vec<u64> = self.places(b'q');
        for place in waiting {
            let state: Option<State> =
                self.raw.get(keys::state(place).as_bytes()).and_then(|raw| decode(raw));
            let queued = state.is_some_and(|state| state.standing == Standing::Queued);
            if !queued && !self.has(&keys::posting(place)) {
                self.fault(format!("message {place} is in a lane and doesn't wait"));
            }
        }
    }

    fn lanes(&mut self, outbox: &Outbox, lanes: &Lanes) -> Result<(), TableError> {
        let mut heads = BTreeSet::new();
        for ((number, contact), messages) in lanes {
            let who = format!("lane of {contact} at {number}");
            let Some(lane) = self.view.get::<Lane>(&keys::lane(number, *contact))? else {
                self.fault(format!("{who} isn't there"));
                continue;
            };
            let head = messages.first().copied().filter(|_| lane.busy == Busy::No);
            if lane.head != head {
                self.fault(format!("{who} has head {:?} and should have {head:?}: {lane:?}", lane.head));
            }
            if let Busy::Posting(place) = lane.busy
                && !self.has(&keys::posting(place))
            {
                self.fault(format!("{who} waits for {place}, which isn't being posted"));
            }
            if let Some((class, place)) = lane.head {
                let key = keys::head(number, class, place);
                if !self.has(&key) {
                    self.fault(format!("{who}: its head isn't among the heads"));
                }
                heads.insert(key.into_bytes());
                let from = outbox.memory.ways.get(number).map_or(0, |way| way.from[usize::from(class)]);
                if from > place {
                    self.fault(format!("{who}: heads are looked for from {from}, and one is {place}"));
                }
            }
        }
        let strays = self.of(b'h').filter(|(key, _)| !heads.contains(*key)).count();
        if strays > 0 {
            self.fault(format!("{strays} heads are of no lane"));
        }
        let known: Vec<(Vec<u8>, Option<Lane>)> =
            self.of(b'p').map(|(key, value)| (key.clone(), decode(value))).collect();
        for (key, lane) in known {
            let timer = |at: i64| {
                let key = keys::timers().time(at).byte(timers::LANE).bytes(&key[1..]);
                self.raw.contains_key(key.as_bytes())
            };
            let fine = lane.is_some_and(|lane| match lane.busy {
                Busy::Until { at, .. } => timer(at),
                Busy::No => lane.head.is_some() || timer(lane.pair_ms),
                Busy::Posting(place) => self.has(&keys::posting(place)),
            });
            if !fine {
                self.fault(format!("nothing ends what a lane waits for: {lane:?}"));
            }
        }
        Ok(())
    }

    fn numbers(&mut self, outbox: &Outbox, counts: &BTreeMap<String, Counts>) -> Result<(), TableError> {
        let empty = Counts::default();
        for name in outbox.settings.numbers.keys() {
            let known: Counts = self.view.get(&keys::counts(name))?.unwrap_or_default();
            let counted = counts.get(name).unwrap_or(&empty);
            if known != *counted {
                self.fault(format!("number {name}: {known:?} should be {counted:?}"));
            }
        }
        let units: Vec<(String, i32, Units)> = self
            .of(b'd')
            .filter_map(|(key, value)| {
                let (name, day) = key.get(1..)?.split_last_chunk::<8>()?;
                let day = (u64::from_be_bytes(*day) ^ 1 << 63).cast_signed();
                let name = String::from_utf8(name.strip_suffix(&[0])?.to_vec()).ok()?;
                Some((name, i32::try_from(day).ok()?, decode(value)?))
            })
            .collect();
        for (name, day, units) in units {
            self.found.units.insert((name, day), (units.messages, units.calls));
        }
        Ok(())
    }

    /// Whatever rests ends.
    fn rests(&mut self) {
        let endless = self.of(b'b').filter(|(key, value)| {
            let timer = |at: i64| keys::timers().time(at).byte(timers::REST).bytes(&key[1..]);
            !decode(value).is_some_and(|at| self.has(&timer(at)))
        });
        let endless = endless.count();
        if endless > 0 {
            self.fault(format!("marketing to {endless} people rests for ever"));
        }
    }

    fn recipients(&mut self) -> Result<(), TableError> {
        let mut by_portfolio: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut times = BTreeSet::new();
        for (key, value) in self.of(b'r') {
            let (Some((head, contact)), Some(at)) = (key.split_last_chunk::<16>(), decode::<i64>(value))
            else {
                continue;
            };
            *by_portfolio.entry(head[1..].to_vec()).or_default() += 1;
            let by_time = keys::Key::new(b'v').bytes(&head[1..]).time(at).bytes(contact);
            times.insert(by_time.into_bytes());
        }
        let listed: BTreeSet<Vec<u8>> = self.of(b'v').map(|(key, _)| key.clone()).collect();
        if listed != times {
            self.fault("recipients by time and recipients differ".to_owned());
        }
        let known: Vec<(Vec<u8>, u64)> = self
            .of(b'n')
            .map(|(key, value)| (key[1..].to_vec(), decode(value).unwrap_or(u64::MAX)))
            .collect();
        for (portfolio, known) in known {
            let counted = by_portfolio.get(&portfolio).copied().unwrap_or(0);
            if counted != known {
                self.fault(format!("{known} recipients are counted, and {counted} are there"));
            }
        }
        Ok(())
    }
}
