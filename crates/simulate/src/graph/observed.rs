//! What Graph really received, counted exactly.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::clock::date;
use super::front::Member;
use super::limits::{Moving, Recipients};

/// Messages of the store that are remembered one by one; past it [`Observed::exact`] is false.
pub const MESSAGES_MAX: usize = 1 << 20;
/// Ids by WhatsApp that are remembered of one message, the first.
pub const WAMIDS_MAX: usize = 8;
/// Numbers of the store that are counted apart, and days of each; further ones share a last place.
const NUMBERS_MAX: usize = 1_000;
const DAYS_MAX: usize = 4_000;

/// Everything that was received so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Observed {
    /// Calls of every kind, refused ones included.
    pub calls: u64,
    /// Calls that post a message and were read whole, whatever came of them.
    pub posted: u64,
    /// Messages that were taken, whether the answer said so or not.
    pub accepted: u64,
    /// Refused calls of every kind, by Meta's code, or by HTTP status where there is none.
    pub refused: BTreeMap<i64, u64>,
    /// Messages that were neither taken nor answered.
    pub ignored: u64,
    /// Messages that were taken, and the answer was kept back or broken off.
    pub unanswered: u64,
    /// Calls that mark a customer's message as read.
    pub marks: u64,
    /// Files taken.
    pub uploads: u64,
    /// Messages taken without `biz_opaque_callback_data`.
    pub without_outbox_id: u64,
    /// Messages to a phone without `+`, which may go to a stranger.
    pub without_plus: u64,
    /// Outbox ids that were taken more than once: messages that a customer got twice.
    pub taken_twice: u64,
    /// Different people written to outside a window by all numbers, in the 24 h that end now.
    pub unique_recipients: u64,
    /// The most in any moving 24 h.
    pub unique_recipients_most: u64,
    /// The most calls that were under way at a time.
    pub most_at_once: u64,
    /// False when there was more than can be remembered, so that the counts are too low.
    pub exact: bool,
    /// By `phone_number_id`.
    pub numbers: BTreeMap<String, OfNumber>,
    /// By the name of the door that calls came by.
    pub doors: BTreeMap<String, OfDoor>,
    /// Statuses.
    pub statuses: Told,
}

/// What one number of the store did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct OfNumber {
    /// Calls of every kind by local day, `2026-11-20`.
    pub calls_by_day: BTreeMap<String, u64>,
    /// Messages taken, by local day.
    pub accepted_by_day: BTreeMap<String, u64>,
    /// Messages taken outside an open window: pushes.
    pub pushes: u64,
    /// Of those, the ones that weren't templates, which only [`super::Tells::Never`] delivers.
    pub free_form_outside_window: u64,
    /// The most messages posted in any moving second.
    pub most_posted_in_a_second: u64,
    /// The most messages taken in any moving second.
    pub most_in_a_second: u64,
    /// The most messages taken by one recipient, in all.
    pub most_to_one_recipient: u64,
    /// The most of the pair rate's burst of 45 that was in use for one recipient; 1 for a message alone.
    pub most_of_pair_burst: u64,
    /// The most calls that were under way at a time.
    pub most_at_once: u64,
}

/// What came by one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OfDoor {
    /// Calls of every kind, refused ones included.
    pub calls: u64,
    /// Calls that post a message and were read whole, whatever came of them.
    pub posted: u64,
    /// Messages that were taken.
    pub accepted: u64,
}

/// What became of the statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Told {
    /// Statuses planned so far, repetitions included.
    pub planned: u64,
    /// Handed to the sender of webhooks.
    pub told: u64,
    /// Not yet due.
    pub waiting: u64,
    /// Left out since too many waited.
    pub dropped: u64,
    /// Webhooks with statuses that were acknowledged.
    pub acknowledged: u64,
}

/// What is known of one message of the store, by its outbox id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// `biz_opaque_callback_data`.
    pub outbox_id: String,
    /// The phone with its `+`, else the user id.
    pub recipient: String,
    /// The `phone_number_id` that it was posted to.
    pub number: String,
    /// How often it was posted.
    pub posted: u32,
    /// How often it was taken.
    pub accepted: u32,
    /// Its place among all that was taken, from 1, when it was first taken.
    pub place: Option<u64>,
    /// Its names by WhatsApp, the first [`WAMIDS_MAX`].
    pub wamids: Vec<String>,
    /// The doors that it was posted by, each time, the first [`WAMIDS_MAX`].
    pub posted_by: Vec<String>,
    /// The doors that took it, beside [`Self::wamids`].
    pub taken_by: Vec<String>,
    /// The member that held a business-scoped user id when it was last posted; `None` for a phone.
    pub user_id_in: Option<Member>,
    /// When it was first posted, in milliseconds since 1970.
    pub first_ms: i64,
    /// When it was last posted.
    pub last_ms: i64,
}

