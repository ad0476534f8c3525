//! The rate card that `costs.rate_card` names.
//!
//! It is a file of its own, because prices change with the quarter and the configuration doesn't, and because a
//! mistake in a price must not stop a shop: `check` refuses it, and the gateway starts without prices.

use std::path::Path;

use model::WallTime;
use policy::sending::{RateCard, rates};

use super::reader::Reader;
use super::types::Config;
use super::{Problems, Source, load, sections, syntax, unknown};

/// Reads the cards of a file.
///
/// # Errors
/// With everything that is wrong with it.
pub fn read(file: &Path) -> Result<Vec<RateCard>, Problems> {
    match load::read(file, super::keys::Form::RateCard) {
        Ok(text) => parse(Source::rate_card(file, text)),
        Err(message) => Err(Problems::of_file(Source::rate_card(file, String::new()), message)),
    }
}

/// The same for a text that has been read already.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse(source: Source) -> Result<Vec<RateCard>, Problems> {
    let mended = syntax::mend(&source);
    let parsed = syntax::parse(&source, &mended);
    let misplaced = unknown::misplaced(source.form, &parsed.table);
    let mut excused = misplaced.excused;
    if !parsed.problems.is_empty() {
        excused.push(String::new());
    }
    let reader = Reader::new(&source, &|_| None, excused);
    let cards = sections::cards(&reader.root(&parsed.table));
    let list = load::together(&source, parsed, misplaced.problems, reader.into_problems());
    let problems = Problems::new(source, list);
    match cards {
        Some(cards) if !problems.refuse() => Ok(cards),
        _ => Err(problems),
    }
}

impl Config {
    /// The rate card that holds at `now` by the first number's calendar, or by UTC without one; `None` where no
    /// card is of today or earlier.
    #[must_use]
    pub fn rates(&self, now: WallTime) -> Option<RateCard> {
        let zone =
            self.numbers.first().map(|number| number.timezone.clone()).unwrap_or(jiff::tz::TimeZone::UTC);
        let today = jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone).date().to_string();
        rates::card_of(&self.costs.cards, &today).cloned()
    }
}
