//! What the journal says: customers who write, statuses, and what Meta makes known.

use model::{Fact, Pricing, Refusal, Says, Sequence, Standing, StatusWord};
use policy::sending::{Class, SERVICE_WINDOW_MS, StopScope, after_status, class};

use crate::keys;
use crate::settings::{TRIAL_EVERY_MS, TURN_MAX};
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Channel, Kind, Message, State, Stop, Window};
use crate::why::Why;

impl Turn<'_> {
    /// Takes in what a record of the journal says. Facts come in the order of the journal; one that was taken
    /// in before changes nothing.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn learn(&mut self, fact: Fact) -> Result<(), TableError> {
        if fact.sequence != Sequence::START && fact.sequence <= self.known {
            return Ok(());
        }
        self.stir();
        let at_ms = fact.at.map_or(self.date, |at| at.0);
        // What is learned in its turn is newer than all that is known, whatever a clock says. What is read again isn't,
        // and takes nothing back that was said after it.
        let again = self.memory.again_before.is_some_and(|before| at_ms < before);
        let said_ms = if again { at_ms } else { i64::MAX };
        match fact.says {
            Says::Nothing => {}
            Says::Inbound { wamid } => {
                if let (Some(number), Some(contact)) = (&fact.number, fact.contact) {
                    self.wrote(number, contact, at_ms, wamid)?;
                }
            }
            Says::Status { wamid, outbox_id, word, refusal, pricing, of_participant: false } => {
                let known = match (outbox_id, &wamid) {
                    (Some(id), _) => {
                        let known = self.load(id.place)?.filter(|(message, _)| message.chance == id.chance);
                        known.map(|(message, state)| (id.place, message, state))
                    }
                    (None, Some(wamid)) => {
                        let key = crate::turn::wamid_key(&self.view, wamid);
                        match self.view.get::<u64>(&key)? {
                            Some(place) => self.load(place)?.map(|(message, state)| (place, message, state)),
                            None => None,
                        }
                    }
                    (None, None) => None,
                };
                if let Some((place, message, before)) = known {
                    let mut state = before.clone();
                    if let Some(wamid) = &wamid {
                        self.is_known_as(place, &mut state, wamid);
                    }
                    self.take_status(place, &message, &mut state, (word, at_ms), refusal, pricing)?;
                    if state != before {
                        self.save(place, &state);
                    }
                } else if let Some(wamid) = wamid
                    && outbox_id.is_none()
                    && fact.number.as_ref().is_some_and(|number| self.way(number).in_flight > 0)
                {
                    self.keep_early(&wamid, word, refusal, pricing)?;
                }
            }
            Says::Status { .. } => {}
            Says::Marketing { stopped, .. } => {
                if let Some(contact) = fact.contact {
                    self.stop_marketing(contact, stopped, said_ms)?;
                }
            }
            Says::UniqueLimit(limit) => {
                let number = fact.number.as_ref().and_then(|number| self.settings.numbers.get(number));
                let key = keys::recipients_told(number.map(|number| number.portfolio.as_str()));
                match limit {
                    Some(limit) => self.view.put(key, &limit),
                    None => self.view.remove(&key),
                }
            }
            Says::Throughput(per_second) => {
                self.for_channels(fact.number.as_deref(), |channel| channel.per_second = Some(per_second))?;
            }
            Says::Account { usable: true, .. } => {
                let number = fact.number.as_deref();
                self.for_channels(number, |channel| {
                    channel.stopped.take_if(|stop| stop.since_ms <= said_ms);
                })?;
                let settings = self.settings;
                for name in settings.numbers.keys().filter(|name| number.is_none_or(|number| number == *name))
                {
                    self.free_tried(name)?;
                }
            }
            Says::Account { usable: false, reason } => {
                let (now, since_ms) = (self.now, said_ms.min(self.date));
                self.for_channels(fact.number.as_deref(), |channel| {
                    let trial_ms = now.saturating_add(TRIAL_EVERY_MS);
                    let stop =
                        Stop { code: None, reason: reason.clone(), since_ms, trial_ms, by_status: false };
                    channel.stopped.get_or_insert(stop);
                })?;
            }
        }
        self.memory.cursor = self.memory.cursor.max(fact.sequence);
        Ok(())
    }

    /// The journal is known up to here, whatever it held.
    pub fn known_to(&mut self, sequence: Sequence) {
        self.memory.cursor = self.memory.cursor.max(sequence);
    }

    fn for_channels(
        &mut self,
        number: Option<&str>,
        change: impl Fn(&mut Channel),
    ) -> Result<(), TableError> {
        self.urgent = true;
        let settings = self.settings;
        for name in settings.numbers.keys().filter(|name| number.is_none_or(|number| number == *name)) {
            let mut channel = self.channel(name)?;
            change(&mut channel);
            self.view.put(keys::channel(name), &channel);
        }
        Ok(())
    }

    fn wrote(&mut self, number: &str, contact: u128, at_ms: i64, wamid: String) -> Result<(), TableError> {
        let key = keys::window(number, contact);
        // A message of the day after tomorrow opens no longer window than one of now.
        let at_ms = at_ms.min(self.date);
        let known: Option<Window> = self.view.get(&key)?;
        if known.as_ref().is_none_or(|known| known.last_ms < at_ms || known.denied && known.last_ms == at_ms)
        {
            self.view.put(key, &Window { last_ms: at_ms, wamid, denied: false });
        }
        // Where nothing was ever queued, nothing is held and nothing lies unread.
        let none_queued = self.memory.next <= 1;
        if none_queued || at_ms.saturating_add(SERVICE_WINDOW_MS) <= self.date {
            return Ok(());
        }
        for one in self.view.family(contact) {
            let mut person = self.person(one)?;
            if person.unread_ms.take().is_some() {
                self.view.put(keys::person(one), &person);
            }
            self.let_go_all(number, one)?;
        }
        Ok(())
    }

    /// Puts what is held for a contact back into the lane, which has just written.
    pub(crate) fn let_go_all(&mut self, number: &str, contact: u128) -> Result<(), TableError> {
        let prefix = keys::held_for(number, contact);
        let held = self.view.list(&prefix, &prefix, TURN_MAX)?;
        for (key, _) in &held {
            self.urgent = true;
            let Some(place) = keys::place_of(key) else { continue };
            self.view.remove(&keys::Key::from_bytes(key));
            let Some((message, mut state)) = self.load(place)? else { continue };
            if state.standing == Standing::Held {
                self.let_go(place, &message, &mut state)?;
                self.save(place, &state);
            }
        }
        if held.len() == TURN_MAX {
            self.look_at_held(number, contact, self.now);
        }
        Ok(())
    }

    /// Takes in what a customer said of marketing at a date; what they said after it stands.
    pub(crate) fn stop_marketing(
        &mut self,
        contact: u128,
        stopped: bool,
        at_ms: i64,
    ) -> Result<(), TableError> {
        for one in self.view.family(contact) {
            let mut person = self.person(one)?;
            if stopped {
                person.stopped_ms.get_or_insert(at_ms.min(self.date));
            } else {
                person.stopped_ms.take_if(|since| *since <= at_ms);
            }
            self.view.put(keys::person(one), &person);
        }
        Ok(())
    }

    /// Takes in a status of a date; the caller saves.
    pub(crate) fn take_status(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        (word, at_ms): (StatusWord, i64),
        refusal: Option<Refusal>,
        pricing: Option<Pricing>,
    ) -> Result<(), TableError> {
        self.urgent |= matches!(state.standing, Standing::Uncertain | Standing::Queued | Standing::Held);
        if let Some(pricing) = pricing.filter(|_| !state.charged) {
            state.charged = true;
            self.charge(message, &pricing)?;
        }
        if word == StatusWord::Delivered {
            self.is_delivered(place, state);
        }
        if word == StatusWord::Read {
            self.was_read(message)?;
        }
        if word != StatusWord::Failed {
            self.got_through(&message.number, state)?;
        }
        let Some(standing) = after_status(state.standing, word) else { return Ok(()) };
        match state.standing {
            // The call is still open: its answer takes it out of its lane.
            Standing::Sending => {}
            Standing::Queued | Standing::Held => {
                // It waited to be sent once more, and had gone the first time. The unit of that time was used.
                self.unhold(place, message);
                self.leave_lane(place, message)?;
                if state.again {
                    self.give_back_message(message, state)?;
                }
                state.unit_day = None;
            }
            Standing::Uncertain => {
                self.release(place, message)?;
            }
            Standing::Accepted
            | Standing::Sent
            | Standing::Delivered
            | Standing::Read
            | Standing::Failed
            | Standing::Expired
            | Standing::Cancelled => {}
        }
        if word == StatusWord::Failed {
            self.failed_later(message, state, refusal, at_ms)?;
        } else if message.kind != Kind::ReadMark {
            self.is_sent(place, message, state, (None, None));
        }
        let why = (word == StatusWord::Failed).then_some(Why::FailedLater);
        self.stand(place, message, state, standing, why)
    }

    /// What a failure teaches about the next message.
    fn failed_later(
        &mut self,
        message: &Message,
        state: &mut State,
        refusal: Option<Refusal>,
        at_ms: i64,
    ) -> Result<(), TableError> {
        let Some(refusal) = refusal else { return Ok(()) };
        self.learn_rest(message.contact, &refusal, at_ms)?;
        match class(&refusal) {
            Class::Template => self.deny_window(message)?,
            Class::OptOut => self.stop_marketing(message.contact, true, self.date)?,
            Class::Stop(scope @ (StopScope::Channel | StopScope::PauseNumber)) if refusal.code.is_some() => {
                // All that follow would be taken, and fail for good like this one.
                self.stop_channel(&message.number, &refusal, scope, true)?;
            }
            Class::Replay
            | Class::Ambiguous
            | Class::Wait { .. }
            | Class::Permanent
            | Class::Configuration
            | Class::Stop(_)
            | Class::Pair => {}
        }
        state.refusal = Some(refusal);
        Ok(())
    }

    fn was_read(&mut self, message: &Message) -> Result<(), TableError> {
        for one in self.view.family(message.contact) {
            let mut person = self.person(one)?;
            if person.unread_ms.take().is_some() {
                self.view.put(keys::person(one), &person);
            }
        }
        Ok(())
    }
}
