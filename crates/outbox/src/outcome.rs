//! What a call came to.

use model::{OutboxId, Outcome, Refusal, Standing, StatusWord};
use policy::sending::errors::RETRY_AFTER_MAX_MS;
use policy::sending::{Class, StopScope, class, retry};

use crate::keys;
use crate::settings::{DOUBT_MS, EARLY_MAX, UNCERTAIN_HOLD_MS, UNREAD_AFTER_MS};
use crate::table::TableError;
use crate::turn::{Note, Sent, Turn, wamid_key};
use crate::values::{Busy, Early, EarlyWord, Kind, Message, State, Window};
use crate::why::Why;

/// What came of one [`crate::Call`].
#[derive(Debug, Clone)]
pub struct Called {
    /// The message.
    pub id: OutboxId,
    /// The number that it went out from.
    pub number: String,
    /// The endpoint that was asked.
    pub endpoint: String,
    /// Another endpoint is used by now: what this one says about the whole number is no news.
    pub left: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// WhatsApp asks for fewer calls: none for so many milliseconds.
    pub slow_for_ms: Option<u64>,
    /// For the jitter of what is tried again.
    pub chance: u64,
}

/// From where an answer came, and what makes its waits differ from others'.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// For the jitter.
    pub(crate) chance: u64,
    /// See [`Called::left`].
    pub(crate) left: bool,
}

/// Why a whole number waits, and how long the answer asks for at least, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pause {
    /// The way there is in trouble.
    Trouble(Option<u64>),
    /// WhatsApp wants fewer calls.
    Throttled(Option<u64>),
}

