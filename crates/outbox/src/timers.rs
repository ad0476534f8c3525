//! What is looked at when its time has come. A timer says only where to look; what is due there the message or
//! the lane itself knows, so that one too many does no harm.

use model::Standing;

use crate::keys::{self, Key};
use crate::settings::{TURN_MAX, UNREAD_AFTER_MS};
use crate::table::TableError;
use crate::turn::{Note, Turn};
use crate::values::{Busy, Early, Message, State};
use crate::why::Why;

const MESSAGE: u8 = 1;
pub(crate) const LANE: u8 = 2;
const EARLY: u8 = 3;
const HELD: u8 = 4;
pub(crate) const REST: u8 = 5;

/// When a timer is due.
pub(crate) fn time_of(key: &[u8]) -> Option<i64> {
    let bytes = key.get(1..9)?.first_chunk()?;
    Some((u64::from_be_bytes(*bytes) ^ 1 << 63).cast_signed())
}

fn number_and_contact(rest: &[u8]) -> Option<(&str, u128)> {
    let (number, contact) = rest.split_last_chunk::<16>()?;
    Some((std::str::from_utf8(number.strip_suffix(&[0])?).ok()?, u128::from_be_bytes(*contact)))
}

impl Turn<'_> {
    pub(crate) fn look_at(&mut self, place: u64, at: i64) {
        let key = self.timer(at).byte(MESSAGE).number(place);
        self.view.mark(key);
    }

    pub(crate) fn look_at_lane(&mut self, number: &str, contact: u128, at: i64) {
        let key = self.timer(at).byte(LANE).text(number).contact(contact);
        self.view.mark(key);
    }

    pub(crate) fn look_at_held(&mut self, number: &str, contact: u128, at: i64) {
        let key = self.timer(at).byte(HELD).text(number).contact(contact);
        self.view.mark(key);
    }

    pub(crate) fn look_at_early(&mut self, hash: &[u8; 16], at: i64) {
        let key = self.timer(at).byte(EARLY).hash(hash);
        self.view.mark(key);
    }

    pub(crate) fn look_at_rest(&mut self, contact: u128, at: i64) {
        let key = self.timer(at).byte(REST).contact(contact);
        self.view.mark(key);
    }

    fn timer(&mut self, at: i64) -> Key {
        self.memory.timers_from = self.memory.timers_from.map(|from| from.min(at));
        keys::timers().time(at)
    }

    /// Where timers begin.
    pub(crate) fn timers_from(&self) -> Key {
        self.memory.timers_from.map_or_else(keys::timers, |from| keys::timers().time(from))
    }

    /// Sets the timer of every uncertain message that is sent again after a while: when it became uncertain the
    /// configuration may have said otherwise.
    pub(crate) fn look_at_uncertain(&mut self) -> Result<(), TableError> {
        if self.settings.send_again_after_ms.iter().all(Option::is_none) {
            return Ok(());
        }
        let all = keys::Key::new(b'?');
        for (key, _) in self.view.list(&all, &all, usize::MAX)? {
            let Some(place) = keys::place_of(&key) else { continue };
            let Some((message, state)) = self.load(place)? else { continue };
            let after = self.settings.send_again_after_ms[message.priority as usize];
            if let (Some(since), Some(after)) = (state.uncertain_ms, after) {
                self.look_at(place, since.saturating_add(after));
                self.urgent = true;
            }
        }
        Ok(())
    }

    /// Looks at what is due; says whether there is more of it than a turn takes.
    pub(crate) fn run_timers(&mut self) -> Result<bool, TableError> {
        let to = keys::timers().time(self.now.saturating_add(1));
        let due = self.view.range(self.timers_from().as_bytes(), to.as_bytes(), TURN_MAX)?;
        // What is set from here on, and may be due already, brings it back.
        self.memory.timers_from = match due.last() {
            Some((key, _)) if due.len() == TURN_MAX => time_of(key),
            _ => Some(self.now.saturating_add(1)),
        };
        if !due.is_empty() {
            self.stir();
        }
        for (key, _) in &due {
            self.view.remove(&Key::from_bytes(key));
            self.urgent = true;
            match (key.get(9), key.get(10..)) {
                (Some(&MESSAGE), _) => {
                    if let Some(place) = keys::place_of(key) {
                        self.look(place)?;
                    }
                }
                (Some(&LANE), Some(rest)) => {
                    if let Some((number, contact)) = number_and_contact(rest) {
                        self.look_into_lane(number, contact)?;
                    }
                }
                (Some(&HELD), Some(rest)) => {
                    if let Some((number, contact)) = number_and_contact(rest) {
                        self.let_go_all(number, contact)?;
                    }
                }
                (Some(&EARLY), Some(rest)) => {
                    if let Some(hash) = rest.first_chunk() {
                        self.forget_early(hash)?;
                    }
                }
                (Some(&REST), Some(rest)) => {
                    if let Some(contact) = rest.first_chunk() {
                        self.forget_rest(u128::from_be_bytes(*contact))?;
                    }
                }
                _ => {}
            }
        }
        Ok(due.len() == TURN_MAX)
    }

    fn look_into_lane(&mut self, number: &str, contact: u128) -> Result<(), TableError> {
        let Some(mut lane) = self.known_lane(number, contact)? else { return Ok(()) };
        match lane.busy {
            Busy::Until { at, .. } if at <= self.now => lane.busy = Busy::No,
            // Another timer is set for it.
            Busy::Until { .. } => return Ok(()),
            Busy::Posting(_) | Busy::No => {}
        }
        self.settle_lane(number, contact, lane)
    }

    fn forget_early(&mut self, hash: &[u8; 16]) -> Result<(), TableError> {
        let kept = |early: &Early| early.at_ms.saturating_add(crate::settings::EARLY_KEPT_MS);
        match self.view.get::<Early>(&keys::early(hash))? {
            Some(early) if kept(&early) > self.now => self.look_at_early(hash, kept(&early)),
            Some(_) => self.view.remove(&keys::early(hash)),
            None => {}
        }
        Ok(())
    }

    /// Does what is due of a message.
    fn look(&mut self, place: u64) -> Result<(), TableError> {
        let Some((message, mut state)) = self.load(place)? else { return Ok(()) };
        match state.standing {
            Standing::Queued | Standing::Held => {
                if state.expires_ms.is_some_and(|at| at <= self.now) {
                    self.give_up(place, &message, &mut state, Standing::Expired, Why::Expired)?;
                    self.save(place, &state);
                } else if state.standing == Standing::Held
                    && state.not_before_ms.is_some_and(|at| at <= self.now)
                {
                    self.let_go(place, &message, &mut state)?;
                    self.save(place, &state);
                }
            }
            Standing::Uncertain => {
                let after = self.settings.send_again_after_ms[message.priority as usize];
                let due = state.uncertain_ms.zip(after).map(|(since, after)| since.saturating_add(after));
                if due.is_some_and(|due| due <= self.now) {
                    self.send_again(place, &message, &mut state, Why::SentAgain)?;
                    self.save(place, &state);
                } else if let Some(due) = due {
                    // The configuration says a longer time by now.
                    self.look_at(place, due);
                }
            }
            Standing::Accepted | Standing::Sent | Standing::Delivered => {
                self.note_unread(place, &message, &mut state)?;
                self.forget_if_old(place, &message, &state)?;
            }
            Standing::Sending => {}
            Standing::Read | Standing::Failed | Standing::Expired | Standing::Cancelled => {
                self.forget_if_old(place, &message, &state)?;
            }
        }
        Ok(())
    }

    /// Takes in that a message was delivered. Where that is later than the look at what lies unread, as with a phone that
    /// was off, it gets another look.
    pub(crate) fn is_delivered(&mut self, place: u64, state: &mut State) {
        if state.delivered_ms.is_some() {
            return;
        }
        state.delivered_ms = Some(self.date);
        if !state.told_unread && lies_since(state) == state.delivered_ms {
            self.look_at(place, self.now.saturating_add(UNREAD_AFTER_MS));
        }
    }

    fn note_unread(&mut self, place: u64, message: &Message, state: &mut State) -> Result<(), TableError> {
        let (Some(accepted_ms), Some(since)) = (state.accepted_ms, lies_since(state)) else { return Ok(()) };
        let due = since.saturating_add(UNREAD_AFTER_MS) <= self.date;
        // What was never sent, as far as anybody knows, can't be called unread.
        let arrived = matches!(state.standing, Standing::Sent | Standing::Delivered);
        let (Some(wamid), Some(to)) = (&state.wamid, &message.to) else { return Ok(()) };
        if !due || !arrived || state.told_unread {
            return Ok(());
        }
        self.notes.push(Note::Unread {
            id: message.id(place),
            number: message.number.clone(),
            to: to.clone(),
            contact: message.contact,
            wamid: wamid.clone(),
            accepted_ms,
            delivered_ms: state.delivered_ms,
        });
        let mut person = self.person(message.contact)?;
        person.unread_ms.get_or_insert(self.date);
        self.view.put(keys::person(message.contact), &person);
        state.told_unread = true;
        self.save(place, state);
        Ok(())
    }

    fn forget_if_old(&mut self, place: u64, message: &Message, state: &State) -> Result<(), TableError> {
        let Some(forget_ms) = state.over_ms.map(|over| over.saturating_add(self.settings.history_ms)) else {
            return Ok(());
        };
        // Not before the look at what lies unread since a late delivery.
        let unread =
            lies_since(state).filter(|_| state.standing == Standing::Delivered && !state.told_unread);
        let unread =
            unread.map(|since| since.saturating_add(UNREAD_AFTER_MS).saturating_sub(self.memory.leapt));
        let forget_ms = unread.filter(|at| *at > self.now).map_or(forget_ms, |at| at.max(forget_ms));
        if forget_ms > self.now {
            // Another look, or the history has grown longer by the configuration.
            self.look_at(place, forget_ms);
            return Ok(());
        }
        self.view.remove(&keys::message(place));
        self.view.remove(&keys::state(place));
        if let Some(wamid) = &state.wamid {
            let key = crate::turn::wamid_key(&self.view, wamid);
            self.view.remove(&key);
        }
        // The answer to its call is kept for as long as one of its messages is.
        let last = message.first + u64::from(message.parts);
        let mut others = (message.first..last).filter(|other| *other != place);
        let mut alone = true;
        for other in others.by_ref() {
            alone &= !self.view.has(&keys::message(other))?;
        }
        if alone {
            self.view.remove(&keys::idempotency(&message.key));
        }
        Ok(())
    }
}

/// Since when a message can lie unread: since it was accepted, or since a delivery that came a day later or more.
fn lies_since(state: &State) -> Option<i64> {
    let accepted = state.accepted_ms?;
    let late = |at: &i64| *at >= accepted.saturating_add(UNREAD_AFTER_MS);
    Some(state.delivered_ms.filter(late).unwrap_or(accepted))
}
