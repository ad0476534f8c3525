//! What is remembered of a number between two turns, and lost without harm.

use crate::settings::Number;
use crate::values::Units;

/// A call that posts no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Asks how an endpoint, or its token, is.
    Probe,
    /// Whatever somebody waits for: a file that goes up or comes down, where webhooks go.
    Errand,
}

/// Of one number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way {
    pub(crate) in_flight: u32,
    /// The messages that are being posted, and whether another endpoint is used since they went.
    posts: Vec<(u64, bool)>,
    /// Those of them that post no message, and the day that the first of these began on.
    others: u32,
    others_day: i32,
    /// Those of the others that are probes.
    probes: u32,
    /// Probes of a day that have left.
    probed: (i32, u64),
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
    /// Messages that are being posted.
    pub(crate) const fn posting(&self) -> u32 {
        self.in_flight.saturating_sub(self.others)
    }

    /// Of these, those that went to the endpoint in use.
    pub(crate) fn posting_there(&self) -> u32 {
        let count = self.posts.iter().filter(|(_, left)| !left).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Another endpoint is used from now on.
    pub(crate) fn leave(&mut self) {
        self.posts.iter_mut().for_each(|(_, left)| *left = true);
    }

    /// All calls but probes.
    pub(crate) const fn busy(&self) -> u32 {
        self.in_flight.saturating_sub(self.probes)
    }

    /// Of the messages, those that began on another day.
    pub(crate) const fn late(&self, day: i32) -> u32 {
        if self.day == day { self.late } else { self.posting() }
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
        if self.others == 0 {
            self.others_day = day;
        }
        self.others += 1;
        if other == Other::Probe {
            self.probes += 1;
            self.probed = (day, self.probed_on(day) + 1);
        }
    }

    /// Says the day on which the oldest of those in flight began.
    pub(crate) fn end_other(&mut self, other: Other, unsent: bool) -> i32 {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.others = self.others.saturating_sub(1);
        if other == Other::Probe {
            self.probes = self.probes.saturating_sub(1);
            self.probed.1 = self.probed.1.saturating_sub(u64::from(unsent));
        }
        self.others_day
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
