//! What the outbox shows: messages, limits, channels.

use model::{Address, OutboxId, Priority, Refusal, Standing};

use crate::keys;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Counts, Kind, Message, State, Step, Stop};
use crate::why::Why;

/// A message as the API shows it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its id.
    pub id: OutboxId,
    /// All messages of its call.
    pub parts: Vec<OutboxId>,
    /// The number that it goes out from.
    pub number: String,
    /// Whom it goes to.
    pub to: Option<Address>,
    /// The contact.
    pub contact: u128,
    /// Who goes first.
    pub priority: Priority,
    /// What it is.
    pub kind: Kind,
    /// The template's name.
    pub template: Option<String>,
    /// The Cloud API object.
    pub payload: String,
    /// How it stands.
    pub standing: Standing,
    /// Why.
    pub why: Option<Why>,
    /// When it can go at the earliest, if that is known.
    pub not_before_ms: Option<i64>,
    /// When it is given up.
    pub expires_ms: Option<i64>,
    /// When it was queued.
    pub queued_ms: i64,
    /// When Graph took it.
    pub accepted_ms: Option<i64>,
    /// Calls made.
    pub attempts: u32,
    /// As WhatsApp calls it.
    pub wamid: Option<String>,
    /// The endpoint that was asked last.
    pub endpoint: Option<String>,
    /// The fallback goes, or went, in its place.
    pub fell_back: bool,
    /// The last refusal.
    pub refusal: Option<Refusal>,
    /// Step by step.
    pub history: Vec<Step>,
}

/// One limit of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The number.
    pub number: String,
    /// As in the configuration.
    pub name: &'static str,
    /// So many may be used.
    pub limit: u64,
    /// So many are.
    pub used: u64,
    /// When there is room again: the day's end, or when the oldest recipient leaves the moving day; `None`
    /// where nothing is used.
    pub resets_ms: Option<i64>,
}

/// How a number's way to WhatsApp is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The number.
    pub number: String,
    /// Messages by standing.
    pub counts: Counts,
    /// Why nothing goes out, if nothing may.
    pub blocked: Option<(Why, Option<i64>)>,
    /// WhatsApp lets it send nothing.
    pub stopped: Option<Stop>,
    /// Calls in flight.
    pub in_flight: u32,
}

impl Turn<'_> {
    /// A message with its history.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn message(&self, id: OutboxId) -> Result<Option<Shown>, TableError> {
        self.find(id)?.map(|(message, state)| self.show(id.place, message, state)).transpose()
    }

    fn show(&self, place: u64, message: Message, state: State) -> Result<Shown, TableError> {
        let id = message.id(place);
        let (standing, why, not_before_ms) = self.shown(&message, &state)?;
        let mut parts = Vec::new();
        for other in message.first..message.first + u64::from(message.parts) {
            if let Some(part) = self.view.get::<Message>(&keys::message(other))? {
                parts.push(part.id(other));
            }
        }
        let (template, payload) = match message.fallback.filter(|_| state.fell_back) {
            Some(fallback) => (Some(fallback.template), fallback.payload),
            None => (message.template, message.payload),
        };
        Ok(Shown {
            id,
            parts,
            number: message.number,
            to: message.to,
            contact: message.contact,
            priority: message.priority,
            kind: message.kind,
            template,
            payload,
            standing,
            why,
            not_before_ms,
            expires_ms: state
                .expires_ms
                .filter(|_| matches!(standing, Standing::Queued | Standing::Held))
                .map(|at| self.dated(at)),
            queued_ms: message.queued_ms,
            accepted_ms: state.accepted_ms,
            attempts: state.attempts,
            wamid: state.wamid,
            endpoint: state.endpoint,
            fell_back: state.fell_back,
            refusal: state.refusal,
            history: state.history,
        })
    }

    /// Messages that aren't over, behind `after`, the oldest first.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn open_after(&self, after: u64, limit: usize) -> Result<Vec<Shown>, TableError> {
        let all = keys::Key::new(b'o');
        self.show_all(&self.view.list(&all, &keys::open(after.saturating_add(1)), limit)?)
    }

    /// Messages that are uncertain, the oldest first.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn uncertain_after(&self, after: u64, limit: usize) -> Result<Vec<Shown>, TableError> {
        let all = keys::Key::new(b'?');
        self.show_all(&self.view.list(&all, &keys::uncertain(after.saturating_add(1)), limit)?)
    }

    fn show_all(&self, found: &[crate::table::Pair]) -> Result<Vec<Shown>, TableError> {
        let mut shown = Vec::with_capacity(found.len());
        for place in found.iter().filter_map(|(key, _)| keys::place_of(key)) {
            if let Some((message, state)) = self.load(place)? {
                shown.push(self.show(place, message, state)?);
            }
        }
        Ok(shown)
    }

    /// Every limit of every number.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn quotas(&self) -> Result<Vec<Quota>, TableError> {
        let mut quotas = Vec::new();
        for (name, number) in &self.settings.numbers {
            let [messages, calls, recipients] = self.used(name, number)?;
            let ends = Some(number.zone.ends_at(self.date));
            let prefix = keys::recipients_by_time(&number.portfolio);
            let oldest = self.view.list(&prefix, &prefix, 1)?;
            let oldest = oldest.first().and_then(|(key, _)| keys::time_and_recipient(key));
            let leaves = oldest.map(|(at, _)| self.dated(at.saturating_add(crate::settings::MOVING_DAY_MS)));
            for (limit, (used, most), resets_ms) in [
                ("messages_per_day", messages, ends),
                ("api_calls_per_day", calls, ends),
                ("unique_recipients_per_24h", recipients, leaves),
            ] {
                quotas.push(Quota { number: name.clone(), name: limit, limit: most, used, resets_ms });
            }
        }
        Ok(quotas)
    }

    /// How every number's way to WhatsApp is.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn ways(&self) -> Result<Vec<Way>, TableError> {
        let mut ways = Vec::new();
        for (name, number) in &self.settings.numbers {
            let channel = self.channel(name)?;
            let blocked = self.blocked(number, name, &channel)?;
            ways.push(Way {
                number: name.clone(),
                counts: self.view.get(&keys::counts(name))?.unwrap_or_default(),
                blocked: blocked.map(|(why, until)| (why, until.map(|until| self.dated(until)))),
                stopped: channel.stopped.map(|stop| Stop { trial_ms: self.dated(stop.trial_ms), ..stop }),
                in_flight: self.memory.ways.get(name).map_or(0, |way| way.in_flight),
            });
        }
        Ok(ways)
    }
}
