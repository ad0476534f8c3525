//! Phone numbers as people write them: `+852 6123-4567`, `0085261234567`, `(0)151 12345678`.
//!
//! The numbering plan decides what a number without a country code means. A number that may be two
//! people's is refused, and so is one that can't be anybody's: a message to the wrong person can't be
//! taken back.
//!
//! The plan's tables are read at the first number and take some 5 MiB of memory from then on.

use std::collections::BTreeSet;

use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, PhoneNumber, country};

use super::{DIGITS_MAX, match_key};

/// The longest text that is read; the longest number with all its dressing has half of that.
const TEXT_MAX: usize = 64;

/// The digits of numbers in E.164, country code included. The shortest are those of small islands.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Where a number without a country code is at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// The region of a number in E.164, `+85291234567`; `None` where no country has such a code. Of
    /// countries that share a code and can't be told apart by the number, the main one.
    #[must_use]
    pub fn of(phone: &str) -> Option<Self> {
        let number = phonenumber::parse(None, phone).ok()?;
        let main = || DATABASE.region(&number.code().value())?.first()?.parse().ok();
        number.country().id().or_else(main).map(Self)
    }
}

/// Why a text is no phone number to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// There are other signs in it than a number has.
    NotANumber,
    /// It may be any of these.
    Ambiguous(Vec<String>),
    /// Nobody has such a number; these were tried.
    Impossible(Vec<String>),
    /// It has no country code, and no region to read it in was given.
    NoRegion,
}

/// Reads a number in any written form to E.164 with its `+`.
///
/// With a `+` it is read as it stands, without a trunk prefix such as the 0 of `+44 (0)20`. Without one
/// it is a number of `region`, or one as it is dialled there to abroad, if the plan knows such a number; else the
/// digits of a number after `00`, or whose `+` was left out. (The other way round eleven digits of a
/// mobile in Porto Alegre would be somebody's in Peru.) The variants of Brazil, Mexico and Argentina
/// stay as they are written.
///
/// # Errors
/// See [`Unread`].
pub fn read(text: &str, region: Option<Region>) -> Result<String, Unread> {
    let (is_international, digits) = undressed(text).ok_or(Unread::NotANumber)?;
    if is_international {
        // Whoever writes the country code knows it: a new range of numbers, or one for films, may be in no plan.
        return international(&digits)
            .filter(Number::is_possible)
            .map(|number| number.e164())
            .ok_or_else(|| Unread::Impossible(vec![format!("+{digits}")]));
    }
    let mut tried = BTreeSet::new();
    let mut found = BTreeSet::new();
    // What has the right length and fits none of the plan's patterns.
    let mut likely = BTreeSet::new();
    let mut consider = |attempt: String, number: Option<Number>| {
        tried.insert(attempt);
        let number = number.filter(Number::is_possible);
        if number.as_ref().is_some_and(Number::is_valid) {
            found.extend(number.map(|number| number.e164()));
        } else {
            likely.extend(number.map(|number| number.e164()));
        }
        !found.is_empty()
    };
    if let Some(Region(region)) = region {
        let number = phonenumber::parse(Some(region), &digits).ok().map(Number::Parsed);
        let nobodys = || format!("{digits} in {}", region.as_ref());
        if consider(number.as_ref().map_or_else(nobodys, Number::e164), number) {
            return found.pop_first().ok_or(Unread::NotANumber);
        }
    }
    let abroad = digits.strip_prefix("00").unwrap_or(&digits);
    let attempt = format!("+{abroad}");
    // Where not even the plus was written nothing else may have to be guessed.
    let number = international(abroad).filter(|number| abroad != digits || number.e164() == attempt);
    consider(attempt, number);
    // Numbers of films and tests have the right length only. They may be meant where there is no choice.
    if found.is_empty() && (likely.len() > 1 || tried.len() == 1) {
        found = likely;
    }
    match (found.len(), region) {
        (0, None) if abroad == digits => Err(Unread::NoRegion),
        (0, _) => Err(Unread::Impossible(tried.into_iter().collect())),
        (1, _) => found.pop_first().ok_or(Unread::NotANumber),
        _ => Err(Unread::Ambiguous(found.into_iter().collect())),
    }
}

