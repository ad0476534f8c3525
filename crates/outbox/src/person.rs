//! What people say: take it back, it went, send it again; who agreed to messages.

use model::{OutboxId, Standing};

use crate::keys;
use crate::settings::TURN_MAX;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Consent, Message, Person, State};
use crate::why::Why;

/// A person's word on an uncertain message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It went.
    Sent,
    /// It didn't, and shall not.
    Failed,
    /// It is sent once more: the customer may get it twice.
    Resend,
}

/// Why a person's word changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// There is no such message, or it is so old that it was forgotten.
    #[error("there is no such message")]
    Unknown,
    /// It isn't queued or held any more.
    #[error("the message is {0:?} and can't be taken back any more")]
    TooLate(Standing),
    /// It isn't uncertain.
    #[error("the message is {0:?} and not uncertain: there is nothing to resolve")]
    Certain(Standing),
}

impl Turn<'_> {
    pub(crate) fn find(&self, id: OutboxId) -> Result<Option<(Message, State)>, TableError> {
        Ok(self.load(id.place)?.filter(|(message, _)| message.chance == id.chance))
    }

    /// Takes a message back that hasn't gone.
    ///
    /// # Errors
    /// When the table can't be read; inside, why it can't be taken back.
    pub fn cancel(&mut self, id: OutboxId) -> Result<Result<(), Unchanged>, TableError> {
        let Some((message, mut state)) = self.find(id)? else { return Ok(Err(Unchanged::Unknown)) };
        match state.standing {
            Standing::Queued | Standing::Held => {}
            // Asked for once more.
            Standing::Cancelled => return Ok(Ok(())),
            other @ (Standing::Sending
            | Standing::Accepted
            | Standing::Sent
            | Standing::Delivered
            | Standing::Read
            | Standing::Failed
            | Standing::Expired
            | Standing::Uncertain) => return Ok(Err(Unchanged::TooLate(other))),
        }
        self.urgent = true;
        self.stir();
        self.give_up(id.place, &message, &mut state, Standing::Cancelled, Why::Cancelled)?;
        self.save(id.place, &state);
        Ok(Ok(()))
    }

    /// Takes a person's word on an uncertain message.
    ///
    /// # Errors
    /// When the table can't be read; inside, why nothing is to be resolved.
    pub fn resolve(&mut self, id: OutboxId, word: Resolution) -> Result<Result<(), Unchanged>, TableError> {
        let Some((message, mut state)) = self.find(id)? else { return Ok(Err(Unchanged::Unknown)) };
        if state.standing != Standing::Uncertain {
            return Ok(Err(Unchanged::Certain(state.standing)));
        }
        self.urgent = true;
        self.stir();
        self.release(id.place, &message)?;
        match word {
            Resolution::Sent => {
                self.stand(id.place, &message, &mut state, Standing::Accepted, Some(Why::Person))?;
                self.is_sent(id.place, &message, &mut state, (None, None));
            }
            // Its units stay taken: a person may be wrong.
            Resolution::Failed => {
                self.stand(id.place, &message, &mut state, Standing::Failed, Some(Why::Person))?;
            }
            Resolution::Resend => self.send_again(id.place, &message, &mut state, Why::Person)?,
        }
        self.save(id.place, &state);
        Ok(Ok(()))
    }

    /// Queues an uncertain message once more. It may be a second message, so it takes a second unit.
    pub(crate) fn send_again(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        why: Why,
    ) -> Result<(), TableError> {
        state.again = true;
        state.unit_day = None;
        state.push = None;
        state.uncertain_ms = None;
        state.refusals = 0;
        self.stand(place, message, state, Standing::Queued, Some(why))?;
        let expires = message.expires_ms.unwrap_or(self.now.saturating_add(crate::settings::WAIT_MAX_MS));
        state.expires_ms = Some(expires);
        self.look_at(place, expires);
        self.enter_lane(place, message)
    }

    /// Notes that a person agreed to messages, or takes it back.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn consent(&mut self, contact: u128, consent: Option<&Consent>) -> Result<(), TableError> {
        self.urgent = true;
        self.stir();
        for one in self.view.family(contact) {
            let mut person = self.person(one)?;
            person.opted_in = consent.cloned();
            if consent.is_some() {
                // Who agrees anew has changed their mind.
                person.stopped_ms = None;
            }
            self.view.put(keys::person(one), &person);
        }
        if consent.is_none() {
            return Ok(());
        }
        self.let_go_pushes(contact)
    }

    /// Lets go what was held for an earlier push to a person, by whatever number: there was none, or they agree. Past so
    /// many each comes by its own time.
    pub(crate) fn let_go_pushes(&mut self, contact: u128) -> Result<(), TableError> {
        let settings = self.settings;
        for number in settings.numbers.keys() {
            for one in self.view.family(contact) {
                let prefix = keys::held_for(number, one);
                for (key, _) in self.view.list(&prefix, &prefix, TURN_MAX)? {
                    let Some(place) = keys::place_of(&key) else { continue };
                    let Some((message, mut state)) = self.load(place)? else { continue };
                    if state.standing == Standing::Held && state.why == Some(Why::PushLimit) {
                        self.let_go(place, &message, &mut state)?;
                        self.save(place, &state);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of a person for sending.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn known_of(&self, contact: u128) -> Result<Known, TableError> {
        let Person { opted_in, stopped_ms, pushed_ms, unread_ms } = self.whole_person(contact)?;
        let mut windows = Vec::new();
        for number in self.settings.numbers.keys() {
            if let Some(window) = self.window(number, contact)? {
                let closes_ms = policy::sending::window::closes_at(window.last_ms);
                windows.push(Written {
                    number: number.clone(),
                    last_ms: window.last_ms,
                    closes_ms: self.is_open(Some(&window)).then_some(closes_ms),
                });
            }
        }
        let pushed_ms = pushed_ms.map(|at| self.dated(at));
        Ok(Known { opted_in, stopped_ms, pushed_ms, unread_ms, windows })
    }
}

/// See [`Turn::known_of`]. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Their consent.
    pub opted_in: Option<Consent>,
    /// Since when they want no marketing.
    pub stopped_ms: Option<i64>,
    /// The last message outside an open window.
    pub pushed_ms: Option<i64>,
    /// Since when something lies unread for a day.
    pub unread_ms: Option<i64>,
    /// To which numbers they wrote.
    pub windows: Vec<Written>,
}

/// A customer's last message to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The number.
    pub number: String,
    /// When.
    pub last_ms: i64,
    /// When the window closes, if it is open.
    pub closes_ms: Option<i64>,
}
