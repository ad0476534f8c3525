//! The store's own numbers.

use std::collections::BTreeMap;

use model::Account;

/// The configured numbers: `phone_number_id` to the phone in E.164, `+85291234567`.
///
/// A number that is configured without its phone has an empty one. They decide
/// `account.configured`, and fill `account.phone` where the payload doesn't tell.
#[derive(Debug, Clone, Default)]
pub struct Numbers(BTreeMap<String, String>);

impl Numbers {
    /// The phone of the configured number that an item belongs to. What concerns a number without
    /// naming its id (its quality, its name) names its phone.
    pub(crate) fn find(&self, account: &Account) -> Option<&str> {
        match (&account.phone_number_id, &account.phone) {
            (Some(id), _) => self.0.get(id).map(String::as_str),
            (None, Some(phone)) => self.0.values().find(|own| *own == phone).map(String::as_str),
            (None, None) => None,
        }
    }

    /// Whether a number is configured.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The phone of a configured number, empty where it has none.
    pub(crate) fn phone(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// The configured ids.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The id of the configured number with that phone in E.164.
    pub(crate) fn id_of(&self, phone: &str) -> Option<&str> {
        self.0.iter().find(|(_, own)| *own == phone).map(|(id, _)| id.as_str())
    }
}

impl<Id: Into<String>, Phone: Into<String>> FromIterator<(Id, Phone)> for Numbers {
    fn from_iter<I: IntoIterator<Item = (Id, Phone)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(id, phone)| (id.into(), phone.into())).collect())
    }
}