/// The digits of a number in ASCII, and whether a `+` stands before them; `None` if anything else is
/// in it than what numbers are dressed with.
fn undressed(text: &str) -> Option<(bool, String)> {
    let text = text.trim();
    if text.len() > TEXT_MAX {
        return None;
    }
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let (mut is_international, mut digits) = (false, String::with_capacity(text.len()));
    for sign in text.chars() {
        match sign {
            '+' | '\u{ff0b}' if digits.is_empty() && !is_international => is_international = true,
            ' ' | '-' | '.' | '(' | ')' | '/' | '\t' => {}
            // Spaces and hyphens of typesetters, and the invisible marks that direct text around numbers.
            '\u{a0}' | '\u{2000}'..='\u{2015}' | '\u{202a}'..='\u{202f}' | '\u{2060}'..='\u{2069}' => {}
            '\u{2212}' | '\u{3000}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}' => {}
            _ => digits.push(ascii_digit(sign)?),
        }
    }
    let is_number = (3..=DIGITS_MAX).contains(&digits.len());
    is_number.then_some((is_international, digits))
}

/// A digit of the scripts that telephones are written in.
fn ascii_digit(sign: char) -> Option<char> {
    // ASCII, Arabic, Persian, Devanagari, full width.
    let zeros = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}'];
    let value = zeros
        .into_iter()
        .find_map(|zero| u32::from(sign).checked_sub(u32::from(zero)).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

/// A reading of some digits.
enum Number {
    /// As the plan says.
    Parsed(PhoneNumber),
    /// One of several forms that WhatsApp has of the same person, as it was written.
    Variant(String),
}

/// Reads digits that begin with a country code.
fn international(digits: &str) -> Option<Number> {
    if E164_DIGITS.contains(&digits.len()) && match_key(digits) != digits {
        return Some(Number::Variant(format!("+{digits}")));
    }
    phonenumber::parse(None, format!("+{digits}")).ok().map(Number::Parsed)
}

impl Number {
    fn e164(&self) -> String {
        match self {
            Self::Parsed(number) => format!("+{}{}", number.code().value(), number.national()),
            Self::Variant(e164) => e164.clone(),
        }
    }

    /// True if it has a length that numbers there have; quickly told.
    fn is_possible(&self) -> bool {
        let Self::Parsed(number) = self else { return true };
        let digits = number.national().to_string().len();
        let regions = DATABASE.by_code(&number.code().value()).unwrap_or_default();
        regions.iter().any(|plan| has_length(plan, digits)) && E164_DIGITS.contains(&(self.e164().len() - 1))
    }

    /// True if it fits one of the plan's patterns.
    fn is_valid(&self) -> bool {
        match self {
            Self::Parsed(number) => number.is_valid(),
            Self::Variant(_) => true,
        }
    }
}

/// Whether a country has numbers of so many digits that somebody may have WhatsApp on.
fn has_length(plan: &Metadata, digits: usize) -> bool {
    let sorts = plan.descriptors();
    [sorts.mobile(), sorts.fixed_line(), sorts.voip(), sorts.personal_number()]
        .into_iter()
        .flatten()
        .any(|sort| sort.possible_length().iter().any(|length| usize::from(*length) == digits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(phone: &str) -> Option<Region> {
        Some(Region::of(phone).unwrap())
    }

    #[test]
    fn any_written_form_is_read() {
        for (home, text, e164) in [
            ("+85291234567", "+852 6123-4567", "+85261234567"),
            ("+85291234567", "+85261234567", "+85261234567"),
            ("+85291234567", "0085261234567", "+85261234567"),
            ("+85291234567", "001 852 6123 4567", "+85261234567"),
            ("+85291234567", "6123 4567", "+85261234567"),
            ("+85291234567", "85261234567", "+85261234567"),
            ("+85291234567", "tel:+852-6123-4567", "+85261234567"),
            (
                "+85291234567",
                "\u{ff0b}\u{ff18}\u{ff15}\u{ff12} \u{ff16}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}",
                "+85261234567",
            ),
            ("+85291234567", "\u{202a}+852\u{a0}6123\u{2011}4567\u{202c}", "+85261234567"),
            ("+85291234567", "4915112345678", "+4915112345678"),
            ("+4915112345678", "(0)151 12345678", "+4915112345678"),
            ("+4915112345678", "0151/1234 5678", "+4915112345678"),
            ("+4915112345678", "+49 (0) 151 12345678", "+4915112345678"),
            ("+4915112345678", "0049 0151 12345678", "+4915112345678"),
            ("+442079460958", "+44 (0)20 7946 0958", "+442079460958"),
            ("+442079460958", "020 7946 0958", "+442079460958"),
            ("+390612345678", "06 1234 5678", "+390612345678"),
            ("+14155552671", "(415) 555-2671", "+14155552671"),
            ("+14155552671", "1-415-555-2671", "+14155552671"),
            ("+14155552671", "011 852 6123 4567", "+85261234567"),
            // Somebody's in Norway, in Peru and on the Cook Islands, too, with a plus.
            ("+14155552671", "479 234 5678", "+14792345678"),
            ("+5511987654321", "51 98765-4321", "+5551987654321"),
            ("+85291234567", "6822 2345", "+85268222345"),
            // Numbers of tests and films.
            ("+15550142277", "+1 555 555 0101", "+15555550101"),
            ("+15550142277", "15555550101", "+15555550101"),
            ("+85291234567", "+447700900123", "+447700900123"),
            // Stay as they are written.
            ("+5511987654321", "+55 11 98765-4321", "+5511987654321"),
            ("+5511987654321", "+55 11 8765-4321", "+551187654321"),
            ("+5511987654321", "(11) 98765-4321", "+5511987654321"),
            ("+5215512345678", "+521 55 1234 5678", "+5215512345678"),
            ("+525512345678", "55 1234 5678", "+525512345678"),
            ("+5491123456789", "+54 9 11 2345-6789", "+5491123456789"),
            (
                "+971501234567",
                "\u{660}\u{665}\u{660} \u{661}\u{662}\u{663} \u{664}\u{665}\u{666}\u{667}",
                "+971501234567",
            ),
        ] {
            assert_eq!(read(text, region(home)).as_deref(), Ok(e164), "{text} in the region of {home}");
        }
    }

    #[test]
    fn what_is_no_number_or_nobodys_or_two_peoples_is_refused() {
        let home = region("+85291234567");
        for text in [
            "",
            "+",
            "call me",
            "6123 4567 x",
            "++85261234567",
            "852+61234567",
            "1",
            &"1".repeat(30),
            "6123 4567 ext. 5",
        ] {
            assert_eq!(read(text, home), Err(Unread::NotANumber), "{text}");
        }
        for text in [
            "+852 6123",
            "+999 1234 5678",
            "+0085261234567",
            "12345",
            "+85261234567890",
            "00 00 1",
            "1234 5678",
        ] {
            assert!(matches!(read(text, home), Err(Unread::Impossible(_))), "{text}: {:?}", read(text, home));
        }
        // A mistyped number at home that with a plus, and without its 0, would be somebody's in Germany.
        assert!(matches!(read("490 234 5678", region("+14155552671")), Err(Unread::Impossible(_))));
        assert_eq!(read("6123 4567", None), Err(Unread::NoRegion));
        assert_eq!(read("+85261234567", None).as_deref(), Ok("+85261234567"));
        assert_eq!(read("0085261234567", None).as_deref(), Ok("+85261234567"));
        // It has the right length only, at home and in Germany.
        assert_eq!(
            read("491 000 0000", region("+14155552671")),
            Err(Unread::Ambiguous(vec!["+14910000000".to_owned(), "+4910000000".to_owned()]))
        );
        assert!(Region::of("+999123").is_none() && Region::of("").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([+0-9 ()./-]|\\PC){0,30}", home in "[+](852|1|44|49|55|52|54|39|7)[0-9]{4,10}") {
            for home in [None, Region::of(&home)] {
                if let Ok(e164) = read(&text, home) {
                    prop_assert!(e164.starts_with('+') && super::super::digits(&e164).is_some());
                    // What was read once reads the same everywhere.
                    prop_assert_eq!(read(&e164, None), Ok(e164.clone()));
                }
            }
        }

        /// A number with its plus means the same wherever the store is.
        #[test]
        fn a_plus_leaves_no_choice(digits in "[0-9]{5,15}", home in "[+](852|1|44|49|55)[0-9]{6,9}") {
            let text = format!("+{digits}");
            prop_assert_eq!(read(&text, Region::of(&home)), read(&text, None));
        }
    }
}
