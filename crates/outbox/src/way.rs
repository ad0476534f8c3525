//! What is remembered of a number between two turns, and lost without harm.

use crate::settings::Number;
use crate::values::Units;

/// A call that posts no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Asks how an endpoint, or its token, is.
    Probe,
    /// What somebody has done who may send or look after the box: a file that goes up, a change of where webhooks go.
    Errand,
    /// What somebody has asked who may only read: a file that comes down, where webhooks go. These have a share of the
    /// day, so that nobody who may read keeps messages from going.
    Look,
}

/// What the end of a call that posts no message means for the day of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Nothing: it was charged when it began, or on another day, and never left.
    Stays,
    /// It surely never left.
    GivenBack,
    /// It began on another day, and WhatsApp may count it on this one.
    Again,
}

/// Of one number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way {
    pub(crate) in_flight: u32,
    /// The messages that are being posted, and whether another endpoint is used since they went.
    posts: Vec<(u64, bool)>,
    /// Those that post no message, and the local day that each began on, the oldest first.
    others: Vec<(Other, i32)>,
    /// Probes that a day was charged for.
    probed: (i32, u64),
    /// Looks that a day was charged for; `None` before the first one of this run.
    looked: Option<(i32, u64)>,
    /// The local day of the newest call of a message, and how many are still in flight that began before it.
    day: i32,
    late: u32,
    /// WhatsApp asks for fewer calls until then. What the number waits for beside that is trouble of an endpoint.
    pub(crate) throttled_until: i64,
    /// Nothing may go out before then if no more happens than that messages are queued: so that the queue isn't
    /// looked through for each of them.
    pub(crate) asleep_until: Option<i64>,
    /// Below these places there are no heads, by class: so that what has gone isn't looked through.
    pub(crate) from: [u64; 4],
}

impl Way {
    /// At a start: nothing is in flight.
    pub(crate) fn of_the_last_run(throttled_until: i64) -> Self {
        Self { throttled_until, ..Self::default() }
    }

    /// Messages that are being posted.
    pub(crate) fn posting(&self) -> u32 {
        self.in_flight.saturating_sub(count(self.others.iter()))
    }

    /// Of these, those that went to the endpoint in use.
    pub(crate) fn posting_there(&self) -> u32 {
        count(self.posts.iter().filter(|(_, left)| !left))
    }

    /// Another endpoint is used from now on.
    pub(crate) fn leave(&mut self) {
        self.posts.iter_mut().for_each(|(_, left)| *left = true);
    }

    /// All calls but probes.
    pub(crate) fn busy(&self) -> u32 {
        self.in_flight.saturating_sub(count(self.others.iter().filter(|(other, _)| *other == Other::Probe)))
    }

    /// Of the messages, those that began on another day.
    pub(crate) fn late(&self, day: i32) -> u32 {
        if self.day == day { self.late } else { self.posting() }
    }

    /// Of the calls that post no message, those that began on another day.
    pub(crate) fn late_others(&self, day: i32) -> u32 {
        count(self.others.iter().filter(|(_, began)| *began != day))
    }

    pub(crate) fn begin(&mut self, place: u64, day: i32) {
        self.posts.push((place, false));
        self.late = self.late(day);
        self.day = day;
        self.in_flight += 1;
    }

    pub(crate) fn end(&mut self, place: u64, began: Option<i32>) {
        self.posts.retain(|(of, _)| *of != place);
        self.in_flight = self.in_flight.saturating_sub(1);
        if began != Some(self.day) {
            self.late = self.late.saturating_sub(1);
        }
        self.late = self.late.min(self.posting());
    }

    pub(crate) fn begin_other(&mut self, other: Other, day: i32) {
        self.in_flight += 1;
        self.others.push((other, day));
        match other {
            Other::Probe => self.probed = (day, self.probed_on(day) + 1),
            Other::Look => self.looked = Some((day, self.looked_on(day) + 1)),
            Other::Errand => {}
        }
    }

    /// Ends the oldest of its kind, whichever it was: a day is charged no less for it, for those that go on are newer.
    pub(crate) fn end_other(&mut self, other: Other, unsent: bool, day: i32) -> Charge {
        let Some(place) = self.others.iter().position(|(kind, _)| *kind == other) else {
            return Charge::Stays;
        };
        let (_, began) = self.others.remove(place);
        self.in_flight = self.in_flight.saturating_sub(1);
        let charge = match (began == day, unsent) {
            (true, true) => Charge::GivenBack,
            (false, false) => Charge::Again,
            (true, false) | (false, true) => Charge::Stays,
        };
        let charged = |before: u64| match charge {
            Charge::GivenBack => before.saturating_sub(1),
            Charge::Again => before + 1,
            Charge::Stays => before,
        };
        match other {
            Other::Probe => self.probed = (day, charged(self.probed_on(day))),
            Other::Look => self.looked = Some((day, charged(self.looked_on(day)))),
            Other::Errand => {}
        }
        charge
    }

    /// Whether looks have some of their share left. What the last run used of the day isn't known: everything that was no
    /// message counts as theirs, so that a restart gives them nothing anew.
    pub(crate) fn may_look(&mut self, number: &Number, units: Units, day: i32) -> bool {
        let before = (day, units.calls.saturating_sub(units.messages));
        self.looked.get_or_insert(before);
        units.calls < number.calls_for_messages() && self.looked_on(day) < number.calls_for_looks()
    }

    const fn looked_on(&self, day: i32) -> u64 {
        match self.looked {
            Some((on, looked)) if on == day => looked,
            _ => 0,
        }
    }

    const fn probed_on(&self, day: i32) -> u64 {
        if self.probed.0 == day { self.probed.1 } else { 0 }
    }

    /// Whether a probe takes no call that a message might need: some calls are kept for probes, and beyond these
    /// there are those that the day's messages can't use up.
    pub(crate) fn leaves_enough(&self, number: &Number, units: Units, day: i32) -> bool {
        let kept = number.calls_per_day - number.calls_for_messages();
        let messages = number.messages_per_day.saturating_sub(units.messages);
        units.calls < number.calls_per_day
            && (units.calls >= number.calls_for_messages()
                || self.probed_on(day) < kept
                || units.calls.saturating_add(messages) < number.calls_for_messages())
    }
}

fn count(calls: impl Iterator) -> u32 {
    u32::try_from(calls.count()).unwrap_or(u32::MAX)
}
