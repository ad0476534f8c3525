//! What keeps a whole number from sending: it is slowed, or stopped.

use model::Refusal;
use policy::sending::{StopScope, retry};

use crate::keys;
use crate::settings::TRIAL_EVERY_MS;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Channel, Stop};

impl Turn<'_> {
    pub(crate) fn change_channel(
        &mut self,
        number: &str,
        change: impl FnOnce(&mut Channel),
    ) -> Result<(), TableError> {
        let before: Channel = self.view.get(&keys::channel(number))?.unwrap_or_default();
        let mut channel = before.clone();
        change(&mut channel);
        if channel != before {
            self.view.put(keys::channel(number), &channel);
        }
        Ok(())
    }

    /// A call came to nothing that is known to be the message's own fault: the number waits, the longer the more
    /// such calls there were in a row. Says until when.
    pub(crate) fn slow_down(
        &mut self,
        number: &str,
        at_least_ms: Option<u64>,
        chance: u64,
    ) -> Result<i64, TableError> {
        let now = self.now;
        let mut until = now;
        self.change_channel(number, |channel| {
            channel.throttled = channel.throttled.saturating_add(1);
            until = now.saturating_add(retry::replay_ms(channel.throttled, at_least_ms, chance));
            channel.slow_until_ms = channel.slow_until_ms.max(until);
        })?;
        Ok(until)
    }

    /// WhatsApp let a message of the number in: what stopped it is over. But not a pause, which a person ends: this
    /// one was on its way before.
    pub(crate) fn was_let_in(&mut self, number: &str) -> Result<(), TableError> {
        self.change_channel(number, |channel| {
            channel.stopped.take_if(|stop| stop.trial_ms < i64::MAX);
            channel.throttled = 0;
        })
    }

    /// Nothing goes out from a number before a person has seen to it, but a trial now and then.
    pub(crate) fn stop_channel(
        &mut self,
        number: &str,
        refusal: &Refusal,
        scope: StopScope,
    ) -> Result<(), TableError> {
        // To go on trying is what a paused number is paused for.
        let trial_ms = match scope {
            StopScope::Channel => self.now.saturating_add(TRIAL_EVERY_MS),
            StopScope::PauseNumber | StopScope::Country => i64::MAX,
        };
        let (code, reason) = (refusal.code, refusal.details.clone());
        let stop = Stop { code, reason, since_ms: self.date, trial_ms };
        self.change_channel(number, |channel| match &mut channel.stopped {
            // A pause is ended by a person, and not by another refusal.
            Some(known) if known.trial_ms == i64::MAX => {}
            Some(known) => *known = Stop { since_ms: known.since_ms, ..stop },
            none => *none = Some(stop),
        })
    }
}