/// A number under the pen.
#[derive(Debug)]
struct Number {
    sums: OfNumber,
    calls: HashMap<i64, u64>,
    accepted: HashMap<i64, u64>,
    posted_second: Moving,
    second: Moving,
    under_way: u64,
    of_one: HashMap<usize, u64>,
}

impl Default for Number {
    fn default() -> Self {
        Self {
            sums: OfNumber::default(),
            calls: HashMap::new(),
            accepted: HashMap::new(),
            posted_second: Moving::new(1_000),
            second: Moving::new(1_000),
            under_way: 0,
            of_one: HashMap::new(),
        }
    }
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) sums: Observed,
    numbers: BTreeMap<String, Number>,
    doors: BTreeMap<String, OfDoor>,
    recipients: Recipients,
    letters: Vec<Letter>,
    by_id: HashMap<String, usize>,
    under_way: u64,
    overflowed: bool,
}

/// A message that is posted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coming<'a> {
    pub(crate) door: &'a str,
    pub(crate) number: &'a str,
    pub(crate) now_ms: i64,
    pub(crate) outbox_id: Option<&'a str>,
    pub(crate) recipient: &'a str,
    pub(crate) user_id_in: Option<Member>,
}

/// A message that is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking<'a> {
    pub(crate) door: &'a str,
    pub(crate) number: &'a str,
    pub(crate) day: i64,
    pub(crate) now_ms: i64,
    pub(crate) person: usize,
    pub(crate) outbox_id: Option<&'a str>,
    pub(crate) wamid: &'a str,
    pub(crate) window_open: bool,
    pub(crate) template: bool,
    /// It reaches the customer, as far as is known now.
    pub(crate) arrives: bool,
    /// Of the pair rate, this message included.
    pub(crate) burst: i64,
}

impl Book {
    fn number(&mut self, number: &str) -> &mut Number {
        let known = self.numbers.contains_key(number) || self.numbers.len() < NUMBERS_MAX;
        self.numbers.entry(if known { number.to_owned() } else { "others".to_owned() }).or_default()
    }

    /// There are as many as doors can be opened, see [`super::front::DOORS_MAX`].
    fn door(&mut self, door: &str) -> &mut OfDoor {
        self.doors.entry(door.to_owned()).or_default()
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, door: &str, number: &str, day: i64) {
        self.sums.calls += 1;
        self.door(door).calls += 1;
        self.under_way += 1;
        self.sums.most_at_once = self.sums.most_at_once.max(self.under_way);
        let number = self.number(number);
        count(&mut number.calls, day);
        number.under_way += 1;
        number.sums.most_at_once = number.sums.most_at_once.max(number.under_way);
    }

    /// It is over: answered, closed, or left by the caller.
    pub(crate) fn end(&mut self, number: &str) {
        self.under_way -= 1;
        self.number(number).under_way -= 1;
    }

    pub(crate) fn refused(&mut self, code: i64) {
        *self.sums.refused.entry(code).or_default() += 1;
    }

    /// A message was read whole; nothing is decided yet.
    pub(crate) fn posted(&mut self, coming: Coming<'_>) {
        let Coming { door, number, now_ms, outbox_id, recipient, user_id_in } = coming;
        self.sums.posted += 1;
        self.door(door).posted += 1;
        let exact = self.number(number).posted_second.add(now_ms);
        self.overflowed |= !exact;
        let Some(id) = outbox_id else { return };
        if let Some(letter) = self.by_id.get(id).and_then(|place| self.letters.get_mut(*place)) {
            letter.posted += 1;
            letter.last_ms = now_ms;
            letter.user_id_in = user_id_in;
            if letter.posted_by.len() < WAMIDS_MAX {
                letter.posted_by.push(door.to_owned());
            }
        } else if self.letters.len() < MESSAGES_MAX {
            self.by_id.insert(id.to_owned(), self.letters.len());
            self.letters.push(Letter {
                outbox_id: id.to_owned(),
                recipient: recipient.to_owned(),
                number: number.to_owned(),
                posted: 1,
                accepted: 0,
                place: None,
                wamids: Vec::new(),
                posted_by: vec![door.to_owned()],
                taken_by: Vec::new(),
                user_id_in,
                first_ms: now_ms,
                last_ms: now_ms,
            });
        } else {
            self.overflowed = true;
        }
    }

    /// Messages that this number had taken in the second that ends now.
    pub(crate) fn in_this_second(&mut self, number: &str, now_ms: i64) -> u64 {
        self.number(number).second.now(now_ms)
    }

