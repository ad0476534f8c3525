//! Where webhooks go instead of to the app's own URL: a number's override beats the account's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Target;

/// Numbers with an override; further ones go where the account's webhooks go.
pub const OVERRIDES_MAX: usize = 1_000;

/// The overrides of one account. Clones share them; a sender asks at every attempt, so that what
/// failed at one URL is sent again to another.
#[derive(Debug, Clone, Default)]
pub struct Redirects(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    numbers: BTreeMap<String, Override>,
    account: Option<Override>,
}

#[derive(Debug)]
struct Override {
    url: String,
    target: Arc<Target>,
}

impl Redirects {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where webhooks about this number go; `None` for the app's own URL.
    #[must_use]
    pub fn target(&self, number: &str) -> Option<Arc<Target>> {
        let held = self.held();
        let held = held.numbers.get(number).or(held.account.as_ref());
        held.map(|held| Arc::clone(&held.target))
    }

    /// The override of this number itself.
    #[must_use]
    pub fn number_url(&self, number: &str) -> Option<String> {
        self.held().numbers.get(number).map(|held| held.url.clone())
    }

    /// The override of the account.
    #[must_use]
    pub fn account_url(&self) -> Option<String> {
        self.held().account.as_ref().map(|held| held.url.clone())
    }

    /// Sets the override of a number, or takes it away.
    pub fn set_number(&self, number: &str, to: Option<(String, Target)>) {
        let mut held = self.held();
        match to {
            Some((url, target))
                if held.numbers.len() < OVERRIDES_MAX || held.numbers.contains_key(number) =>
            {
                held.numbers.insert(number.to_owned(), Override { url, target: Arc::new(target) });
            }
            Some(_) => {}
            None => drop(held.numbers.remove(number)),
        }
    }

    /// Sets the override of the account, or takes it away.
    pub fn set_account(&self, to: Option<(String, Target)>) {
        self.held().account = to.map(|(url, target)| Override { url, target: Arc::new(target) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str) -> Option<(String, Target)> {
        Some((url.to_owned(), Target::parse(url).unwrap()))
    }

    #[test]
    fn a_number_beats_the_account_and_the_account_the_app() {
        let redirects = Redirects::default();
        let path = |number: &str| redirects.target(number).map(|target| target.path.to_string());
        assert_eq!(path("1"), None);
        redirects.set_account(to("http://a/account"));
        redirects.set_number("1", to("http://a/number"));
        assert_eq!((path("1").as_deref(), path("2").as_deref()), (Some("/number"), Some("/account")));
        assert_eq!(redirects.number_url("1").as_deref(), Some("http://a/number"));
        redirects.set_number("1", None);
        assert_eq!(path("1").as_deref(), Some("/account"));
        redirects.set_account(None);
        assert_eq!((path("1"), redirects.account_url()), (None, None));
    }

    #[test]
    fn overrides_are_bounded() {
        let redirects = Redirects::default();
        for number in 0..=OVERRIDES_MAX {
            redirects.set_number(&number.to_string(), to("http://a/b"));
        }
        assert!(redirects.target("0").is_some() && redirects.target(&OVERRIDES_MAX.to_string()).is_none());
    }
}
