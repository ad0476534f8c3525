//! Values that can't be read any more and must not count as none: who forgets an opt-out, a stop or a rate sends what
//! may not be sent. Each is read as the strictest that it can have been, and what happens next mends it.

use model::Sequence;
use policy::sending::{PAIR_BURST, PAIR_EVERY_MS};

use crate::keys::{self, Key};
use crate::settings::{HISTORY_MAX, Settings, TURN_MAX};
use crate::table::{TableError, Unreadable, View, decode};
use crate::turn::{Turn, is_open};
use crate::values::{Busy, CLASSES, Channel, Lane, Message, Person, State, Stop};

/// The lowest limit of unique recipients that Meta gives: the first tier of its messaging limits.
const RECIPIENTS_LEAST: u64 = 250;
/// So many of the newest messages are looked at for what can't be read elsewhere.
const LOOK_BACK: u64 = 64;

impl Turn<'_> {
    /// What is known of a person under one name. Who can't be read has agreed to nothing, wants no marketing, and was
    /// pushed to just now.
    pub(crate) fn known_person(&self, contact: u128) -> Result<Option<Person>, TableError> {
        let (stopped_ms, pushed_ms) = (Some(self.date), Some(self.now));
        let careful = Person { opted_in: None, stopped_ms, pushed_ms, unread_ms: None };
        self.view.get_or(&keys::person(contact), careful)
    }

    /// Writes down how a person counts who can't be read: else "just now" would never pass.
    pub(crate) fn mend_person(&mut self, contact: u128) -> Result<(), TableError> {
        for one in self.view.family(contact) {
            let key = keys::person(one);
            if let Some(Err(Unreadable)) = self.view.look::<Person>(&key)? {
                let person = self.person(one)?;
                self.view.put(key, &person);
            }
        }
        Ok(())
    }

    /// A number's way to WhatsApp. One that can't be read may have been stopped, for whatever reason: one message is
    /// tried, and the others go when it got through. What Meta says of the throughput is but an upgrade.
    pub(crate) fn channel(&self, number: &str) -> Result<Channel, TableError> {
        match self.view.look(&keys::channel(number))? {
            Some(Ok(known)) => return Ok(known),
            None => return Ok(Channel::default()),
            Some(Err(Unreadable)) => {}
        }
        let stop = Stop {
            code: None,
            reason: "what was known of this number can't be read any more: one message is tried".to_owned(),
            since_ms: self.date.saturating_sub(1),
            trial_ms: self.now,
            by_status: true,
        };
        Ok(Channel { stopped: Some(stop), ..Channel::default() })
    }

    /// A recipient's lane, if there is one. One that can't be read waits for whoever is being posted in it, and has
    /// its pair rate used up.
    pub(crate) fn known_lane(&self, number: &str, contact: u128) -> Result<Option<Lane>, TableError> {
        match self.view.look(&keys::lane(number, contact))? {
            Some(Ok(known)) => return Ok(Some(known)),
            None => return Ok(None),
            Some(Err(Unreadable)) => {}
        }
        let posting = self.posted_to(number, contact)?;
        let mut head = None;
        let messages = keys::lane_messages(number, contact);
        for (key, _) in self.view.list(&messages, &messages, TURN_MAX)? {
            let class = key.len().checked_sub(9).and_then(|at| key.get(at).copied());
            let (Some(class), Some(place)) = (class, keys::place_of(&key)) else { continue };
            if head.is_none() && self.view.has(&keys::head(number, class, place))? {
                head = Some((class, place));
            }
        }
        let pair_ms = self.now.saturating_add(PAIR_BURST * PAIR_EVERY_MS);
        Ok(Some(Lane { busy: posting.map_or(Busy::No, Busy::Posting), head, pair_ms }))
    }

    /// The message that is being posted to a recipient: of as many as there are calls in flight.
    fn posted_to(&self, number: &str, contact: u128) -> Result<Option<u64>, TableError> {
        let all = Key::new(b'f');
        for (key, lane) in self.view.list(&all, &all, usize::MAX)? {
            let Some(place) = keys::place_of(&key) else { continue };
            let is_here = match decode::<(String, u128)>(&lane) {
                Some((name, whose)) => name == number && whose == contact,
                None => {
                    let mut waits = false;
                    for class in CLASSES {
                        waits |= self.view.has(&keys::in_lane(number, contact, class, place))?;
                    }
                    waits
                }
            };
            if is_here {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Writes down how the lanes of a recipient's other names count that can't be read: as [`Turn::mend_person`].
    pub(crate) fn mend_other_lanes(&mut self, message: &Message) -> Result<(), TableError> {
        for (contact, lane) in self.other_lanes(message)? {
            let key = keys::lane(&message.number, contact);
            if let Some(Err(Unreadable)) = self.view.look::<Lane>(&key)? {
                self.settle_lane(&message.number, contact, lane)?;
            }
        }
        Ok(())
    }

    /// What Meta says of the unique recipients of a portfolio, or of all, if it has said something.
    pub(crate) fn recipients_told(&self, portfolio: Option<&str>) -> Result<Option<u64>, TableError> {
        self.view.get_or(&keys::recipients_told(portfolio), RECIPIENTS_LEAST)
    }

    /// Writes down how everything counts at a start that is read again and again and seldom written: as
    /// [`Turn::mend_person`], and it is said once.
    pub(crate) fn mend(&mut self) -> Result<(), TableError> {
        let leapt = keys::single("leapt");
        if let Some(Err(Unreadable)) = self.view.look::<i64>(&leapt)? {
            self.view.put(leapt, &self.memory.leapt);
            self.urgent = true;
        }
        let settings = self.settings;
        let portfolios = settings.numbers.values().map(|number| Some(number.portfolio.as_str()));
        for told in portfolios.chain([None]).map(keys::recipients_told) {
            if let Some(Err(Unreadable)) = self.view.look::<u64>(&told)? {
                self.view.put(told, &RECIPIENTS_LEAST);
                self.urgent = true;
            }
        }
        for name in settings.numbers.keys() {
            let key = keys::channel(name);
            if let Some(Err(Unreadable)) = self.view.look::<Channel>(&key)? {
                let channel = self.channel(name)?;
                self.view.put(key, &channel);
                self.urgent = true;
            }
        }
        Ok(())
    }
}

/// The next message's place. Where it is lost: behind all that there are, for none may take another's.
pub(crate) fn next_place(view: &View<'_>) -> Result<u64, TableError> {
    if let Some(next) = view.get(&keys::single("next"))? {
        return Ok(next);
    }
    let (mut next, mut free) = (1, u64::MAX);
    while next < free {
        let middle = next + (free - next) / 2;
        let mut taken = false;
        for space in *b"msof" {
            let all = Key::new(space);
            taken |= !view.list(&all, &all.clone().number(middle), 1)?.is_empty();
        }
        if taken {
            next = middle + 1;
        } else {
            free = middle;
        }
    }
    Ok(next)
}

/// How many messages aren't over: counted, where the count is lost.
pub(crate) fn open_messages(view: &View<'_>) -> Result<u64, TableError> {
    if let Some(open) = view.get(&keys::single("open"))? {
        return Ok(open);
    }
    let all = Key::new(b'o');
    Ok(view.list(&all, &all, usize::MAX)?.len() as u64)
}

/// By how much the date is ahead of the time that the box itself saw pass. Where that can't be read it is as it was when a
/// message of late was over, which is written by both. Where none was, no time has passed since the newest push,
/// so that none is forgotten too early; where there was none of these either, until the next timer.
pub(crate) fn leapt(view: &View<'_>, settings: &Settings, next: u64, date: i64) -> Result<i64, TableError> {
    match view.look(&keys::single("leapt"))? {
        Some(Ok(known)) => return Ok(known),
        None => return Ok(0),
        Some(Err(Unreadable)) => {}
    }
    let mut leapt = None;
    for place in next.saturating_sub(LOOK_BACK)..next {
        let state: Option<State> = view.get(&keys::state(place))?;
        leapt = leapt.max(state.as_ref().and_then(leapt_by));
    }
    if let Some(leapt) = leapt {
        return Ok(leapt.max(0));
    }
    let mut seen = None;
    for number in settings.numbers.values() {
        let pushes = keys::recipients_by_time(&number.portfolio);
        let newest = view.list(&pushes, &pushes, usize::MAX)?.pop();
        seen = seen.max(newest.and_then(|(key, _)| keys::time_and_recipient(&key)).map(|(at, _)| at));
    }
    if seen.is_none() {
        let first = view.list(&keys::timers(), &keys::timers(), 1)?.pop();
        seen = first.and_then(|(key, _)| crate::timers::time_of(&key));
    }
    Ok(seen.map_or(0, |seen| date.saturating_sub(seen).max(0)))
}

/// Where in the journal reading goes on, and, where that can't be read, the date before which what it says is read again.
pub(crate) fn cursor(view: &View<'_>, date: i64) -> Result<(Sequence, Option<i64>), TableError> {
    Ok(match view.look(&keys::single("cursor"))? {
        Some(Ok(cursor)) => (Sequence(cursor), None),
        None => (Sequence::START, None),
        Some(Err(Unreadable)) => (Sequence::START, Some(date)),
    })
}

/// By how much the date was ahead when a message was over.
fn leapt_by(state: &State) -> Option<i64> {
    let ended = state.history.iter().rposition(|step| is_open(step.standing))? + 1;
    let end = state.history.get(ended).filter(|_| state.history.len() < HISTORY_MAX)?;
    Some(end.at_ms.saturating_sub(state.over_ms?))
}
