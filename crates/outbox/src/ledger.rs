//! Units: taken with the intent, given back only for what surely wasn't sent.

use crate::keys;
use crate::settings::{CALLS_MAX, MOVING_DAY_MS, Number, TURN_MAX};
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Kind, Message, Person, Push, State, Units};
use crate::way::{Charge, Other};
use crate::why::Why;

/// Days that used units are kept for, to be looked at.
const UNITS_KEPT_DAYS: i32 = 60;

impl Turn<'_> {
    pub(crate) fn units(&self, number: &str, day: i32) -> Result<Units, TableError> {
        Ok(self.view.get_or(&keys::units(number, day), Units::USED_UP)?.unwrap_or_default())
    }

    /// Units of a day with those of the calls that began on another one and are still on their way: WhatsApp counts
    /// by when it has them.
    pub(crate) fn taken(&self, number: &str, day: i32) -> Result<Units, TableError> {
        let Units { messages, calls } = self.units(number, day)?;
        let Some(way) = self.memory.ways.get(number) else { return Ok(Units { messages, calls }) };
        let (late, others) = (u64::from(way.late(day)), u64::from(way.late_others(day)));
        Ok(Units { messages: messages + late, calls: calls + late + others })
    }

    /// A call has arrived by `day`, so if that isn't the day which it was taken from, WhatsApp may count it for either;
    /// with `sent` it may have posted the message.
    pub(crate) fn arrived(
        &mut self,
        message: &Message,
        state: &State,
        day: i32,
        sent: bool,
    ) -> Result<(), TableError> {
        if state.call_day.is_none_or(|began| began == day) {
            return Ok(());
        }
        let sent = u64::from(sent && message.kind != Kind::ReadMark);
        self.change_units(&message.number, day, |units| {
            units.calls += 1;
            units.messages += sent;
        })
    }

    /// Takes what one call of a message needs: a call, and a message unit if it has none of this day.
    pub(crate) fn take_units(
        &mut self,
        message: &Message,
        state: &mut State,
        day: i32,
    ) -> Result<(), TableError> {
        if message.kind != Kind::ReadMark && state.unit_day != Some(day) {
            // The one of another day is free again: whoever comes here surely hasn't gone yet.
            self.give_back_message(message, state)?;
            self.change_units(&message.number, day, |units| units.messages += 1)?;
            state.unit_day = Some(day);
        }
        state.call_day = Some(day);
        self.change_units(&message.number, day, |units| units.calls += 1)
    }

    pub(crate) fn give_back_message(
        &mut self,
        message: &Message,
        state: &mut State,
    ) -> Result<(), TableError> {
        match state.unit_day.take() {
            Some(day) => self.change_units(&message.number, day, |units| {
                units.messages = units.messages.saturating_sub(1);
            }),
            None => Ok(()),
        }
    }

    /// The request surely never left, so it was none.
    pub(crate) fn give_back_call(&mut self, number: &str, day: i32) -> Result<(), TableError> {
        self.change_units(number, day, |units| units.calls = units.calls.saturating_sub(1))
    }

    fn change_units(
        &mut self,
        number: &str,
        day: i32,
        change: impl FnOnce(&mut Units),
    ) -> Result<(), TableError> {
        let mut units = self.units(number, day)?;
        if units == Units::default() {
            self.view.remove(&keys::units(number, day.saturating_sub(UNITS_KEPT_DAYS)));
        }
        change(&mut units);
        self.view.put(keys::units(number, day), &units);
        Ok(())
    }

    pub(crate) fn person(&self, contact: u128) -> Result<Person, TableError> {
        Ok(self.known_person(contact)?.unwrap_or_default())
    }

    /// What is known of a person under every name that turned out to be theirs, the strictest of each.
    pub(crate) fn whole_person(&self, contact: u128) -> Result<Person, TableError> {
        let mut whole = Person::default();
        for one in self.view.family(contact) {
            let Some(person) = self.known_person(one)? else { continue };
            whole.stopped_ms = whole.stopped_ms.max(person.stopped_ms);
            whole.pushed_ms = whole.pushed_ms.max(person.pushed_ms);
            whole.unread_ms = whole.unread_ms.max(person.unread_ms);
            let newer = person
                .opted_in
                .filter(|consent| whole.opted_in.as_ref().is_none_or(|known| known.at_ms < consent.at_ms));
            whole.opted_in = newer.or(whole.opted_in);
        }
        Ok(whole)
    }

    /// When this recipient was last pushed to by the portfolio, if that still counts.
    pub(crate) fn counted_recipient(
        &self,
        portfolio: &str,
        contact: u128,
    ) -> Result<Option<i64>, TableError> {
        let mut last = None;
        for one in self.view.family(contact) {
            last = last.max(self.view.get::<i64>(&keys::recipient(portfolio, one))?);
        }
        Ok(last)
    }

    pub(crate) fn recipients(&self, portfolio: &str) -> Result<u64, TableError> {
        match self.view.get(&keys::recipient_count(portfolio))? {
            Some(count) => Ok(count),
            None => self.count_recipients(portfolio),
        }
    }

    /// Where the count is lost, or was never written, they are counted themselves.
    fn count_recipients(&self, portfolio: &str) -> Result<u64, TableError> {
        let prefix = keys::recipients_by_time(portfolio);
        Ok(self.view.list(&prefix, &prefix, usize::MAX)?.len() as u64)
    }

    /// The limit of unique recipients: the least that the configuration says of the numbers which share it, or
    /// what Meta says, of this portfolio or of all, if that is less.
    pub(crate) fn recipients_max(&self, number: &Number) -> Result<u64, TableError> {
        let of_all = self.recipients_told(None)?;
        let told = self.recipients_told(Some(&number.portfolio))?;
        let shared = self.settings.numbers.values().filter(|other| other.portfolio == number.portfolio);
        let most = shared.map(|other| other.recipients_per_day).min().unwrap_or(0);
        Ok([of_all, told].into_iter().flatten().fold(most, u64::min))
    }

    /// Whether a push to this recipient keeps the limit of unique recipients.
    pub(crate) fn has_room(&self, number: &Number, contact: u128) -> Result<bool, TableError> {
        let used = self.recipients(&number.portfolio)?;
        let most = self.recipients_max(number)?;
        Ok(match self.counted_recipient(&number.portfolio, contact)? {
            // Not past a limit that was lowered: what was counted for this one may never have arrived.
            Some(_) => used <= most,
            None => used < most,
        })
    }

    /// Counts a push, and remembers how it was before.
    pub(crate) fn take_push(&mut self, message: &Message, number: &Number) -> Result<Push, TableError> {
        let contact = message.contact;
        let before: Option<i64> = self.view.get(&keys::recipient(&number.portfolio, contact))?;
        let mut person = self.person(contact)?;
        // No two pushes have the same time: what is given back is found by it.
        let last = before.max(person.pushed_ms).map_or(i64::MIN, |last| last.saturating_add(1));
        let at_ms = self.now.max(last);
        let push = Push { at_ms, recipient_before_ms: before, person_before_ms: person.pushed_ms };
        self.set_recipient(&number.portfolio, contact, Some(at_ms))?;
        person.pushed_ms = Some(at_ms);
        self.view.put(keys::person(contact), &person);
        Ok(push)
    }

    /// Takes a push back that surely didn't go.
    pub(crate) fn give_back_push(&mut self, message: &Message, state: &mut State) -> Result<(), TableError> {
        let Some(push) = state.push.take() else { return Ok(()) };
        let contact = message.contact;
        if let Some(number) = self.settings.numbers.get(&message.number) {
            let now: Option<i64> = self.view.get(&keys::recipient(&number.portfolio, contact))?;
            // A later one counts for itself, and stays.
            if now == Some(push.at_ms) {
                let portfolio = number.portfolio.clone();
                self.set_recipient(&portfolio, contact, push.recipient_before_ms)?;
            }
        }
        let mut person = self.person(contact)?;
        if person.pushed_ms == Some(push.at_ms) {
            person.pushed_ms = push.person_before_ms;
            self.view.put(keys::person(contact), &person);
            self.let_go_pushes(contact)?;
        }
        Ok(())
    }

    fn set_recipient(&mut self, portfolio: &str, contact: u128, at: Option<i64>) -> Result<(), TableError> {
        let key = keys::recipient(portfolio, contact);
        let before: Option<i64> = self.view.get(&key)?;
        let mut count = self.recipients(portfolio)?;
        // What is a day old may have been forgotten meanwhile, and isn't brought back.
        let at = at.filter(|at| at.saturating_add(MOVING_DAY_MS) > self.now);
        if let Some(before) = before {
            self.view.remove(&keys::recipient_by_time(portfolio, before, contact));
        }
        match at {
            Some(at) => {
                self.view.put(key, &at);
                self.view.mark(keys::recipient_by_time(portfolio, at, contact));
            }
            None => self.view.remove(&key),
        }
        count = count.saturating_add(u64::from(at.is_some())).saturating_sub(u64::from(before.is_some()));
        self.view.put(keys::recipient_count(portfolio), &count);
        Ok(())
    }

    /// Forgets recipients that were last pushed to a day ago; says when the next one is.
    pub(crate) fn forget_recipients(&mut self, portfolio: &str) -> Result<Option<i64>, TableError> {
        let known = keys::recipient_count(portfolio);
        if self.view.has(&known)? && self.view.get::<u64>(&known)?.is_none() {
            // Counted once, and not with every question.
            let count = self.count_recipients(portfolio)?;
            self.view.put(known, &count);
        }
        let prefix = keys::recipients_by_time(portfolio);
        // Nearly always the first is of less than a day ago.
        let first = self.view.list(&prefix, &prefix, 1)?;
        if let Some((at, _)) = first.first().and_then(|(key, _)| keys::time_and_recipient(key))
            && at.saturating_add(MOVING_DAY_MS) > self.now
        {
            return Ok(Some(at.saturating_add(MOVING_DAY_MS)));
        }
        let oldest = self.view.list(&prefix, &prefix, TURN_MAX)?;
        for (key, _) in &oldest {
            let Some((at, contact)) = keys::time_and_recipient(key) else { continue };
            let until = at.saturating_add(MOVING_DAY_MS);
            if until > self.now {
                return Ok(Some(until));
            }
            if self.view.get(&keys::recipient(portfolio, contact))? == Some(at) {
                self.set_recipient(portfolio, contact, None)?;
            } else {
                // Whose it was can't be read, and counted twice since.
                self.view.remove(&keys::Key::from_bytes(key));
                let count = self.count_recipients(portfolio)?;
                self.view.put(keys::recipient_count(portfolio), &count);
            }
        }
        Ok((oldest.len() == TURN_MAX).then_some(self.now))
    }

    /// Takes a unit and a place in flight for a call that posts no message.
    ///
    /// # Errors
    /// When the table can't be read; inside, why it can't be made now, and until when if that is known.
    pub fn take_call(
        &mut self,
        number: &str,
        other: Other,
    ) -> Result<Result<(), (Why, Option<i64>)>, TableError> {
        let Some(settings) = self.settings.numbers.get(number) else { return Ok(Err((Why::NoRoute, None))) };
        let way = self.way(number);
        let places = if other == Other::Probe { CALLS_MAX } else { settings.calls_max() };
        if way.in_flight >= CALLS_MAX || way.busy() >= places {
            return Ok(Err((Why::Throttled, None)));
        }
        let day = self.day(settings);
        let units = self.taken(number, day)?;
        let left = match other {
            Other::Errand => units.calls < settings.calls_for_messages(),
            Other::Look => self.way(number).may_look(settings, units, day),
            Other::Probe => self.way(number).leaves_enough(settings, units, day),
        };
        if !left {
            return Ok(Err((Why::ApiCallsPerDay, Some(settings.zone.ends_at(self.date)))));
        }
        self.change_units(number, day, |units| units.calls += 1)?;
        self.way(number).begin_other(other, day);
        self.urgent = true;
        Ok(Ok(()))
    }

    /// Ends a call of [`Turn::take_call`]; `unsent` if it surely never left. One that left and began on another day
    /// takes a call of this one, too: WhatsApp may count it for either.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn end_call(&mut self, number: &str, other: Other, unsent: bool) -> Result<(), TableError> {
        self.stir();
        let Some(settings) = self.settings.numbers.get(number) else { return Ok(()) };
        let day = self.day(settings);
        let charge = self.way(number).end_other(other, unsent, day);
        self.urgent |= charge != Charge::Stays;
        match charge {
            Charge::Stays => Ok(()),
            Charge::GivenBack => self.give_back_call(number, day),
            Charge::Again => self.change_units(number, day, |units| units.calls += 1),
        }
    }
}
