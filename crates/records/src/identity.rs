//! Who a message is from or for: by phone, by business-scoped user id, or by both.

use std::borrow::Cow;

use model::{Address, Alias, AliasKind, Contact};

use crate::json::Value;
use crate::phone;

/// The longest id, word or name that is looked at. Meta's longest ids have some 140 characters;
/// without a bound one long name times a thousand messages would fill the memory.
pub(crate) const NAME_MAX: usize = 256;

/// How many `contacts` of one change are looked at; a webhook holds at most 1,000 updates.
const CARDS_MAX: usize = 1_000;

/// True for an id by which something can be told from others: 1 to 256 visible ASCII characters.
pub(crate) fn is_usable(id: &str) -> bool {
    // All of them are looked at, which the compiler turns into sixteen at a time.
    let visible = |id: &str| id.bytes().fold(true, |visible, byte| visible & byte.is_ascii_graphic());
    (1..=NAME_MAX).contains(&id.len()) && visible(id)
}

/// A member's text, if it is a usable id.
pub(crate) fn usable<'a>(member: Option<Value<'_, 'a>>) -> Option<Cow<'a, str>> {
    member?.text().filter(|id| is_usable(id))
}

/// A member's text as a label for people: cut at [`NAME_MAX`] characters.
pub(crate) fn label<'a>(member: Option<Value<'_, 'a>>) -> Option<Cow<'a, str>> {
    let mut text = member?.text()?;
    // A character has a byte at least.
    if text.len() > NAME_MAX
        && let Some((end, _)) = text.char_indices().nth(NAME_MAX)
    {
        match &mut text {
            Cow::Borrowed(text) => *text = &text[..end],
            Cow::Owned(text) => text.truncate(end),
        }
    }
    Some(text)
}

/// The text from the first sign on that isn't `sign`.
fn without_leading(text: Cow<'_, str>, sign: char) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches(sign)),
        Cow::Owned(text) => Cow::Owned(text.trim_start_matches(sign).to_owned()),
    }
}

/// The ids that one item gives for a person.
#[derive(Debug, Default, Clone)]
pub(crate) struct Person<'a> {
    /// Digits.
    pub(crate) phone: Option<Cow<'a, str>>,
    pub(crate) user_id: Option<Cow<'a, str>>,
    pub(crate) parent_user_id: Option<Cow<'a, str>>,
}

impl<'a> Person<'a> {
    /// Takes the first of the members that says something. Where a phone is expected some
    /// resellers put the user id.
    pub(crate) fn read<const P: usize, const U: usize, const V: usize>(
        phone: [Option<Value<'_, 'a>>; P],
        user_id: [Option<Value<'_, 'a>>; U],
        parent: [Option<Value<'_, 'a>>; V],
    ) -> Self {
        let (phone, misplaced) = match first(phone) {
            // Digits have at most one plus before them.
            Some(number) if phone::digits(&number).is_some() => (Some(without_leading(number, '+')), None),
            other => (None, other),
        };
        Self { phone, user_id: first(user_id).or(misplaced), parent_user_id: first(parent) }
    }

    /// This person, or the other one if this is nobody.
    pub(crate) fn or(self, other: Option<Self>) -> Self {
        if self.is_nobody() { other.unwrap_or_default() } else { self }
    }

    pub(crate) const fn is_nobody(&self) -> bool {
        self.phone.is_none() && self.user_id.is_none() && self.parent_user_id.is_none()
    }
}

fn first<'a, const N: usize>(members: [Option<Value<'_, 'a>>; N]) -> Option<Cow<'a, str>> {
    members.into_iter().find_map(usable)
}

/// One of `contacts[]`: what WhatsApp says about a person beside the item.
pub(crate) struct Card<'a> {
    person: Person<'a>,
    /// The form in which its phone is compared.
    key: Option<Cow<'a, str>>,
    username: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

impl<'a> Card<'a> {
    /// Reads one.
    pub(crate) fn read(card: Value<'_, 'a>) -> Self {
        let [wa_id, user_id, parent, profile, own_username] =
            card.get_each(["wa_id", "user_id", "parent_user_id", "profile", "username"]);
        let person = Person::read([wa_id], [user_id], [parent]);
        let [username, name] = profile.unwrap_or(card).get_each(["username", "name"]);
        let username = label(username).or_else(|| label(own_username));
        Self {
            username: username.map(|name| without_leading(name, '@')).filter(|name| !name.is_empty()),
            name: label(name),
            ..Self::of(person)
        }
    }

    /// A card that says who it is and nothing else.
    fn of(person: Person<'a>) -> Self {
        let key = person.phone.clone().map(phone::matched);
        Self { person, key, username: None, name: None }
    }

    /// All cards of a list.
    pub(crate) fn read_all(contacts: Option<Value<'_, 'a>>) -> Vec<Self> {
        contacts.into_iter().flat_map(Value::elements).take(CARDS_MAX).map(Self::read).collect()
    }

    /// The card of the person whom a thread of the history is named after.
    pub(crate) fn of_thread(thread: Value<'_, 'a>) -> Option<Self> {
        let person = Person::read([thread.get("id")], [], []);
        (!person.is_nobody()).then(|| Self::of(person))
    }

