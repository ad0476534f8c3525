//! The simulated customers.

use std::sync::Arc;

use super::text::{LANGUAGES, Language, SPEAKERS};
use crate::random::{Random, mix};

/// Most contacts that there can be: every area code of the North American plan has 100 numbers
/// (555-0100 to 555-0199) that are kept free for fiction. No other numbers are used, so that an
/// answer sent by mistake with a real token reaches nobody.
pub const CONTACTS_MAX: u32 = 80_000;

/// Area codes for the first contacts, which make the numbers look real.
const AREAS: [u32; 10] = [212, 213, 305, 312, 415, 503, 617, 702, 808, 917];

/// One customer.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(crate) index: u32,
    pub(crate) name: Arc<str>,
    /// Digits as WhatsApp sends them; none for who has taken a username.
    pub(crate) phone: Option<String>,
    /// Business-scoped user id.
    pub(crate) user_id: String,
    pub(crate) username: Option<String>,
    pub(crate) questions: &'static [&'static str],
    /// The running number of the last item.
    pub(crate) counter: u32,
    /// The store's message that is on its way to the customer.
    pub(crate) outbound: Option<Outbound>,
}

/// A message of the store, whose statuses come one by one.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    pub(crate) wamid: String,
    /// The statuses still to come, the next one last.
    pub(crate) to_come: Vec<&'static str>,
}

impl Contact {
    /// The customer with this place in the run of `seed`: always the same one.
    pub(crate) fn new(seed: u64, index: u32, without_phone_percent: u32) -> Self {
        let mut random = Random::new(mix(seed ^ 0xC0).wrapping_add(u64::from(index)));
        let language = language(&mut random);
        let nameless = random.percent(without_phone_percent);
        // The number of contacts stays below 10^5, so 15 digits of chance and 5 of place differ.
        let user_id = format!(
            "{}.{:015}{index:05}",
            language.country,
            random.below(9 * 10_u64.pow(14)) + 10_u64.pow(14)
        );
        Self {
            index,
            name: Arc::from(*random.pick(language.names)),
            phone: (!nameless).then(|| fictional_phone(index)),
            user_id,
            username: nameless.then(|| format!("shopper.{index}")),
            questions: language.questions,
            counter: 0,
            outbound: None,
        }
    }
}

fn language(random: &mut Random) -> &'static Language {
    let mut roll = random.below(100);
    for (language, share) in LANGUAGES.iter().zip(SPEAKERS) {
        match roll.checked_sub(u64::from(share)) {
            Some(rest) => roll = rest,
            None => return language,
        }
    }
    &LANGUAGES[0]
}

fn fictional_phone(index: u32) -> String {
    let (area, line) = ((index / 100) as usize, index % 100);
    let area = AREAS.get(area).copied().unwrap_or_else(|| {
        // The further area codes in order, without those used above.
        let mut code = 200 + u32::try_from(area - AREAS.len()).unwrap_or_default();
        let mut skipped = 0;
        loop {
            let before = AREAS.iter().filter(|used| **used <= code).count();
            if before == skipped {
                return code;
            }
            code += u32::try_from(before - skipped).unwrap_or_default();
            skipped = before;
        }
    });
    format!("1{area}55501{line:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_contacts_share_a_name_that_identifies() {
        let contacts: Vec<_> = (0..CONTACTS_MAX).map(|index| Contact::new(3, index, 0)).collect();
        let phones: HashSet<_> = contacts.iter().filter_map(|contact| contact.phone.as_deref()).collect();
        assert_eq!(phones.len(), contacts.len());
        assert!(phones.iter().all(|phone| phone.len() == 11 && &phone[4..9] == "55501"));
        assert!(phones.contains("12125550100") && phones.contains("19995550199"));
        let ids: HashSet<_> = contacts.iter().map(|contact| contact.user_id.as_str()).collect();
        assert_eq!(ids.len(), contacts.len());
        assert!(ids.iter().all(|id| id.len() == 23));
    }

    #[test]
    fn some_have_no_phone_but_a_username() {
        let contacts: Vec<_> = (0..1_000).map(|index| Contact::new(3, index, 5)).collect();
        let without = contacts.iter().filter(|contact| contact.phone.is_none()).count();
        assert!((25..80).contains(&without), "{without}");
        assert!(contacts.iter().all(|contact| contact.phone.is_none() == contact.username.is_some()));
    }
}
