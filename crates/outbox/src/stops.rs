//! What keeps a whole number from sending: it is slowed, or stopped.

use model::{Refusal, Standing};
use policy::sending::{StopScope, retry};

use crate::keys;
use crate::outcome::{Heard, Pause};
use crate::settings::{STOPS_MAX, TRIAL_EVERY_MS, TRIED_MAX};
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Busy, Channel, Message, State, Stop};
use crate::why::Why;

/// What has become of the endpoint that a number waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clear {
    /// Another one is used.
    Another,
    /// It answers again.
    Again,
}

impl Turn<'_> {
    pub(crate) fn change_channel(
        &mut self,
        number: &str,
        change: impl FnOnce(&mut Channel),
    ) -> Result<(), TableError> {
        let before = self.channel(number)?;
        let mut channel = before.clone();
        change(&mut channel);
        if channel != before {
            self.view.put(keys::channel(number), &channel);
        }
        Ok(())
    }

    /// A call came to nothing that is known to be the message's own fault: the number waits, the longer the more
    /// such calls there were in a row. Says until when. Who was asked at an endpoint that isn't used any more waits
    /// for nothing.
    pub(crate) fn slow_down(&mut self, number: &str, pause: Pause, heard: Heard) -> Result<i64, TableError> {
        let now = self.now;
        let mut until = now;
        if heard.left {
            return Ok(until);
        }
        let (Pause::Trouble(at_least_ms) | Pause::Throttled(at_least_ms)) = pause;
        self.change_channel(number, |channel| {
            // Calls that were on their way when the first of them was refused say nothing new.
            if channel.throttled == 0 || channel.slow_until_ms <= now {
                channel.throttled = channel.throttled.saturating_add(1);
            }
            until = now.saturating_add(retry::replay_ms(channel.throttled, at_least_ms, heard.chance));
            channel.slow_until_ms = channel.slow_until_ms.max(until);
        })?;
        if let Pause::Throttled(_) = pause {
            self.throttled_until(number, until)?;
        }
        Ok(until)
    }

    /// WhatsApp asks for no calls until then.
    pub(crate) fn throttled_until(&mut self, number: &str, until: i64) -> Result<(), TableError> {
        let way = self.way(number);
        way.throttled_until = way.throttled_until.max(until);
        self.change_channel(number, |channel| channel.slow_until_ms = channel.slow_until_ms.max(until))
    }

    /// What a number waits for because of its endpoint is over. What WhatsApp itself asked for, and a pause, stay.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn way_is_clear(&mut self, number: &str, clear: Clear) -> Result<(), TableError> {
        if !self.settings.numbers.contains_key(number) {
            return Ok(());
        }
        self.stir();
        let (now, another) = (self.now, clear == Clear::Another);
        if another {
            self.way(number).leave();
        }
        let throttled_until = self.way(number).throttled_until;
        self.change_channel(number, |channel| {
            channel.slow_until_ms = channel.slow_until_ms.min(throttled_until);
            // One message tries, as after any trouble: its acceptance lets the others go.
            // Another endpoint has a credential of its own.
            let own = |stop: &&mut Stop| another && !stop.by_status && stop.trial_ms < i64::MAX;
            if let Some(stop) = channel.stopped.as_mut().filter(own) {
                stop.trial_ms = stop.trial_ms.min(now);
            }
        })?;
        if another { self.free_tried(number) } else { Ok(()) }
    }

    /// WhatsApp let a message in: what stopped the number is over, unless it came while this one was on its way. But
    /// not a pause, which a person ends, nor what a status said.
    pub(crate) fn was_let_in(&mut self, number: &str, state: &State) -> Result<(), TableError> {
        self.change_channel(number, |channel| {
            let over = |stop: &mut Stop| !stop.by_status && stop.trial_ms < i64::MAX && is_older(stop, state);
            channel.stopped.take_if(over);
            channel.throttled = 0;
        })
    }

    /// A status says that a message went on its way to the customer: what an earlier one said is over.
    pub(crate) fn got_through(&mut self, number: &str, state: &State) -> Result<(), TableError> {
        self.change_channel(number, |channel| {
            // Of one that was sent twice it may be the first time.
            let over = |stop: &mut Stop| {
                stop.by_status && stop.trial_ms < i64::MAX && !state.again && is_older(stop, state)
            };
            channel.stopped.take_if(over);
        })
    }

    /// A message was refused as if nothing got through. It may be this message alone, so another one has the next trial.
    pub(crate) fn stopped_by(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        refusal: &Refusal,
        scope: StopScope,
    ) -> Result<(), TableError> {
        let mut others_go = true;
        self.change_channel(&message.number, |channel| {
            others_go = channel.stopped.is_none();
            channel.tried.retain(|other| *other != place);
            channel.tried.push(place);
            let spare = channel.tried.len().saturating_sub(TRIED_MAX);
            channel.tried.drain(..spare);
        })?;
        self.stop_channel(&message.number, refusal, scope, false)?;
        // While nothing goes anyhow, a code that says why is no fault of the message.
        if refusal.code.is_none() || others_go {
            state.refusals = state.refusals.saturating_add(1);
        }
        if state.refusals >= STOPS_MAX {
            self.stays(place, message, Busy::No)?;
            return self.give_up(place, message, state, Standing::Failed, Why::Refused);
        }
        self.stand(place, message, state, Standing::Queued, Some(Why::Stopped))?;
        let at = self.now.saturating_add(TRIAL_EVERY_MS + 1);
        self.stays(place, message, Busy::Until { at, on: place })
    }

    /// The number may go on: nobody waits any more for what stopped it.
    pub(crate) fn free_tried(&mut self, number: &str) -> Result<(), TableError> {
        let mut tried = Vec::new();
        self.change_channel(number, |channel| tried = std::mem::take(&mut channel.tried))?;
        for place in tried {
            if let Some((message, _)) = self.load(place)? {
                self.release(place, &message)?;
            }
        }
        Ok(())
    }

    /// Nothing goes out from a number before a person has seen to it, but a trial now and then.
    pub(crate) fn stop_channel(
        &mut self,
        number: &str,
        refusal: &Refusal,
        scope: StopScope,
        by_status: bool,
    ) -> Result<(), TableError> {
        // To go on trying is what a paused number is paused for.
        let trial_ms = match scope {
            StopScope::Channel => self.now.saturating_add(TRIAL_EVERY_MS),
            StopScope::PauseNumber | StopScope::Country => i64::MAX,
        };
        let (code, reason) = (refusal.code, refusal.details.clone());
        let stop = Stop { code, reason, since_ms: self.date, trial_ms, by_status };
        self.change_channel(number, |channel| match &mut channel.stopped {
            // A pause is ended by a person, and not by another refusal.
            Some(known) if known.trial_ms == i64::MAX => {}
            Some(known) => {
                *known = Stop { since_ms: known.since_ms, by_status: known.by_status || by_status, ..stop };
            }
            none => *none = Some(stop),
        })
    }

    /// Lets every stopped channel try again: a person has seen to it, or the secrets were read anew.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn resume(&mut self) -> Result<(), TableError> {
        self.stir();
        let now = self.now;
        let settings = self.settings;
        for name in settings.numbers.keys() {
            self.urgent |= self.channel(name)?.stopped.is_some();
            self.change_channel(name, |channel| {
                if let Some(stop) = &mut channel.stopped {
                    stop.trial_ms = now;
                    // A person's word counts more than what failed before.
                    stop.by_status = false;
                }
            })?;
            self.free_tried(name)?;
        }
        Ok(())
    }
}

/// Whether a stop was known before the last call of a message was made.
fn is_older(stop: &Stop, state: &State) -> bool {
    state.posted_ms.is_some_and(|posted| stop.since_ms < posted)
}
