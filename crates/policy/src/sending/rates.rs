//! What messages cost: a dated rate card, and a prepaid balance.
//!
//! Meta's prices hang on category and on the country of the recipient, and change with the quarter, so they are
//! data with a date and no code: the gateway reads the card from a file that the store downloads or writes
//! (<https://developers.facebook.com/docs/whatsapp/pricing>). Amounts are whole millionths of the currency, read
//! from decimal text: no float ever holds money. What a card says is an estimate; what Meta bills is told by
//! the `pricing` of each status.

use std::collections::BTreeSet;
use std::fmt;

use model::Pricing;
use serde::Deserialize;

/// An amount in millionths of a currency; `Micros(73_200)` is 0.0732.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Micros(pub i64);

impl Micros {
    const DIGITS: usize = 6;
    /// A thousand millions of a currency, and less than the numbers end.
    const WHOLE_DIGITS_MAX: usize = 9;

    /// An amount of 0 or more, such as `0.0732`, with up to six decimals; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, Self::WHOLE_DIGITS_MAX) || !digits(part, Self::DIGITS) {
            return None;
        }
        format!("{whole}{part:0<width$}", width = Self::DIGITS).parse().ok().map(Self)
    }

    /// So many times the amount.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        // Saturates: amounts are at most 10^15, so that only absurd counts get there.
        let count = if count > i64::MAX.unsigned_abs() { i64::MAX } else { count.cast_signed() };
        Self(self.0.saturating_mul(count))
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl TryFrom<String> for Micros {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| {
            format!("{text:?} is no price; write it in quotes with up to six decimals, such as \"0.0732\"")
        })
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// What Meta bills by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Templates that sell.
    Marketing,
    /// Templates about something that the customer did; free while the customer's window is open.
    Utility,
    /// One-time codes.
    Authentication,
    /// One-time codes to customers of some countries from businesses outside.
    AuthenticationInternational,
    /// Free-form messages.
    Service,
}

impl Category {
    /// The category that a word of Meta's names; `None` for a word that isn't known.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "marketing" | "marketing_lite" => Self::Marketing,
            "utility" => Self::Utility,
            "authentication" => Self::Authentication,
            "authentication-international" | "authentication_international" => {
                Self::AuthenticationInternational
            }
            "service" => Self::Service,
            _ => return None,
        })
    }
}

/// The prices of one market.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// The calling codes that it is known by, digits only: `852`, or `1787` within `1`.
    #[serde(default)]
    pub calling_codes: Vec<String>,
    /// Of a marketing message.
    pub marketing: Micros,
    /// Of a utility message outside the window.
    pub utility: Micros,
    /// Of an authentication message.
    pub authentication: Micros,
    /// Of an authentication message from abroad; as `authentication` where the card has none.
    #[serde(default)]
    pub authentication_international: Option<Micros>,
    /// Of a free-form message; free where the card has none.
    #[serde(default)]
    pub service: Micros,
}

impl Market {
    fn price(&self, category: Category) -> Micros {
        match category {
            Category::Marketing => self.marketing,
            Category::Utility => self.utility,
            Category::Authentication => self.authentication,
            Category::AuthenticationInternational => {
                self.authentication_international.unwrap_or(self.authentication)
            }
            Category::Service => self.service,
        }
    }
}

/// A rate card, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateCard {
    /// The first day that it holds for, `2026-10-01`.
    pub valid_from: String,
    /// The currency of all prices, `USD`.
    pub currency: String,
    /// So many service messages a calendar month and number cost nothing (from 2026-10-01: 1,000); 0 for none.
    #[serde(default)]
    pub free_service_per_month: u64,
    /// The markets with prices of their own.
    #[serde(default)]
    pub markets: Vec<Market>,
    /// Everywhere else; `None`: there the price isn't known.
    #[serde(default)]
    pub other: Option<Market>,
}

/// The longest calling code with its area: `1` and three digits, and some to spare.
const CALLING_CODE_DIGITS_MAX: usize = 7;

