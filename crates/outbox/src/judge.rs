//! May this message go now?

use policy::sending::{Pair, window};

use crate::keys;
use crate::settings::{JOINED_LOOK_MS, MOVING_DAY_MS, Number};
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{CAMPAIGN, Kind, Lane, Message, State, Window};
use crate::why::Why;

/// What is to be done with a message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes; as a push if it goes outside an open window.
    Go { push: bool },
    /// Its lane waits until then.
    Wait(Why, i64),
    /// It steps out of its lane: until then if that is known, else until something happens.
    StepOut(Why, Option<i64>),
    /// Its fallback goes in its place.
    FallBack,
    /// It is over.
    Over(Why),
}

impl Turn<'_> {
    /// The customer's last message to a number, under whatever name.
    pub(crate) fn window(&self, number: &str, contact: u128) -> Result<Option<Window>, TableError> {
        let mut newest: Option<Window> = None;
        for one in self.view.family(contact) {
            let window: Option<Window> = self.view.get(&keys::window(number, one))?;
            newest = window.into_iter().chain(newest).max_by_key(|window| (window.last_ms, !window.denied));
        }
        Ok(newest)
    }

    pub(crate) fn is_open(&self, window: Option<&Window>) -> bool {
        window.is_some_and(|window| !window.denied && window::is_open(Some(window.last_ms), self.date))
    }

    pub(crate) fn judge(
        &self,
        number: &Number,
        message: &Message,
        state: &State,
        lane: &Lane,
    ) -> Result<Verdict, TableError> {
        if state.expires_ms.is_some_and(|at| at <= self.now) {
            return Ok(Verdict::Over(Why::Expired));
        }
        let Some(pair_ms) = self.pair_of_all(message, lane)? else {
            return Ok(Verdict::Wait(Why::PairRate, self.now.saturating_add(JOINED_LOOK_MS)));
        };
        let kind = kind(message, state);
        if kind == Kind::ReadMark {
            return Ok(Verdict::Go { push: false });
        }
        let person = self.whole_person(message.contact)?;
        if message.class() == CAMPAIGN && person.stopped_ms.is_some() {
            return Ok(Verdict::Over(Why::OptedOut));
        }
        if message.class() == CAMPAIGN
            && let Some(until) = self.rests_until(message.contact)?
        {
            return Ok(Verdict::StepOut(Why::Withheld, Some(until)));
        }
        if let Err(at) = (Pair { tat_ms: pair_ms }).take(self.now) {
            return Ok(Verdict::Wait(Why::PairRate, at));
        }
        let window = self.window(&message.number, message.contact)?;
        if self.is_open(window.as_ref()) {
            return Ok(Verdict::Go { push: false });
        }
        if kind == Kind::FreeForm {
            return Ok(match message.fallback {
                Some(_) => Verdict::FallBack,
                None => Verdict::StepOut(Why::WindowClosed, None),
            });
        }
        let again = person.pushed_ms.map(|at| at.saturating_add(MOVING_DAY_MS));
        if person.opted_in.is_none()
            && let Some(again) = again.filter(|again| *again > self.now)
        {
            return Ok(Verdict::StepOut(Why::PushLimit, Some(again)));
        }
        if !self.has_room(number, message.contact)? {
            return Ok(Verdict::StepOut(Why::UniqueRecipients, None));
        }
        Ok(Verdict::Go { push: true })
    }
}

/// What goes in the end: the fallback is a template.
pub(crate) const fn kind(message: &Message, state: &State) -> Kind {
    if state.fell_back { Kind::Template } else { message.kind }
}
