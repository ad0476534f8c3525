//! What doesn't fit together any more: values that can't be read, and keys that a damaged log has left behind.
//! Nothing waits for ever because of one, and nothing is sent that isn't known to wait.

use model::Standing;

use crate::keys;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Busy, CLASSES, Counts, Message};

impl Turn<'_> {
    /// Drops a head whose message can't be read: that was said when it was tried, and nothing else waits for it.
    pub(crate) fn drop_unreadable(&mut self, place: u64, number: &str) -> Result<(), TableError> {
        self.close_unreadable(place, number, |counts| &mut counts.queued)?;
        for class in CLASSES {
            let key = keys::head(number, class, place);
            if !self.view.has(&key)? {
                continue;
            }
            let contact: Option<u128> = self.view.get(&key)?;
            self.view.remove(&key);
            if let Some(contact) = contact {
                self.drop_from_lane(place, number, contact)?;
            }
        }
        Ok(())
    }

    /// A call is over whose message can't be read: its lane goes on.
    pub(crate) fn answer_unreadable(&mut self, place: u64) -> Result<(), TableError> {
        let lane: Option<(String, u128)> = self.view.get(&keys::posting(place))?;
        self.view.remove(&keys::posting(place));
        let Some((number, contact)) = lane else { return Ok(()) };
        self.close_unreadable(place, &number, |counts| &mut counts.sending)?;
        self.drop_from_lane(place, &number, contact)
    }

    fn close_unreadable(
        &mut self,
        place: u64,
        number: &str,
        of: impl FnOnce(&mut Counts) -> &mut u64,
    ) -> Result<(), TableError> {
        if !self.view.has(&keys::open(place))? {
            return Ok(());
        }
        self.view.remove(&keys::open(place));
        self.memory.open = self.memory.open.saturating_sub(1);
        let mut counts: Counts = self.view.get(&keys::counts(number))?.unwrap_or_default();
        let count = of(&mut counts);
        *count = count.saturating_sub(1);
        self.view.put(keys::counts(number), &counts);
        Ok(())
    }

    fn drop_from_lane(&mut self, place: u64, number: &str, contact: u128) -> Result<(), TableError> {
        for class in CLASSES {
            let key = keys::in_lane(number, contact, class, place);
            if self.view.has(&key)? {
                self.view.remove(&key);
            }
        }
        let lane = self.known_lane(number, contact)?.unwrap_or_default();
        self.settle_lane(number, contact, lane)
    }

    /// Drops a head whose message doesn't wait: it went, or is over. To post it would be the second time.
    pub(crate) fn drop_stray_head(&mut self, place: u64, message: &Message) -> Result<(), TableError> {
        tracing::error!(place, "a message that doesn't wait stood first in its lane: it isn't sent again");
        let (number, contact, class) = (&message.number, message.contact, message.class());
        let mut lane = self.lane(message)?;
        if self.view.has(&keys::posting(place))? {
            lane.busy = Busy::Posting(place);
        } else {
            self.view.remove(&keys::in_lane(number, contact, class, place));
        }
        self.settle_lane(number, contact, lane)?;
        self.view.remove(&keys::head(number, class, place));
        if let Some((message, mut state)) = self.load(place)?
            && state.standing == Standing::Sending
            && !self.view.has(&keys::posting(place))?
        {
            // Of the call, too, nothing is left but that it was to be made.
            self.becomes_uncertain(place, &message, &mut state)?;
            self.save(place, &state);
        }
        Ok(())
    }
}
