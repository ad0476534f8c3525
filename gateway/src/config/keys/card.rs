//! The keys of a rate card: one card, or several in `[[cards]]`.

use super::Fallback::{Is, Otherwise, Required};
use super::Kind::{Integer, Shaped, Texts};
use super::list::key;
use super::{Key, MANY};

/// What a price looks like: text, because no float may hold money.
const PRICE: super::Kind = Shaped("price in quotes, `\"0.0732\"`");

/// The keys of a card, for each place where one may stand.
macro_rules! cards {
    ($($at:literal),*) => {
        &[$(
            key(
                concat!($at, "valid_from"),
                Shaped("date in quotes, `\"2026-10-01\"`"),
                Required,
                "the first day that the card holds for; of several the youngest that isn't of a later day counts",
            ),
            key(
                concat!($at, "currency"),
                Shaped("three capital letters"),
                Required,
                "the currency of all its prices, such as `USD`",
            ),
            key(
                concat!($at, "free_service_per_month"),
                Integer(0, MANY),
                Is("0"),
                "so many service messages a calendar month and number cost nothing",
            ),
            key(
                concat!($at, "markets[].calling_codes"),
                Texts,
                Required,
                "the calling codes of the market, digits only; the longest that a number begins with counts",
            ),
            key(concat!($at, "markets[].marketing"), PRICE, Required, "of a marketing message"),
            key(concat!($at, "markets[].utility"), PRICE, Required, "of a utility message outside the window"),
            key(concat!($at, "markets[].authentication"), PRICE, Required, "of a one-time code"),
            key(
                concat!($at, "markets[].authentication_international"),
                PRICE,
                Otherwise("as `authentication`"),
                "of a one-time code from abroad",
            ),
            key(concat!($at, "markets[].service"), PRICE, Is("\"0\""), "of a free-form message"),
            key(concat!($at, "other.marketing"), PRICE, Required, "the same everywhere else"),
            key(concat!($at, "other.utility"), PRICE, Required, "the same everywhere else"),
            key(concat!($at, "other.authentication"), PRICE, Required, "the same everywhere else"),
            key(
                concat!($at, "other.authentication_international"),
                PRICE,
                Otherwise("as `authentication`"),
                "the same everywhere else",
            ),
            key(concat!($at, "other.service"), PRICE, Is("\"0\""), "the same everywhere else"),
        )*]
    };
}

/// All keys of a rate card.
pub static CARD_KEYS: &[Key] = cards!("", "cards[].");
