//! Identifiers that the box itself gives out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The box's own order of arrival.
///
/// Starts at 1, only ever grows and is never reused; gaps are normal. Written as 20 decimal
/// digits with leading zeros, so that the text form sorts like the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The place before the first record: reading "after" it reads everything.
    pub const START: Self = Self(0);

    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The 20 digits of the text form.
    #[must_use]
    pub fn digits(self) -> [u8; 20] {
        let mut digits = [b'0'; 20];
        let mut number = self.0;
        for digit in digits.iter_mut().rev() {
            // One digit.
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
        digits
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

impl FromStr for Sequence {
    type Err = ParseSequenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(ParseSequenceError),
        }
    }
}

/// A text that is no [`Sequence`]: something other than decimal digits, or more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sequence is a number of decimal digits")]
pub struct ParseSequenceError;

/// The box's own name for a person: `c-` and 26 characters of Crockford base 32 (a ULID).
///
/// Given at first sight and never changed. When two contacts turn out to be one person the older
/// id is the one that stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactId(String);

/// Crockford's base 32: no I, L, O or U, so that an id survives being read out on the telephone.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The 26 digits of 128 bits.
pub(crate) fn crockford(bits: u128) -> String {
    (0..26).rev().map(|place| char::from(CROCKFORD[((bits >> (5 * place)) & 31) as usize])).collect()
}

/// The bits of 26 digits; what is past 128 is lost.
pub(crate) fn from_crockford(digits: &str) -> Option<u128> {
    let digits = Some(digits).filter(|digits| digits.len() == 26)?;
    digits.bytes().try_fold(0_u128, |bits, digit| {
        let value = CROCKFORD.iter().position(|known| *known == digit)?;
        Some(bits << 5 | value as u128)
    })
}

impl ContactId {
    /// Makes the id of a person first seen at `ms` milliseconds since 1970, with 80 bits of
    /// `chance` to tell apart those seen in the same millisecond.
    #[must_use]
    pub fn new(ms: u64, chance: [u8; 10]) -> Self {
        let mut bits = u128::from(ms & 0xFFFF_FFFF_FFFF) << 80;
        for (place, byte) in chance.iter().rev().enumerate() {
            bits |= u128::from(*byte) << (8 * place);
        }
        Self::from_bits(bits)
    }

    /// The id whose 128 bits these are; the store keeps ids in this form.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("c-{}", crockford(bits)))
    }

    /// The 128 bits of the id; `None` where the text was never made from bits.
    #[must_use]
    pub fn to_bits(&self) -> Option<u128> {
        from_crockford(self.0.strip_prefix("c-")?)
    }

    /// Takes an id that the box wrote earlier, as it is.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_written_with_twenty_digits_and_read_with_any() {
        assert_eq!(Sequence(1234).to_string(), "00000000000000001234");
        for number in [0, 9, 10, 1_234, u64::MAX] {
            assert_eq!(Sequence(number).to_string().as_bytes(), Sequence(number).digits());
        }
        assert_eq!("00000000000000001234".parse(), Ok(Sequence(1234)));
        assert_eq!("0".parse(), Ok(Sequence::START));
        for bad in ["", "+1", "-1", "1x", " 1", "99999999999999999999"] {
            assert_eq!(bad.parse::<Sequence>(), Err(ParseSequenceError), "{bad:?}");
        }
    }

    #[test]
    fn contact_ids_sort_by_the_time_of_first_sight() {
        let early = ContactId::new(1_000, [0xFF; 10]);
        let late = ContactId::new(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().len(), 28);
        assert_eq!(late.to_bits().map(ContactId::from_bits), Some(late.clone()));
        assert_eq!(ContactId::new(0, [0; 10]).as_str(), "c-00000000000000000000000000");
    }
}
