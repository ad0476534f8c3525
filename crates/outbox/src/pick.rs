//! Picking what goes next: replies first, then service, then campaigns, as far as every limit allows.

use model::Standing;
use policy::sending::{Batches, Pair, batch};

use crate::judge::{Verdict, kind};
use crate::keys;
use crate::settings::{CALLS_MAX, Number, TRIAL_EVERY_MS, TURN_MAX};
use crate::table::TableError;
use crate::turn::{Call, Turn};
use crate::values::{Batch, Busy, CAMPAIGN, CLASSES, Channel, Kind, Lane, MARKS, Message, State, Units};
use crate::why::Why;

/// Heads that are looked at for one that has its unit already, when no more units are left.
const PAID_LOOK: usize = 16;

/// What stands first.
enum Next {
    /// This message.
    Head(u64),
    /// Nothing waits, or nothing may go now.
    NotNow,
    /// Nothing may go before the day is over.
    NotBefore(i64),
}

/// What came of looking for one that may go.
enum Picked {
    /// One was tried, and another may go.
    Tried,
    /// None may go now.
    Nothing,
    /// None may go before then, or before something else happens, and none that is only queued meanwhile.
    NothingUntil(Option<i64>),
}

impl Turn<'_> {
    /// Does what is due and picks what may go. True when there is more to do than a turn takes: another is due
    /// at once.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn advance(&mut self) -> Result<bool, TableError> {
        let mut more = self.run_timers()?;
        let settings = self.settings;
        let mut portfolios: Vec<&str> =
            settings.numbers.values().map(|number| number.portfolio.as_str()).collect();
        portfolios.sort_unstable();
        portfolios.dedup();
        for portfolio in portfolios {
            more |= self.forget_recipients(portfolio)? == Some(self.now);
        }
        for (name, number) in settings.numbers.iter().filter(|(_, number)| number.has_route()) {
            more |= self.pick(name, number)?;
        }
        Ok(more)
    }

    fn pick(&mut self, name: &str, number: &Number) -> Result<bool, TableError> {
        if let Some(until) = self.way(name).asleep_until.filter(|until| *until > self.now) {
            if until < i64::MAX {
                self.wake_at(until);
            }
            return Ok(false);
        }
        for _ in 0..TURN_MAX {
            match self.pick_one(name, number)? {
                Picked::Tried => {}
                Picked::Nothing => return Ok(false),
                Picked::NothingUntil(until) => {
                    self.way(name).asleep_until = until.or(Some(i64::MAX));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn pick_one(&mut self, name: &str, number: &Number) -> Result<Picked, TableError> {
        let channel = self.channel(name)?;
        let way = self.way(name);
        let full = way.in_flight >= CALLS_MAX || way.busy() >= number.calls_max();
        if full || way.posting_there() >= number.posts_max() {
            return Ok(Picked::NothingUntil(None));
        }
        if let Some((_, until)) = self.blocked(number, name, &channel)? {
            if let Some(until) = until {
                self.wake_at(until);
            }
            return Ok(Picked::NothingUntil(until));
        }
        // An outage shall cost the units of one message at a time, and a stop a trial.
        let one_by_one = channel.stopped.is_some() || channel.throttled > 0;
        if one_by_one && self.way(name).posting_there() > 0 {
            // The answer decides.
            return Ok(Picked::NothingUntil(None));
        }
        // Before anything is looked at for which there is no turn yet.
        if let Err(at) = self.paces.look(name, channel.per_second, self.now) {
            self.wake_at(at);
            return Ok(Picked::NothingUntil(Some(at)));
        }
        match self.next_head(name, number, &channel)? {
            Next::Head(place) => self.try_to_send(place, name, number),
            Next::NotNow => Ok(Picked::Nothing),
            Next::NotBefore(until) => Ok(Picked::NothingUntil(Some(until))),
        }
    }

    /// Why nothing at all may go out from a number, and until when if that is known.
    pub(crate) fn blocked(
        &self,
        number: &Number,
        name: &str,
        channel: &Channel,
    ) -> Result<Option<(Why, Option<i64>)>, TableError> {
        if let Some(stop) = channel.stopped.as_ref().filter(|stop| stop.trial_ms > self.now) {
            // A paused number waits for a person.
            let until = Some(stop.trial_ms).filter(|at| *at < i64::MAX);
            return Ok(Some((Why::Stopped, until)));
        }
        if channel.slow_until_ms > self.now {
            let asked = self.memory.ways.get(name).is_some_and(|way| way.throttled_until > self.now);
            let why = if asked { Why::Throttled } else { Why::EndpointDown };
            return Ok(Some((why, Some(channel.slow_until_ms))));
        }
        let units = self.taken(name, self.day(number))?;
        if units.calls >= number.calls_for_messages() {
            return Ok(Some((Why::ApiCallsPerDay, Some(self.day_ends(number)))));
        }
        Ok(None)
    }

    /// Used and limit of each limit of a number.
    pub(crate) fn used(&self, name: &str, number: &Number) -> Result<[(u64, u64); 3], TableError> {
        let units: Units = self.units(name, self.day(number))?;
        Ok([
            (units.messages_shown(number.messages_per_day), number.messages_per_day),
            (units.calls_shown(number.calls_per_day), number.calls_per_day),
            (self.recipients(&number.portfolio)?, self.recipients_max(number)?),
        ])
    }

    /// The first message that may be tried.
    fn next_head(&mut self, name: &str, number: &Number, channel: &Channel) -> Result<Next, TableError> {
        let day = self.day(number);
        let units = self.taken(name, day)?;
        let left = number.messages_per_day.saturating_sub(units.messages);
        let mut waiting = false;
        for class in CLASSES {
            if class == CAMPAIGN && !self.may_campaign(name, number, channel.clone())? {
                continue;
            }
            if left > 0 {
                self.let_in(name, number, class)?;
            } else {
                // To let in who is held would only change where they wait.
                waiting |= self.is_crowded(name, class)?;
            }
            let look = if class == MARKS || left > 0 { 1 } else { PAID_LOOK };
            let heads = self.heads(name, class, look)?;
            let way = self.way(name);
            way.from[usize::from(class)] = heads.first().copied().unwrap_or(u64::MAX);
            for place in heads {
                if class == MARKS || left > 0 {
                    return Ok(Next::Head(place));
                }
                waiting = true;
                // Not past a limit that is lower than it was when the unit was taken.
                let within = units.messages <= number.messages_per_day;
                if within && self.load(place)?.is_some_and(|(_, state)| state.unit_day == Some(day)) {
                    return Ok(Next::Head(place));
                }
            }
        }
        if left == 0 && waiting {
            let ends = self.day_ends(number);
            self.wake_at(ends);
            return Ok(Next::NotBefore(ends));
        }
        Ok(Next::NotNow)
    }

    /// Whether campaign messages may go now: near a limit only while a batch is under way.
    fn may_campaign(
        &mut self,
        name: &str,
        number: &Number,
        mut channel: Channel,
    ) -> Result<bool, TableError> {
        let used = self.used(name, number)?;
        if !batch::is_near(&used, number.batch_above) {
            return Ok(true);
        }
        if self.heads(name, CAMPAIGN, 1)?.is_empty() && !self.is_crowded(name, CAMPAIGN)? {
            return Ok(false);
        }
        let remaining = used.iter().map(|(used, limit)| limit.saturating_sub(*used)).min().unwrap_or(0);
        let Batch { next_ms, left } = channel.batch;
        let resets = self.day_ends(number);
        let batch =
            Batches { next_at_ms: next_ms, left }.at(self.now, remaining, resets, number.batch_every_ms);
        let batch = Batch { next_ms: batch.next_at_ms, left: batch.left };
        if batch != channel.batch {
            channel.batch = batch;
            self.view.put(keys::channel(name), &channel);
        }
        if batch.left == 0 {
            self.wake_at(batch.next_ms);
        }
        Ok(batch.left > 0)
    }

    fn is_crowded(&self, name: &str, class: u8) -> Result<bool, TableError> {
        let prefix = keys::crowded_out_of(name, class);
        Ok(!self.view.list(&prefix, &prefix, 1)?.is_empty())
    }

    /// Lets in who was held for want of room among the unique recipients, where there is some: before those of
    /// their class who came later and would take it.
    fn let_in(&mut self, name: &str, number: &Number, class: u8) -> Result<(), TableError> {
        if !self.is_crowded(name, class)? {
            return Ok(());
        }
        let room = self.recipients_max(number)?.saturating_sub(self.recipients(&number.portfolio)?);
        if room == 0 {
            if let Some(until) = self.forget_recipients(&number.portfolio)? {
                self.wake_at(until);
            }
            return Ok(());
        }
        let first = self.heads(name, class, 1)?.first().copied().unwrap_or(u64::MAX);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(TURN_MAX);
        let prefix = keys::crowded_out_of(name, class);
        for (key, _) in self.view.list(&prefix, &prefix, room)? {
            let Some(place) = keys::place_of(&key).filter(|place| *place < first) else { break };
            self.view.remove(&keys::Key::from_bytes(&key));
            if let Some((message, mut state)) = self.load(place)?
                && state.standing == Standing::Held
            {
                self.let_go(place, &message, &mut state)?;
                self.save(place, &state);
            }
        }
        Ok(())
    }

    /// Tries the head of a lane.
    fn try_to_send(&mut self, place: u64, name: &str, number: &Number) -> Result<Picked, TableError> {
        let Some((message, mut state)) = self.load(place)? else {
            self.drop_unreadable(place, name)?;
            return Ok(Picked::Tried);
        };
        if state.standing != Standing::Queued {
            self.drop_stray_head(place, &message)?;
            return Ok(Picked::Tried);
        }
        let mut lane = self.lane(&message)?;
        match self.judge(number, &message, &state, &lane)? {
            Verdict::Go { push } => {
                let told = self.channel(name)?.per_second;
                if let Err(at) = self.paces.take(name, told, place, self.now) {
                    self.wake_at(at);
                    return Ok(Picked::NothingUntil(Some(at)));
                }
                if message.kind == Kind::FreeForm && !push {
                    // The customer has written after all.
                    state.fell_back = false;
                }
                self.intend(place, &message, &mut state, lane, push, number)?;
            }
            Verdict::Wait(why, until) => {
                self.mend_other_lanes(&message)?;
                lane.busy = Busy::Until { at: until, on: place };
                self.settle_lane(name, message.contact, lane)?;
                // No step of its own in the history: it happens with every second message.
                state.why = Some(why);
                state.not_before_ms = Some(until);
            }
            Verdict::StepOut(why, until) => self.hold(place, &message, &mut state, why, until)?,
            Verdict::FallBack => {
                state.fell_back = true;
                self.stand(place, &message, &mut state, Standing::Queued, Some(Why::FellBack))?;
            }
            Verdict::Over(why) => {
                let standing = if why == Why::Expired { Standing::Expired } else { Standing::Failed };
                self.give_up(place, &message, &mut state, standing, why)?;
            }
        }
        self.save(place, &state);
        Ok(Picked::Tried)
    }

    /// Writes the intent: what it takes is taken before the call is made.
    fn intend(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        mut lane: Lane,
        push: bool,
        number: &Number,
    ) -> Result<(), TableError> {
        let kind = kind(message, state);
        let day = self.day(number);
        self.take_units(message, state, day)?;
        if push {
            state.push = Some(self.take_push(message, number)?);
        }
        self.owe_for_all(message, &mut lane)?;
        if kind != Kind::ReadMark
            && let Ok(taken) = (Pair { tat_ms: lane.pair_ms }).take(self.now)
        {
            lane.pair_ms = taken.tat_ms;
        }
        let mut channel = self.channel(&message.number)?;
        if message.class() == CAMPAIGN && channel.batch.left > 0 {
            channel.batch.left -= 1;
            self.view.put(keys::channel(&message.number), &channel);
        }
        if let Some(stop) = channel.stopped.as_mut().filter(|_| kind != Kind::ReadMark) {
            stop.trial_ms = self.now.saturating_add(TRIAL_EVERY_MS);
            self.view.put(keys::channel(&message.number), &channel);
        }
        self.view.put(keys::posting(place), &(&message.number, message.contact));
        lane.busy = Busy::Posting(place);
        self.settle_lane(&message.number, message.contact, lane)?;
        // Whatever the lane knew of it.
        self.view.remove(&keys::head(&message.number, message.class(), place));
        state.attempts += 1;
        state.posted_ms = Some(self.date);
        state.not_before_ms = None;
        self.stand(place, message, state, Standing::Sending, None)?;
        self.way(&message.number).begin(place, day);
        let payload = match (&message.fallback, state.fell_back) {
            (Some(fallback), true) => &fallback.payload,
            _ => &message.payload,
        };
        self.calls.push(Call {
            id: message.id(place),
            number: message.number.clone(),
            to: message.to.clone(),
            payload: payload.clone(),
            priority: message.priority,
            kind,
            attempt: state.attempts,
        });
        Ok(())
    }
}