    pub(crate) fn accepted(&mut self, taking: Taking<'_>) {
        self.sums.accepted += 1;
        self.door(taking.door).accepted += 1;
        let place = self.sums.accepted;
        let number = self.number(taking.number);
        let mut exact = number.second.add(taking.now_ms);
        count(&mut number.accepted, taking.day);
        let of_one = number.of_one.entry(taking.person).or_default();
        *of_one += 1;
        let (of_one, sums) = (*of_one, &mut number.sums);
        sums.most_to_one_recipient = sums.most_to_one_recipient.max(of_one);
        sums.most_of_pair_burst = sums.most_of_pair_burst.max(taking.burst.unsigned_abs());
        if !taking.window_open {
            sums.free_form_outside_window += u64::from(!taking.template);
            if taking.arrives {
                sums.pushes += 1;
                exact &= self.recipients.add(taking.now_ms, taking.person);
            }
        }
        self.overflowed |= !exact;
        let Some(id) = taking.outbox_id else {
            self.sums.without_outbox_id += 1;
            return;
        };
        let Some(letter) = self.by_id.get(id).and_then(|place| self.letters.get_mut(*place)) else { return };
        letter.accepted += 1;
        letter.place.get_or_insert(place);
        self.sums.taken_twice += u64::from(letter.accepted == 2);
        if letter.wamids.len() < WAMIDS_MAX {
            letter.wamids.push(taking.wamid.to_owned());
            letter.taken_by.push(taking.door.to_owned());
        }
    }

    /// Everything so far.
    pub(crate) fn observed(&mut self, now_ms: i64) -> Observed {
        let mut observed = self.sums.clone();
        observed.unique_recipients = self.recipients.now(now_ms);
        observed.unique_recipients_most = self.recipients.most();
        observed.exact = !self.overflowed;
        observed.doors.clone_from(&self.doors);
        let numbers = self.numbers.iter().map(|(name, number)| {
            let by_date = |days: &HashMap<i64, u64>| {
                days.iter().map(|(day, times)| (date(*day), *times)).collect::<BTreeMap<_, _>>()
            };
            let sums = OfNumber {
                calls_by_day: by_date(&number.calls),
                accepted_by_day: by_date(&number.accepted),
                most_posted_in_a_second: number.posted_second.most(),
                most_in_a_second: number.second.most(),
                ..number.sums.clone()
            };
            (name.clone(), sums)
        });
        observed.numbers = numbers.collect();
        observed
    }

    /// All messages with an outbox id, in the order in which they were first posted.
    pub(crate) fn letters(&self) -> &[Letter] {
        &self.letters
    }
}

fn count(days: &mut HashMap<i64, u64>, day: i64) {
    if days.len() < DAYS_MAX || days.contains_key(&day) {
        *days.entry(day).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taking(id: &'static str, now_ms: i64, person: usize) -> Taking<'static> {
        Taking {
            door: "meta",
            number: "1",
            day: now_ms / 86_400_000,
            now_ms,
            person,
            outbox_id: Some(id),
            wamid: "wamid.A",
            window_open: false,
            template: true,
            arrives: true,
            burst: 1,
        }
    }

    fn coming(id: &'static str, now_ms: i64) -> Coming<'static> {
        Coming { door: "meta", number: "1", now_ms, outbox_id: Some(id), recipient: "+1", user_id_in: None }
    }

    #[test]
    fn what_is_taken_twice_is_told() {
        let mut book = Book::default();
        for _ in 0..3 {
            book.posted(coming("m-1", 5));
            book.accepted(taking("m-1", 5, 0));
        }
        book.posted(Coming { door: "other", ..coming("m-2", 6) });
        let observed = book.observed(6);
        assert_eq!((observed.posted, observed.accepted, observed.taken_twice), (4, 3, 1));
        let [one, two] = book.letters() else { panic!("two letters") };
        assert_eq!((one.posted, one.accepted, one.place, one.wamids.len()), (3, 3, Some(1), 3));
        assert_eq!((two.posted, two.accepted, two.place), (1, 0, None));
        assert_eq!((one.taken_by.len(), &two.posted_by), (3, &vec!["other".to_owned()]));
        assert_eq!((observed.doors["meta"].posted, observed.doors["meta"].accepted), (3, 3));
        assert_eq!((observed.doors["other"].posted, observed.doors["other"].accepted), (1, 0));
        assert_eq!(observed.numbers["1"].most_to_one_recipient, 3);
    }

    #[test]
    fn days_recipients_and_calls_at_a_time_are_counted() {
        let mut book = Book::default();
        let day = 86_400_000;
        for (place, now_ms) in [0, day - 1, day].into_iter().enumerate() {
            book.begin("meta", "1", now_ms / day);
            book.accepted(taking("m", now_ms, place));
            book.end("1");
        }
        book.begin("meta", "1", 1);
        book.begin("meta", "2", 1);
        let observed = book.observed(day);
        assert_eq!((observed.most_at_once, observed.numbers["1"].most_at_once), (2, 1));
        // The first one is exactly 24 h old.
        assert_eq!((observed.unique_recipients, observed.unique_recipients_most), (2, 2));
        let by_day = &observed.numbers["1"].accepted_by_day;
        assert_eq!((by_day["1970-01-01"], by_day["1970-01-02"]), (2, 1));
        assert_eq!(observed.numbers["1"].calls_by_day["1970-01-02"], 2);
        assert!(observed.exact);
    }
}