impl Turn<'_> {
    /// Takes in what came of a call.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn called(&mut self, called: Called) -> Result<(), TableError> {
        self.urgent = true;
        self.stir();
        let place = called.id.place;
        // First of all: whatever can't be read, the call is over.
        let loaded = self.load(place)?;
        let began = loaded.as_ref().and_then(|(_, state)| state.call_day);
        self.way(&called.number).end(place, began);
        self.paces.ended(&called.number, place, self.now);
        if !self.view.has(&keys::posting(place))? {
            return Ok(());
        }
        let Some((message, mut state)) = loaded else { return self.answer_unreadable(place) };
        if !matches!(called.outcome, Outcome::NotSent { .. })
            && let Some(number) = self.settings.numbers.get(&message.number)
        {
            self.arrived(&message, &state, self.day(number), !surely_not(&called.outcome))?;
        }
        state.endpoint = Some(called.endpoint);
        if let Some(slow) = called.slow_for_ms {
            let slow = i64::try_from(slow).unwrap_or(i64::MAX).min(RETRY_AFTER_MAX_MS);
            let until = self.now.saturating_add(slow);
            if !called.left {
                self.throttled_until(&message.number, until)?;
            }
        }
        if let (Outcome::NotSent { .. }, Some(day)) = (&called.outcome, state.call_day) {
            self.give_back_call(&message.number, day)?;
        }
        let heard = Heard { chance: called.chance, left: called.left };
        match called.outcome {
            Outcome::Accepted { wamid, wa_id, user_id, .. } => {
                self.accepted(place, &message, &mut state, wamid, (wa_id, user_id))?;
            }
            // A status was quicker than the answer: it was sent, whatever the answer says.
            outcome if state.standing != Standing::Sending => {
                if state.again && surely_not(&outcome) {
                    // It was the first time that arrived, and this one took units of its own.
                    self.give_back_push(&message, &mut state)?;
                    self.give_back_message(&message, &mut state)?;
                }
                self.posted(place, &message, Busy::No)?;
            }
            Outcome::Unknown { .. } => {
                self.slow_down(&message.number, Pause::Trouble(None), heard)?;
                self.becomes_uncertain(place, &message, &mut state)?;
            }
            Outcome::NotSent { .. } => {
                let pause = Pause::Trouble(None);
                self.try_later(place, &message, &mut state, (Why::Retry, pause), heard)?;
            }
            Outcome::Refused(refusal) => {
                state.refusal = Some(refusal.clone());
                self.refused(place, &message, &mut state, &refusal, heard)?;
            }
        }
        if matches!(state.standing, Standing::Queued | Standing::Held)
            && state.expires_ms.is_some_and(|at| at <= self.now)
        {
            // Its timer was due while nobody could give it up.
            self.look_at(place, self.now);
        }
        self.save(place, &state);
        Ok(())
    }

    fn accepted(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        wamid: Option<String>,
        names: (Option<String>, Option<String>),
    ) -> Result<(), TableError> {
        self.was_let_in(&message.number, state)?;
        self.posted(place, message, Busy::No)?;
        state.refusals = 0;
        if state.standing == Standing::Sending {
            self.stand(place, message, state, Standing::Accepted, None)?;
        }
        if message.kind == Kind::ReadMark {
            return Ok(());
        }
        if let Some(wamid) = &wamid {
            self.is_known_as(place, state, wamid);
        }
        self.is_sent(place, message, state, names);
        if let Some(wamid) = wamid {
            self.take_early(place, message, state, &wamid)?;
        }
        Ok(())
    }

    pub(crate) fn is_known_as(&mut self, place: u64, state: &mut State, wamid: &str) {
        if state.wamid.is_none() {
            let key = wamid_key(&self.view, wamid);
            self.view.put(key, &place);
            state.wamid = Some(wamid.to_owned());
        }
    }

    /// It went: the CRM is told once.
    pub(crate) fn is_sent(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        (wa_id, user_id): (Option<String>, Option<String>),
    ) {
        let accepted_ms = *state.accepted_ms.get_or_insert(self.date);
        let Some(to) = message.to.clone().filter(|_| !state.told) else { return };
        state.told = true;
        self.look_at(place, self.now.saturating_add(UNREAD_AFTER_MS));
        let fallback = message.fallback.as_ref().filter(|_| state.fell_back);
        self.notes.push(Note::Sent(Box::new(Sent {
            id: message.id(place),
            number: message.number.clone(),
            to,
            contact: message.contact,
            wamid: state.wamid.clone(),
            wa_id,
            user_id,
            payload: fallback.map_or(&message.payload, |fallback| &fallback.payload).clone(),
            priority: message.priority,
            endpoint: state.endpoint.clone(),
            template: fallback.map(|fallback| fallback.template.clone()).or_else(|| message.template.clone()),
            fell_back: state.fell_back,
            attempts: state.attempts,
            queued_ms: message.queued_ms,
            accepted_ms,
        })));
    }

    /// Nobody knows whether it went. Its units stay taken.
    pub(crate) fn becomes_uncertain(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
    ) -> Result<(), TableError> {
        if message.kind == Kind::ReadMark {
            // To mark twice does no harm, and not to mark hardly any.
            self.posted(place, message, Busy::No)?;
            return self.stand(place, message, state, Standing::Failed, Some(Why::NoAnswer));
        }
        self.posted(
            place,
            message,
            Busy::Until { at: self.now.saturating_add(UNCERTAIN_HOLD_MS), on: place },
        )?;
        state.uncertain_ms = Some(self.now);
        if let Some(after) = self.settings.send_again_after_ms[message.priority as usize] {
            self.look_at(place, self.now.saturating_add(after));
        }
        self.stand(place, message, state, Standing::Uncertain, Some(Why::NoAnswer))
    }

    /// It surely didn't go, and the whole number waits a while.
    fn try_later(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        (why, pause): (Why, Pause),
        heard: Heard,
    ) -> Result<(), TableError> {
        self.give_back_push(message, state)?;
        state.not_before_ms = Some(self.slow_down(&message.number, pause, heard)?);
        self.stand(place, message, state, Standing::Queued, Some(why))?;
        self.stays(place, message, Busy::No)
    }

    fn refused(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        refusal: &Refusal,
        heard: Heard,
    ) -> Result<(), TableError> {
        let class = class(refusal);
        self.learn_rest(message.contact, refusal, self.date)?;
        if class != Class::Ambiguous {
            self.give_back_push(message, state)?;
        }
        if matches!(
            class,
            Class::Permanent | Class::Template | Class::Pair | Class::OptOut | Class::Wait { .. }
        ) {
            // Who is refused for the recipient's sake was let in.
            self.was_let_in(&message.number, state)?;
        }
        match class {
            Class::Ambiguous => {
                self.slow_down(&message.number, Pause::Trouble(refusal.retry_after_ms), heard)?;
                self.becomes_uncertain(place, message, state)
            }
            Class::Replay => {
                let pause = Pause::Throttled(refusal.retry_after_ms);
                self.try_later(place, message, state, (Why::Throttled, pause), heard)
            }
            Class::Pair => {
                state.refusals = state.refusals.saturating_add(1);
                let until = self.now.saturating_add(retry::pair_ms(state.refusals));
                state.not_before_ms = Some(until);
                self.stand(place, message, state, Standing::Queued, Some(Why::PairRate))?;
                self.stays(place, message, Busy::Until { at: until, on: place })
            }
            Class::Wait { ms } if !state.withheld => {
                state.withheld = true;
                self.stays(place, message, Busy::No)?;
                self.hold(place, message, state, Why::Withheld, Some(self.now.saturating_add(ms)))
            }
            Class::Template => self.window_denied(place, message, state),
            // The endpoint in use now may let in whom that one doesn't.
            Class::Stop(StopScope::Channel) if heard.left => {
                self.try_later(place, message, state, (Why::Retry, Pause::Trouble(None)), heard)
            }
            Class::Stop(scope @ (StopScope::Channel | StopScope::PauseNumber)) => {
                self.stopped_by(place, message, state, refusal, scope)
            }
            Class::OptOut => {
                self.stop_marketing(message.contact, true, self.date)?;
                self.stays(place, message, Busy::No)?;
                self.give_up(place, message, state, Standing::Failed, Why::OptedOut)
            }
            Class::Wait { .. }
            | Class::Permanent
            | Class::Configuration
            | Class::Stop(StopScope::Country) => {
                self.stays(place, message, Busy::No)?;
                self.give_up(place, message, state, Standing::Failed, Why::Refused)
            }
        }
    }

    /// WhatsApp says that the window is closed. Where the box thinks it open it is asked once more, and then
    /// believed until the customer writes again.
    fn window_denied(&mut self, place: u64, message: &Message, state: &mut State) -> Result<(), TableError> {
        let window = self.window(&message.number, message.contact)?;
        if self.is_open(window.as_ref()) && !state.doubted {
            state.doubted = true;
            let until = self.now.saturating_add(DOUBT_MS);
            state.not_before_ms = Some(until);
            self.stand(place, message, state, Standing::Queued, Some(Why::Retry))?;
            return self.stays(place, message, Busy::Until { at: until, on: place });
        }
        self.stays(place, message, Busy::No)?;
        if crate::judge::kind(message, state) != Kind::FreeForm {
            return self.give_up(place, message, state, Standing::Failed, Why::Refused);
        }
        self.deny_window(message)?;
        // What comes next, the fallback or being held, is judged like any message.
        self.stand(place, message, state, Standing::Queued, Some(Why::WindowClosed))
    }

    pub(crate) fn deny_window(&mut self, message: &Message) -> Result<(), TableError> {
        for one in self.view.family(message.contact) {
            if let Some(mut window) = self.view.get::<Window>(&keys::window(&message.number, one))? {
                window.denied = true;
                self.view.put(keys::window(&message.number, one), &window);
            }
        }
        Ok(())
    }

    /// Keeps a status whose message isn't known by its wamid yet.
    pub(crate) fn keep_early(
        &mut self,
        wamid: &str,
        word: StatusWord,
        refusal: Option<Refusal>,
        pricing: Option<model::Pricing>,
    ) -> Result<(), TableError> {
        let hash = self.view.hash(wamid.as_bytes());
        let early = self.view.get::<Early>(&keys::early(&hash))?;
        let known = early.is_some();
        let mut early = early.unwrap_or(Early { at_ms: self.now, said: Vec::new() });
        if early.said.len() < EARLY_MAX {
            early.said.push(EarlyWord { word, refusal, pricing });
        }
        if !known {
            self.look_at_early(&hash, self.now.saturating_add(crate::settings::EARLY_KEPT_MS));
        }
        self.view.put(keys::early(&hash), &early);
        Ok(())
    }

    fn take_early(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        wamid: &str,
    ) -> Result<(), TableError> {
        let key = keys::early(&self.view.hash(wamid.as_bytes()));
        let Some(early) = self.view.get::<Early>(&key)? else { return Ok(()) };
        self.view.remove(&key);
        for EarlyWord { word, refusal, pricing } in early.said {
            self.take_status(place, message, state, (word, self.date), refusal, pricing)?;
        }
        Ok(())
    }
}

/// Whether a call surely posted nothing.
fn surely_not(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::NotSent { .. } => true,
        Outcome::Refused(refusal) => class(refusal) != Class::Ambiguous,
        Outcome::Accepted { .. } | Outcome::Unknown { .. } => false,
    }
}
