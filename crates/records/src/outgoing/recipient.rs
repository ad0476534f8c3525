//! Whom a message goes to.

use model::{Address, ContactId};

use super::fault::{Faults, shown};
use super::look::Look;
use crate::identity::is_usable;
use crate::json::Sort;
use crate::phone::{self, Region, Unread};

/// Whom a message goes to, as the request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A phone or a user id.
    Address(Address),
    /// One of the box's contacts: the address is whatever the box knows of that person.
    Contact(ContactId),
}

/// Reads `to`: a phone, a user id or a contact.
pub(super) fn to(
    look: &Look<'_, '_, '_>,
    region: impl Fn() -> Option<Region>,
    faults: &mut Faults,
) -> Option<To> {
    let text = match look.value.sort() {
        Sort::Text | Sort::Number => look.value.text().unwrap_or_default(),
        Sort::Object | Sort::Array | Sort::Bool | Sort::Null => {
            faults.add(&look.place, format!("is {}; {EXPECTED}", look.sort_name()));
            return None;
        }
    };
    let text = text.trim();
    if let Some(bits) = text.strip_prefix("c-") {
        let contact = ContactId::from_stored(text.to_owned());
        // One spelling each, or two texts would be one person.
        let known = contact.to_bits().filter(|bits| ContactId::from_bits(*bits) == contact);
        if known.is_none() {
            faults.add(
                &look.place,
                format!("is no contact id: {:?} aren't 26 digits of Crockford's base 32", shown(bits)),
            );
        }
        return known.map(|_| To::Contact(contact));
    }
    if is_user_id(text) {
        return Some(To::Address(Address::UserId(text.to_owned())));
    }
    // With its plus a number means the same everywhere.
    let region = if text.starts_with('+') { None } else { region() };
    match phone::read(text, region) {
        Ok(phone) => Some(To::Address(Address::Phone(phone))),
        Err(unread) => {
            faults.add(&look.place, why(&unread));
            None
        }
    }
}

const EXPECTED: &str = "a phone number such as \"+85261234567\", a user id such as \"US.1349\" or a contact id \
                        \"c-...\" is expected";

fn why(unread: &Unread) -> String {
    match unread {
        Unread::NotANumber => format!("is no phone number, user id or contact id; {EXPECTED}"),
        Unread::Ambiguous(found) => {
            format!("may be {}; write the number with its + and country code", found.join(" or "))
        }
        Unread::Impossible(tried) => format!("is nobody's number; tried as {}", tried.join(", ")),
        Unread::NoRegion => {
            "has no country code, and it isn't known in which country to read it: write it with its + and country \
             code, or name the number that sends in `from`"
                .to_owned()
        }
    }
}

/// Reads `recipient`, where Meta takes a user id only.
pub(super) fn recipient(look: &Look<'_, '_, '_>, faults: &mut Faults) -> Option<To> {
    let id = look.value.text().filter(|id| look.value.sort() == Sort::Text && is_usable(id));
    if id.is_none() {
        faults.add(
            &look.place,
            "is no user id: 1 to 256 visible characters of ASCII, such as \"US.1349\", are expected",
        );
    }
    id.map(|id| To::Address(Address::UserId(id.into_owned())))
}

/// True for a business-scoped user id: a country and a dot before what Meta chooses. Some were seen with
/// the word `user` instead of the country.
fn is_user_id(text: &str) -> bool {
    text.split_once('.').is_some_and(|(lead, rest)| {
        let is_country = lead.len() == 2 && lead.bytes().all(|byte| byte.is_ascii_alphabetic());
        (is_country || lead == "user") && !rest.is_empty() && is_usable(text)
    })
}