    /// The ids on it.
    pub(crate) const fn person(&self) -> &Person<'a> {
        &self.person
    }
}

/// The contact of the only card, where there is exactly one.
pub(crate) fn only_contact(cards: &[Card<'_>]) -> Option<Contact> {
    match cards {
        [card] => contact(card.person(), cards, &[]),
        _ => None,
    }
}

/// Puts together who a person is: what the item says, what the card with the same id adds, and
/// `others` that WhatsApp declares to be the same person. `None` if nothing at all is known.
pub(crate) fn contact(person: &Person<'_>, cards: &[Card<'_>], others: &[Person<'_>]) -> Option<Contact> {
    if person.is_nobody() {
        return None;
    }
    let key = person.phone.as_deref().map(|phone| phone::matched(Cow::Borrowed(phone)));
    // By id and never by place: a list of contacts may belong to other items. The user id is the
    // stronger of the two: a phone may have passed on.
    let same = |mine: &Option<Cow<'_, str>>, theirs: &Option<Cow<'_, str>>| mine.is_some() && mine == theirs;
    let card = cards
        .iter()
        .find(|card| same(&person.user_id, &card.person.user_id))
        .or_else(|| cards.iter().find(|card| same(&key, &card.key) && !differ(person, card.person())));
    let theirs = card.map(Card::person);
    let digits = person.phone.as_deref().or(theirs.and_then(|card| card.phone.as_deref()));
    let user_id = person.user_id.as_deref().or(theirs.and_then(|card| card.user_id.as_deref()));
    let parent = person.parent_user_id.as_deref().or(theirs.and_then(|card| card.parent_user_id.as_deref()));
    let wa_id = theirs.and_then(|card| card.phone.as_deref()).or(digits);
    let username = card.and_then(|card| card.username.as_deref());
    let aliases = Aliases::default()
        .add_all(AliasKind::UserId, user_id, others, |other| &other.user_id)
        .add_phones(digits, wa_id, others)
        .add_all(AliasKind::ParentUserId, parent, others, |other| &other.parent_user_id)
        // Usernames don't tell capitals apart.
        .add(AliasKind::Username, username.map(|name| Cow::Owned(name.to_lowercase())));
    Some(Contact {
        phone: digits.map(|digits| ["+", digits].concat()),
        wa_id: wa_id.map(str::to_owned),
        user_id: user_id.map(str::to_owned),
        parent_user_id: parent.map(str::to_owned),
        username: username.map(str::to_owned),
        name: card.and_then(|card| card.name.as_deref()).map(str::to_owned),
        aliases: aliases.0,
    })
}

/// The names by which the person at an address is known, in the form in which those of inbound messages are
/// compared: who wrote from a phone is found by it.
#[must_use]
pub fn aliases_of(address: &Address) -> Vec<Alias> {
    let (kind, value) = match address {
        Address::Phone(phone) => {
            let digits = phone::digits(phone).unwrap_or(phone);
            (AliasKind::Phone, phone::matched(Cow::Borrowed(digits)))
        }
        Address::UserId(id) if is_parent_id(id) => (AliasKind::ParentUserId, Cow::Borrowed(id.as_str())),
        Address::UserId(id) => (AliasKind::UserId, Cow::Borrowed(id.as_str())),
    };
    vec![Alias { kind, value: value.into_owned() }]
}

/// True for the id of a linked portfolio, which has a part of its own behind the country: `US.ENT.1181`.
pub(crate) fn is_parent_id(id: &str) -> bool {
    id.split('.').nth(1).is_some_and(|part| part == "ENT")
}

/// True if both name a user id and not the same one.
fn differ(one: &Person<'_>, other: &Person<'_>) -> bool {
    one.user_id.is_some() && other.user_id.is_some() && one.user_id != other.user_id
}

/// The names of one person, each once.
#[derive(Default)]
struct Aliases(Vec<Alias>);

impl Aliases {
    fn add(mut self, kind: AliasKind, value: Option<Cow<'_, str>>) -> Self {
        let known = |value: &str| self.0.iter().any(|alias| alias.kind == kind && alias.value == value);
        if let Some(value) = value.filter(|value| !known(value)) {
            self.0.push(Alias { kind, value: value.into_owned() });
        }
        self
    }

    /// One's own id, and those of the others.
    fn add_all<'p, 'a: 'p>(
        self,
        kind: AliasKind,
        own: Option<&str>,
        others: &'p [Person<'a>],
        id: impl Fn(&'p Person<'a>) -> &'p Option<Cow<'a, str>>,
    ) -> Self {
        let aliases = self.add(kind, own.map(Cow::Borrowed));
        others
            .iter()
            .fold(aliases, |aliases, other| aliases.add(kind, id(other).as_deref().map(Cow::Borrowed)))
    }

    /// The same for phones, in the form in which they are compared.
    fn add_phones(self, digits: Option<&str>, wa_id: Option<&str>, others: &[Person<'_>]) -> Self {
        let others = others.iter().map(|other| other.phone.as_deref());
        [digits, wa_id].into_iter().chain(others).fold(self, |aliases, phone| {
            aliases.add(AliasKind::Phone, phone.map(|phone| phone::matched(Cow::Borrowed(phone))))
        })
    }
}
