//! Taking a message in.

use model::{Address, OutboxId, Priority, Standing};
use policy::sending::window;

use crate::judge::Verdict;
use crate::keys;
use crate::settings::{OPEN_MAX, WAIT_MAX_MS};
use crate::table::{TableError, Unreadable};
use crate::turn::Turn;
use crate::values::{Answered, Fallback, Kind, Lane, Message, State, Step};
use crate::why::Why;

/// A message that was checked and is to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The `phone_number_id` that it goes out from.
    pub number: String,
    /// Whom it goes to; `None` for a mark as read.
    pub to: Option<Address>,
    /// The contact's 128 bits.
    pub contact: u128,
    /// Who goes first.
    pub priority: Priority,
    /// What it is.
    pub kind: Kind,
    /// The template's name.
    pub template: Option<String>,
    /// The Cloud API object without what stands around it: `messaging_product`, the recipient, the
    /// callback data.
    pub payload: String,
    /// What goes in its place when its window has closed.
    pub fallback: Option<Fallback>,
    /// When its caller gives it up, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// 64 random bits for its id.
    pub chance: u64,
}

/// One call of the API: its messages are taken whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// A hash of the `Idempotency-Key`.
    pub key: [u8; 16],
    /// A hash of the body.
    pub body: [u8; 16],
    /// 1 to 6 messages.
    pub drafts: Vec<Draft>,
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The first message's id.
    pub id: OutboxId,
    /// All of their ids.
    pub parts: Vec<OutboxId>,
    /// How the first one stands.
    pub standing: Standing,
    /// When the customer's window closes, if it is open; in milliseconds since 1970.
    pub window_closes_ms: Option<i64>,
    /// When it can go at the earliest, if that isn't now.
    pub not_before_ms: Option<i64>,
    /// It had been answered before.
    pub repeated: bool,
}

/// Why nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unqueued {
    /// The key was used for another body.
    #[error("this Idempotency-Key was used for another message: take a new key for each message")]
    KeyUsed,
    /// The key was used, and what was answered can't be read any more.
    #[error(
        "this Idempotency-Key was used, and what was answered can't be read any more: see whether the message is there before it is sent under another key"
    )]
    Unreadable,
    /// The number isn't configured.
    #[error("`from` is none of the configured numbers")]
    NoNumber,
    /// The customer wants no marketing.
    #[error("the customer has asked for no more marketing: a campaign message to them can never be sent")]
    OptedOut,
    /// It is past its own time.
    #[error("`expires_at` has passed already")]
    Expired,
    /// The outbox is full.
    #[error("{OPEN_MAX} messages wait already: the outbox takes no more before some have gone")]
    Full,
}

