//! Whom the store writes to, by phone and by business-scoped user id, and who wrote when.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::{DAY_MS, Pair};
use crate::random::mix;

/// People that are remembered; whoever comes later is written to as if seen for the first time.
pub const PEOPLE_MAX: usize = 1 << 20;

/// One user of WhatsApp.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Digits as WhatsApp writes them; unknown where only the user id was ever used.
    pub(crate) phone: Option<String>,
    /// The business-scoped user id.
    pub(crate) user_id: String,
    /// The profile's name, of those who are known from the start.
    pub(crate) name: Option<Arc<str>>,
    /// By number of the store: when the user last wrote to it, and the pair rate.
    numbers: HashMap<Box<str>, Ties>,
}

/// What is between one user and one number of the store.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ties {
    /// When the user last wrote.
    wrote_ms: Option<i64>,
    /// The pair rate.
    pub(crate) pair: Pair,
}

impl Ties {
    /// Whether the service window is open: strictly less than 24 h since the user wrote.
    pub(crate) fn is_open(self, now_ms: i64) -> bool {
        self.wrote_ms.is_some_and(|wrote| now_ms < wrote.saturating_add(DAY_MS))
    }
}

impl Person {
    pub(crate) fn ties(&self, number: &str) -> Ties {
        self.numbers.get(number).copied().unwrap_or_default()
    }

    pub(crate) fn ties_mut(&mut self, number: &str) -> &mut Ties {
        self.numbers.entry(number.into()).or_default()
    }

    /// How the person stands in what is counted: the phone with its `+`, else the user id.
    pub(crate) fn label(&self) -> String {
        self.phone.as_ref().map_or_else(|| self.user_id.clone(), |phone| format!("+{phone}"))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct People {
    all: Vec<Person>,
    by_name: HashMap<String, usize>,
}

impl People {
    /// The person with this phone (digits as written by the store) or else this user id; made up at
    /// first sight.
    pub(crate) fn find(&mut self, phone: Option<&str>, user_id: Option<&str>) -> usize {
        let phone = phone.map(as_whatsapp_writes);
        let names = [phone.as_deref(), user_id].into_iter().flatten();
        let known = names.filter_map(|name| self.by_name.get(name).copied()).next();
        let place = known.unwrap_or_else(|| {
            // Past the bound the last one stands for all strangers.
            if self.all.len() < PEOPLE_MAX {
                self.all.push(Person {
                    user_id: user_id
                        .map_or_else(|| made_up(phone.as_deref().unwrap_or_default()), str::to_owned),
                    phone: phone.clone(),
                    name: None,
                    numbers: HashMap::new(),
                });
            }
            self.all.len() - 1
        });
        if let Some(other) = user_id.and_then(|user_id| self.by_name.get(user_id).copied()) {
            self.join(place, other);
        }
        let person = &mut self.all[place];
        if person.phone.is_none() {
            person.phone.clone_from(&phone);
        }
        if let Some(user_id) = user_id.filter(|user_id| *user_id != person.user_id) {
            // The customers' own ids take the place of one that was made up.
            user_id.clone_into(&mut person.user_id);
        }
        let user_id = person.user_id.clone();
        for name in phone.into_iter().chain([user_id]) {
            self.by_name.insert(name, place);
        }
        place
    }

    /// Two that were thought to be two people are one: whom either wrote to has heard from both.
    fn join(&mut self, place: usize, other: usize) {
        if place == other {
            return;
        }
        let numbers = std::mem::take(&mut self.all[other].numbers);
        for (number, ties) in numbers {
            let joined = self.all[place].ties_mut(&number);
            joined.wrote_ms = joined.wrote_ms.max(ties.wrote_ms);
            joined.pair = joined.pair.later(ties.pair);
        }
    }

    pub(crate) fn get(&self, place: usize) -> &Person {
        &self.all[place]
    }

    /// The person goes by this name.
    pub(crate) fn call(&mut self, place: usize, name: &Arc<str>) {
        self.all[place].name = Some(Arc::clone(name));
    }

    /// The person wrote to that number: its window is open for 24 h.
    pub(crate) fn wrote(&mut self, place: usize, number: &str, now_ms: i64) {
        self.all[place].ties_mut(number).wrote_ms = Some(now_ms);
    }

    /// One message went to the person.
    pub(crate) fn written(&mut self, place: usize, number: &str, now_ms: i64) {
        self.all[place].ties_mut(number).pair.take(now_ms);
    }
}

/// A user id that a phone always gets.
fn made_up(phone: &str) -> String {
    let chance = phone.bytes().fold(1_u64, |chance, byte| mix(chance ^ u64::from(byte)));
    format!("US.{chance:020}")
}

/// The digits of `wa_id`: Brazil's ninth digit is dropped, Mexico's 1 put in, as WhatsApp's older
/// accounts have it; so what the store wrote and what WhatsApp writes are two names of one person.
fn as_whatsapp_writes(phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.as_bytes() {
        [b'5', b'5', _, _, b'9', ..] if digits.len() == 13 => format!("{}{}", &digits[..4], &digits[5..]),
        [b'5', b'2', ..] if digits.len() == 12 => format!("521{}", &digits[2..]),
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_and_a_user_id_are_one_person_once_they_were_seen_together() {
        let mut people = People::default();
        let one = people.find(Some("+1 (212) 555-0100"), None);
        assert_eq!(people.find(Some("12125550100"), Some("US.1")), one);
        assert_eq!(people.find(None, Some("US.1")), one);
        assert_ne!(people.find(None, Some("US.2")), one);
        assert_eq!(people.get(one).label(), "+12125550100");
        assert_eq!(people.get(one).user_id, "US.1");
    }

    #[test]
    fn two_that_turn_out_to_be_one_share_their_windows() {
        let mut people = People::default();
        let by_phone = people.find(Some("12125550100"), None);
        let by_id = people.find(None, Some("US.1"));
        people.wrote(by_id, "1", 1_000);
        assert_ne!(by_phone, by_id);
        let one = people.find(Some("12125550100"), Some("US.1"));
        assert!(people.get(one).ties("1").is_open(1_001));
        assert_eq!([people.find(None, Some("US.1")), people.find(Some("12125550100"), None)], [one, one]);
    }

    #[test]
    fn a_window_is_open_for_less_than_24_hours_and_of_one_number_only() {
        let mut people = People::default();
        let one = people.find(Some("12125550100"), None);
        people.wrote(one, "1", 1_000);
        let open = |people: &People, number, now_ms| people.get(one).ties(number).is_open(now_ms);
        assert!(open(&people, "1", 1_000 + DAY_MS - 1));
        assert!(!open(&people, "1", 1_000 + DAY_MS) && !open(&people, "2", 1_000));
    }

    #[test]
    fn old_accounts_of_brazil_and_mexico_are_written_otherwise() {
        assert_eq!(as_whatsapp_writes("+55 11 98765-4321"), "551187654321");
        assert_eq!(as_whatsapp_writes("+525512345678"), "5215512345678");
        assert_eq!(as_whatsapp_writes("+85261234567"), "85261234567");
    }
}