impl RateCard {
    /// Checks what the shape alone doesn't.
    ///
    /// # Errors
    /// What is wrong and where, for the person who wrote the file.
    pub fn check(&self) -> Result<(), String> {
        let date = self.valid_from.as_bytes();
        let is_date = date.len() == 10 && self.valid_from.parse::<jiff::civil::Date>().is_ok();
        if !is_date {
            return Err(format!("valid_from: {:?} is no date such as \"2026-10-01\"", self.valid_from));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("currency: {:?} is no currency such as \"USD\"", self.currency));
        }
        let mut seen = BTreeSet::new();
        for market in &self.markets {
            if market.calling_codes.is_empty() {
                return Err("markets: one of them has no calling_codes".to_owned());
            }
            for code in &market.calling_codes {
                let digits = code.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || !(1..=CALLING_CODE_DIGITS_MAX).contains(&code.len()) {
                    return Err(format!("calling_codes: {code:?} is none; write digits such as \"852\""));
                }
                if !seen.insert(code.as_str()) {
                    return Err(format!("calling_codes: {code:?} stands in two places"));
                }
            }
        }
        match &self.other {
            Some(other) if !other.calling_codes.is_empty() => {
                Err("other: it is for everywhere else, and takes no calling_codes".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The price of a message to `phone` (E.164, with or without its `+`; a calling code alone will do), by the
    /// longest calling code that it begins with; `None` where the card has none.
    #[must_use]
    pub fn price(&self, category: Category, phone: &str) -> Option<Micros> {
        let digits = phone.strip_prefix('+').unwrap_or(phone);
        let codes = self
            .markets
            .iter()
            .flat_map(|market| market.calling_codes.iter().map(move |code| (code, market)));
        let market = codes
            .filter(|(code, _)| digits.starts_with(code.as_str()))
            .max_by_key(|(code, _)| code.len())
            .map(|(_, market)| market)
            .or(self.other.as_ref());
        market.map(|market| market.price(category))
    }

    /// What a message cost by its status, given how many service messages that were charged for the number had
    /// gone before in this calendar month; `None` where the card doesn't know.
    ///
    /// Only what Meta calls `regular` costs anything.
    #[must_use]
    pub fn cost(&self, pricing: &Pricing, phone: &str, service_this_month: u64) -> Option<Micros> {
        if pricing.kind != "regular" {
            return Some(Micros(0));
        }
        let category = Category::parse(&pricing.category)?;
        if category == Category::Service && self.charged_service(service_this_month, 1) == 0 {
            return Some(Micros(0));
        }
        self.price(category, phone)
    }

    /// How many of `more` service messages cost something after `this_month` of them in the same calendar month.
    #[must_use]
    pub const fn charged_service(&self, this_month: u64, more: u64) -> u64 {
        more.saturating_sub(self.free_service_per_month.saturating_sub(this_month))
    }
}

/// The card that holds on a day (`2026-11-20`): the youngest that isn't of a later day.
#[must_use]
pub fn card_of<'a>(cards: &'a [RateCard], day: &str) -> Option<&'a RateCard> {
    let valid = cards.iter().filter(|card| card.valid_from.as_str() <= day);
    valid.max_by(|one, two| one.valid_from.cmp(&two.valid_from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card() -> RateCard {
        serde_json::from_str(
            r#"{ "valid_from": "2026-10-01", "currency": "USD", "free_service_per_month": 1000,
                 "markets": [
                   { "calling_codes": ["1"], "marketing": "0.025", "utility": "0.004", "authentication": "0.0135" },
                   { "calling_codes": ["1787", "1939"], "marketing": "0.074", "utility": "0.0113",
                     "authentication": "0.0113" },
                   { "calling_codes": ["852"], "marketing": "0.0732", "utility": "0.0113", "authentication": "0.0113",
                     "authentication_international": "0.05", "service": "0.001" } ],
                 "other": { "marketing": "0.0604", "utility": "0.0077", "authentication": "0.0304" } }"#,
        )
        .unwrap()
    }

    #[test]
    fn the_longest_calling_code_names_the_market() {
        let card = card();
        card.check().unwrap();
        for (phone, micros) in [
            ("+85261234567", 73_200),
            ("85261234567", 73_200),
            ("852", 73_200),
            ("+12025550123", 25_000),
            ("+17875550123", 74_000),
            ("+4930123456", 60_400),
            ("", 60_400),
        ] {
            assert_eq!(card.price(Category::Marketing, phone), Some(Micros(micros)), "{phone}");
        }
        let international = Category::AuthenticationInternational;
        assert_eq!(card.price(international, "+85261234567"), Some(Micros(50_000)));
        assert_eq!(card.price(international, "+12025550123"), Some(Micros(13_500)));
        assert_eq!(card.price(Category::Service, "+12025550123"), Some(Micros(0)));
        assert_eq!(RateCard { other: None, ..card }.price(Category::Marketing, "+4930123456"), None);
    }

    #[test]
    fn a_status_says_what_it_cost() {
        let card = card();
        let cost = |category: &str, kind: &str, before| {
            let pricing = Pricing { category: category.to_owned(), kind: kind.to_owned() };
            card.cost(&pricing, "+85261234567", before).map(|micros| micros.0)
        };
        assert_eq!(cost("marketing", "regular", 0), Some(73_200));
        assert_eq!(cost("utility", "free_customer_service", 0), Some(0));
        assert_eq!(cost("service", "regular", 999), Some(0));
        assert_eq!(cost("service", "regular", 1_000), Some(1_000));
        assert_eq!(cost("authentication-international", "regular", 0), Some(50_000));
        assert_eq!(cost("telepathy", "regular", 0), None);
        assert_eq!(card.charged_service(990, 25), 15);
        assert_eq!(card.charged_service(5_000, 25), 25);
        assert_eq!(card.charged_service(0, 1_000), 0);
    }

    #[test]
    fn the_youngest_card_that_holds_already_is_taken() {
        let dated = |date: &str| RateCard { valid_from: date.to_owned(), ..card() };
        let cards = [dated("2026-10-01"), dated("2027-01-01"), dated("2026-07-01")];
        let on = |day| card_of(&cards, day).map(|card| card.valid_from.as_str());
        assert_eq!(on("2026-12-31"), Some("2026-10-01"));
        assert_eq!(on("2027-01-01"), Some("2027-01-01"));
        assert_eq!(on("2026-09-30"), Some("2026-07-01"));
        assert_eq!(on("2026-06-30"), None);
    }

    #[test]
    fn a_faulty_card_says_where() {
        let card = card();
        for (faulty, word) in [
            (RateCard { valid_from: "2026-13-01".to_owned(), ..card.clone() }, "valid_from"),
            (RateCard { valid_from: "1 October".to_owned(), ..card.clone() }, "valid_from"),
            (RateCard { currency: "dollars".to_owned(), ..card.clone() }, "currency"),
            (
                RateCard { markets: vec![card.markets[0].clone(), card.markets[0].clone()], ..card.clone() },
                "two",
            ),
            (RateCard { markets: vec![Market::default()], ..card.clone() }, "no calling_codes"),
            (RateCard { other: Some(card.markets[0].clone()), ..card.clone() }, "other"),
        ] {
            assert!(faulty.check().unwrap_err().contains(word), "{word}");
        }
        let mut plus = card;
        plus.markets[0].calling_codes = vec!["+1".to_owned()];
        assert!(plus.check().unwrap_err().contains("\"+1\""));
        for text in [r#""0,07""#, r#""-1""#, r#""0.0000001""#, "0.07", r#""""#, r#"".5""#, r#""1.""#] {
            assert!(serde_json::from_str::<Micros>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn amounts_are_read_as_they_are_written(micros in 0..999_999_999_999_999_i64) {
            prop_assert_eq!(Micros::parse(&Micros(micros).to_string()), Some(Micros(micros)));
        }
    }
}