impl Turn<'_> {
    /// Queues the messages of one call, or says what it was answered before.
    ///
    /// # Errors
    /// When the table can't be read; inside, why nothing was queued.
    pub fn enqueue(&mut self, call: Enqueue) -> Result<Result<Queued, Unqueued>, TableError> {
        self.urgent = true;
        if let Some(answered) = self.answered(&call.key, &call.body)? {
            return Ok(answered);
        }
        if let Some(refused) = self.why_not(&call)? {
            return Ok(Err(refused));
        }
        let first = self.memory.next;
        let count = u8::try_from(call.drafts.len()).unwrap_or(u8::MAX);
        let mut parts = Vec::with_capacity(call.drafts.len());
        let mut shown = None;
        for draft in call.drafts {
            let place = self.memory.next;
            self.memory.next += 1;
            if draft.kind == Kind::ReadMark {
                // It goes where a message has to wait for the next day.
                self.stir();
            }
            parts.push(OutboxId { place, chance: draft.chance });
            let message = Message {
                chance: draft.chance,
                number: draft.number,
                contact: draft.contact,
                to: draft.to,
                priority: draft.priority,
                kind: draft.kind,
                template: draft.template,
                payload: draft.payload,
                fallback: draft.fallback,
                queued_ms: self.date,
                expires_ms: draft.expires_ms.map(|at| at.saturating_sub(self.memory.leapt)),
                key: call.key,
                first,
                parts: count,
            };
            let state = self.take_in(place, &message)?;
            shown = shown.or(Some((message, state)));
        }
        let (Some((message, state)), Some(id)) = (shown, parts.first().copied()) else {
            return Ok(Err(Unqueued::NoNumber));
        };
        let (standing, _, not_before_ms) = self.shown(&message, &state)?;
        let window = self.window(&message.number, message.contact)?;
        let open = window.as_ref().filter(|window| self.is_open(Some(window)));
        let queued = Queued {
            id,
            standing,
            window_closes_ms: open.map(|window| window::closes_at(window.last_ms)),
            not_before_ms,
            repeated: false,
            parts,
        };
        let answered = Answered {
            body: call.body,
            first,
            parts: queued.parts.iter().map(|id| (id.place, id.chance)).collect(),
            standing,
            window_closes_ms: queued.window_closes_ms,
            not_before_ms,
        };
        self.view.put(keys::idempotency(&call.key), &answered);
        Ok(Ok(queued))
    }

    /// What a call with this key was answered, if there was one.
    ///
    /// # Errors
    /// When the table can't be read; inside, [`Unqueued::KeyUsed`] for a call with another body, or
    /// [`Unqueued::Unreadable`].
    pub fn answered(
        &self,
        key: &[u8; 16],
        body: &[u8; 16],
    ) -> Result<Option<Result<Queued, Unqueued>>, TableError> {
        let answered: Answered = match self.view.look(&keys::idempotency(key))? {
            Some(Ok(answered)) => answered,
            None => return Ok(None),
            // Whoever asks again must not be told that there is nothing, and have it sent twice.
            Some(Err(Unreadable)) => return Ok(Some(Err(Unqueued::Unreadable))),
        };
        if answered.body != *body {
            return Ok(Some(Err(Unqueued::KeyUsed)));
        }
        let ids = answered.parts.iter().map(|(place, chance)| OutboxId { place: *place, chance: *chance });
        let parts: Vec<OutboxId> = ids.collect();
        let Some(id) = parts.first().copied() else { return Ok(Some(Err(Unqueued::Unreadable))) };
        Ok(Some(Ok(Queued {
            id,
            parts,
            standing: answered.standing,
            window_closes_ms: answered.window_closes_ms,
            not_before_ms: answered.not_before_ms,
            repeated: true,
        })))
    }

    fn why_not(&self, call: &Enqueue) -> Result<Option<Unqueued>, TableError> {
        if self.memory.open.saturating_add(call.drafts.len() as u64) > OPEN_MAX {
            return Ok(Some(Unqueued::Full));
        }
        for draft in &call.drafts {
            if !self.settings.numbers.contains_key(&draft.number) {
                return Ok(Some(Unqueued::NoNumber));
            }
            if draft.expires_ms.is_some_and(|at| at <= self.date) {
                return Ok(Some(Unqueued::Expired));
            }
            if draft.priority == Priority::Campaign && self.whole_person(draft.contact)?.stopped_ms.is_some()
            {
                return Ok(Some(Unqueued::OptedOut));
            }
        }
        Ok(None)
    }

    fn take_in(&mut self, place: u64, message: &Message) -> Result<State, TableError> {
        let mut state = State {
            standing: Standing::Cancelled,
            why: None,
            not_before_ms: None,
            expires_ms: None,
            attempts: 0,
            refusals: 0,
            unit_day: None,
            call_day: None,
            push: None,
            wamid: None,
            endpoint: None,
            fell_back: false,
            accepted_ms: None,
            delivered_ms: None,
            posted_ms: None,
            uncertain_ms: None,
            told: false,
            told_unread: false,
            charged: false,
            withheld: false,
            again: false,
            doubted: false,
            refusal: None,
            over_ms: None,
            history: Vec::<Step>::new(),
        };
        self.view.put(keys::message(place), message);
        self.stand(place, message, &mut state, Standing::Queued, None)?;
        let expires = message.expires_ms.unwrap_or(self.now.saturating_add(WAIT_MAX_MS));
        state.expires_ms = Some(expires);
        self.look_at(place, expires);
        self.enter_lane(place, message)?;
        // What can't go now for its own sake is told to its caller at once.
        if let Some(number) = self.settings.numbers.get(&message.number)
            && let Verdict::StepOut(why, until) = self.judge(number, message, &state, &Lane::default())?
        {
            self.hold(place, message, &mut state, why, until)?;
        }
        self.save(place, &state);
        Ok(state)
    }

    /// How a message is shown: one that waits for its number's sake is held for that.
    pub(crate) fn shown(
        &self,
        message: &Message,
        state: &State,
    ) -> Result<(Standing, Option<Why>, Option<i64>), TableError> {
        let not_before = state.not_before_ms.filter(|_| state.standing != Standing::Sending);
        let own = (state.standing, state.why, not_before.map(|at| self.dated(at)));
        if state.standing != Standing::Queued {
            return Ok(own);
        }
        let Some(number) = self.settings.numbers.get(&message.number).filter(|number| number.has_route())
        else {
            return Ok((Standing::Held, Some(Why::NoRoute), None));
        };
        let channel = self.channel(&message.number)?;
        if let Some((why, until)) = self.blocked(number, &message.number, &channel)? {
            return Ok((Standing::Held, Some(why), until.map(|until| self.dated(until))));
        }
        let units = self.units(&message.number, self.day(number))?;
        let paid = state.unit_day == Some(self.day(number)) && units.messages <= number.messages_per_day;
        if message.kind != Kind::ReadMark && !paid && units.messages >= number.messages_per_day {
            return Ok((Standing::Held, Some(Why::MessagesPerDay), Some(number.zone.ends_at(self.date))));
        }
        if message.class() == crate::values::CAMPAIGN
            && channel.batch.left == 0
            && channel.batch.next_ms > self.now
        {
            let used = self.used(&message.number, number)?;
            if policy::sending::batch::is_near(&used, number.batch_above) {
                return Ok((Standing::Held, Some(Why::Batch), Some(self.dated(channel.batch.next_ms))));
            }
        }
        Ok(own)
    }
}
