//! Marketing that rests: WhatsApp has withheld a message from a customer, and would withhold the next ones too.

use model::Refusal;
use policy::sending::{Lesson, of_status};

use crate::keys;
use crate::table::TableError;
use crate::turn::Turn;

impl Turn<'_> {
    /// Takes in what a refusal of a date says of marketing to a customer. Mostly WhatsApp takes such a message and lets it fail
    /// by a status later; an answer teaches the same.
    pub(crate) fn learn_rest(
        &mut self,
        contact: u128,
        refusal: &Refusal,
        at_ms: i64,
    ) -> Result<(), TableError> {
        let Lesson::RecipientRests { ms } = of_status(refusal) else { return Ok(()) };
        let until = self.now.min(at_ms.saturating_sub(self.memory.leapt)).saturating_add(ms);
        if until > self.now && self.rests_until(contact)?.is_none_or(|known| known < until) {
            self.view.put(keys::rest(contact), &until);
            self.look_at_rest(contact, until);
        }
        Ok(())
    }

    /// Until when marketing to a person rests, under whatever name; `None` where it doesn't. One that can't be read is
    /// none: WhatsApp says it again, and nothing is sent by it.
    pub(crate) fn rests_until(&self, contact: u128) -> Result<Option<i64>, TableError> {
        let mut until = None;
        for one in self.view.family(contact) {
            until = until.max(self.view.get::<i64>(&keys::rest(one))?);
        }
        Ok(until.filter(|until| *until > self.now))
    }

    /// Forgets a rest that is over.
    pub(crate) fn forget_rest(&mut self, contact: u128) -> Result<(), TableError> {
        let key = keys::rest(contact);
        // A longer one has a timer of its own.
        if self.view.get::<i64>(&key)?.is_none_or(|until| until <= self.now) {
            self.view.remove(&key);
        }
        Ok(())
    }
}
