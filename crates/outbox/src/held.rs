//! What is held, what lets it go, and how a message ends that surely hasn't gone.

use model::Standing;

use crate::keys;
use crate::settings::{WAIT_MAX_MS, WINDOW_HOLD_MS};
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Message, State};
use crate::why::Why;

impl Turn<'_> {
    /// Takes a message out of its lane and holds it, where what it waits for will find it.
    pub(crate) fn hold(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        why: Why,
        until: Option<i64>,
    ) -> Result<(), TableError> {
        self.leave_lane(place, message)?;
        self.stand(place, message, state, Standing::Held, Some(why))?;
        state.not_before_ms = until;
        if why == Why::PushLimit {
            self.mend_person(message.contact)?;
        }
        if why == Why::UniqueRecipients {
            self.view.mark(keys::crowded_out(&message.number, message.class(), place));
        }
        if why != Why::Withheld {
            // Who writes opens their window, which ends most of what a message is held for; but marketing that
            // WhatsApp withholds is withheld in a window, too.
            self.view.mark(keys::held(&message.number, message.contact, place));
        }
        if let Some(until) = until {
            self.look_at(place, until);
        }
        if why == Why::WindowClosed && message.expires_ms.is_none() {
            let expires = self.now.saturating_add(WINDOW_HOLD_MS);
            state.expires_ms = Some(expires);
            self.look_at(place, expires);
        }
        Ok(())
    }

    /// Puts a held message back into its lane.
    pub(crate) fn let_go(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
    ) -> Result<(), TableError> {
        self.unhold(place, message);
        state.not_before_ms = None;
        if state.why == Some(Why::WindowClosed) && message.expires_ms.is_none() {
            // It isn't a closed window any more that it waits for.
            let expires = self.now.saturating_add(WAIT_MAX_MS);
            state.expires_ms = Some(expires);
            self.look_at(place, expires);
        }
        self.stand(place, message, state, Standing::Queued, None)?;
        self.enter_lane(place, message)
    }

    pub(crate) fn unhold(&mut self, place: u64, message: &Message) {
        self.view.remove(&keys::held(&message.number, message.contact, place));
        self.view.remove(&keys::crowded_out(&message.number, message.class(), place));
    }

    /// Ends a message that surely hasn't gone, with all that it has taken given back.
    pub(crate) fn give_up(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        standing: Standing,
        why: Why,
    ) -> Result<(), TableError> {
        self.unhold(place, message);
        self.leave_lane(place, message)?;
        self.give_back_push(message, state)?;
        self.give_back_message(message, state)?;
        state.not_before_ms = None;
        self.stand(place, message, state, standing, Some(why))
    }
}
