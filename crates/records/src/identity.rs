//! Who a message is from or for: by phone, by business-scoped user id, or by both.

use model::{Alias, AliasKind, Contact};

use crate::json::Value;
use crate::phone;

/// The longest id, word or name that is looked at. Meta's longest ids have some 140 characters;
/// without a bound one long name times a thousand messages would fill the memory.
pub(crate) const NAME_MAX: usize = 256;

/// How many `contacts` of one change are looked at; a webhook holds at most 1,000 updates.
const CARDS_MAX: usize = 1_000;

/// True for an id by which something can be told from others: 1 to 256 visible ASCII characters.
pub(crate) fn is_usable(id: &str) -> bool {
    (1..=NAME_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A member that holds a usable id.
pub(crate) fn usable_id(object: Value<'_, '_>, key: &str) -> Option<String> {
    object.get(key)?.text().filter(|id| is_usable(id)).map(Into::into)
}

/// A member that holds a label for people: cut at [`NAME_MAX`] characters.
pub(crate) fn label(object: Value<'_, '_>, key: &str) -> Option<String> {
    object.get(key)?.text().map(|text| text.chars().take(NAME_MAX).collect())
}

/// The ids that one item gives for a person.
#[derive(Debug, Default, Clone)]
pub(crate) struct Person {
    /// Digits.
    pub(crate) phone: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) parent_user_id: Option<String>,
}

impl Person {
    /// Reads the first of the keys that says something. Where a phone is expected some resellers
    /// put the user id.
    pub(crate) fn read(object: Value<'_, '_>, phone: &[&str], user_id: &[&str], parent: &[&str]) -> Self {
        let first = |keys: &[&str]| keys.iter().find_map(|key| usable_id(object, key));
        let number = first(phone);
        let digits = number.as_deref().and_then(phone::digits).map(str::to_owned);
        let misplaced = if digits.is_none() { number } else { None };
        Self { phone: digits, user_id: first(user_id).or(misplaced), parent_user_id: first(parent) }
    }

    /// This person, or the other one if this is nobody.
    pub(crate) fn or(self, other: Option<Self>) -> Self {
        if self.is_nobody() { other.unwrap_or_default() } else { self }
    }

    pub(crate) const fn is_nobody(&self) -> bool {
        self.phone.is_none() && self.user_id.is_none() && self.parent_user_id.is_none()
    }
}

/// One of `contacts[]`: what WhatsApp says about a person beside the item.
pub(crate) struct Card {
    /// Digits.
    wa_id: Option<String>,
    key: Option<String>,
    user_id: Option<String>,
    parent_user_id: Option<String>,
    username: Option<String>,
    name: Option<String>,
}

impl Card {
    /// Reads one.
    pub(crate) fn read(card: Value<'_, '_>) -> Self {
        let person = Person::read(card, &["wa_id"], &["user_id"], &["parent_user_id"]);
        let profile = card.get("profile").unwrap_or(card);
        let username = label(profile, "username").or_else(|| label(card, "username"));
        Self {
            key: person.phone.as_deref().map(phone::match_key),
            wa_id: person.phone,
            user_id: person.user_id,
            parent_user_id: person.parent_user_id,
            username: username
                .map(|name| name.trim_start_matches('@').to_owned())
                .filter(|name| !name.is_empty()),
            name: label(profile, "name"),
        }
    }

    /// All cards of a list.
    pub(crate) fn read_all(contacts: Option<Value<'_, '_>>) -> Vec<Self> {
        contacts.into_iter().flat_map(Value::elements).take(CARDS_MAX).map(Self::read).collect()
    }

    /// The card of the person whom a thread of the history is named after.
    pub(crate) fn of_thread(thread: Value<'_, '_>) -> Option<Self> {
        let person = Person::read(thread, &["id"], &[], &[]);
        (!person.is_nobody()).then(|| Self {
            key: person.phone.as_deref().map(phone::match_key),
            wa_id: person.phone,
            user_id: person.user_id,
            parent_user_id: None,
            username: None,
            name: None,
        })
    }

    /// The ids on it.
    pub(crate) fn person(&self) -> Person {
        Person {
            phone: self.wa_id.clone(),
            user_id: self.user_id.clone(),
            parent_user_id: self.parent_user_id.clone(),
        }
    }
}

/// The contact of the only card, where there is exactly one.
pub(crate) fn only_contact(cards: &[Card]) -> Option<Contact> {
    match cards {
        [card] => contact(&card.person(), cards, &[]),
        _ => None,
    }
}

/// Puts together who a person is: what the item says, what the card with the same id adds, and
/// `others` that WhatsApp declares to be the same person. `None` if nothing at all is known.
pub(crate) fn contact(person: &Person, cards: &[Card], others: &[Person]) -> Option<Contact> {
    let key = person.phone.as_deref().map(phone::match_key);
    // By id and never by place: a list of contacts may belong to other items. The user id is the
    // stronger of the two: a phone may have passed on.
    let same = |mine: &Option<String>, theirs: &Option<String>| mine.is_some() && mine == theirs;
    let card = cards
        .iter()
        .find(|card| same(&person.user_id, &card.user_id))
        .or_else(|| cards.iter().find(|card| same(&key, &card.key) && !differ(person, card)));
    if person.is_nobody() {
        return None;
    }
    let or = |mine: &Option<String>, theirs: fn(&Card) -> &Option<String>| {
        mine.clone().or_else(|| card.and_then(|card| theirs(card).clone()))
    };
    let digits = or(&person.phone, |card| &card.wa_id);
    let mut contact = Contact {
        phone: digits.as_ref().map(|digits| format!("+{digits}")),
        wa_id: card.and_then(|card| card.wa_id.clone()).or(digits),
        user_id: or(&person.user_id, |card| &card.user_id),
        parent_user_id: or(&person.parent_user_id, |card| &card.parent_user_id),
        username: card.and_then(|card| card.username.clone()),
        name: card.and_then(|card| card.name.clone()),
        aliases: Vec::new(),
    };
    contact.aliases = aliases(&contact, others);
    Some(contact)
}

/// True if both name a user id and not the same one.
fn differ(person: &Person, card: &Card) -> bool {
    person.user_id.is_some() && card.user_id.is_some() && person.user_id != card.user_id
}

fn aliases(contact: &Contact, others: &[Person]) -> Vec<Alias> {
    let mut aliases = Vec::with_capacity(4);
    let mut add = |kind, value: Option<String>| {
        if let Some(alias) = value.map(|value| Alias { kind, value })
            && !aliases.contains(&alias)
        {
            aliases.push(alias);
        }
    };
    add(AliasKind::UserId, contact.user_id.clone());
    for other in others {
        add(AliasKind::UserId, other.user_id.clone());
    }
    add(AliasKind::Phone, contact.phone.as_deref().and_then(phone::digits).map(phone::match_key));
    add(AliasKind::Phone, contact.wa_id.as_deref().map(phone::match_key));
    for other in others {
        add(AliasKind::Phone, other.phone.as_deref().map(phone::match_key));
    }
    add(AliasKind::ParentUserId, contact.parent_user_id.clone());
    for other in others {
        add(AliasKind::ParentUserId, other.parent_user_id.clone());
    }
    // Usernames don't tell capitals apart.
    add(AliasKind::Username, contact.username.as_deref().map(str::to_lowercase));
    aliases
}
