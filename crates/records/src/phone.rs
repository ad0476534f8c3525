//! Phone numbers as WhatsApp writes them, and the form in which they are compared.
//!
//! WhatsApp names some people by two numbers: in Brazil with and without the ninth digit of
//! mobiles, in Mexico with and without the old mobile 1 after the country code, in Argentina with
//! the mobile 9, without it, or with the domestic 15. [`match_key`] folds each pair into one.
//! What is shown, stored or dialled is never rewritten.

mod written;

use std::borrow::Cow;

pub use written::{Region, Unread, read};

/// The most digits that are taken for a phone number. E.164 has 15; groups and tests have more.
const DIGITS_MAX: usize = 20;

/// The digits of a number as WhatsApp writes them: all digits, perhaps with a leading `+`. `None`
/// for anything else, which is then no phone number but an id.
///
/// # Examples
/// `"+85261234567"` and `"85261234567"` give `"85261234567"`; `"US.1349"` gives nothing.
#[must_use]
pub fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let fits = (1..=DIGITS_MAX).contains(&digits.len());
    (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// The digits of a number that is a label and may be punctuated, `+1 (555) 078-3881`; `None` if
/// anything else is in it, or no digit.
#[must_use]
pub fn label_digits(text: &str) -> Option<String> {
    // Some samples hold the invisible marks that direct right-to-left text around numbers.
    let dressing =
        |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '+' | '\u{a0}' | '\u{200e}' | '\u{200f}');
    if let Some(plain) = digits(text) {
        return Some(plain.to_owned());
    }
    if text.len() > 64 {
        return None;
    }
    let plain: String = text.chars().filter(|c| !dressing(*c)).collect();
    digits(&plain).map(str::to_owned)
}

/// The form in which two phone numbers are compared: the digits, with the variants of Brazil,
/// Mexico and Argentina folded into one. Only for comparing; it may be a number that nobody has.
///
/// Takes digits without `+`; anything else comes back as it is.
#[must_use]
pub fn match_key(digits: &str) -> String {
    folded(digits).unwrap_or_else(|| digits.to_owned())
}

/// [`match_key`] without a copy of what stays as it is.
pub(crate) fn matched(digits: Cow<'_, str>) -> Cow<'_, str> {
    folded(&digits).map_or(digits, Cow::Owned)
}

/// The key of a number that has variants.
fn folded(digits: &str) -> Option<String> {
    let key = if let Some(national) = digits.strip_prefix("55") {
        brazil(national)
    } else if let Some(national) = digits.strip_prefix("52") {
        mexico(national)
    } else if let Some(national) = digits.strip_prefix("54") {
        argentina(national)
    } else {
        None
    };
    key.map(|national| [&digits[..2], &national].concat())
}

/// Mobiles got a 9 before their eight digits between 2012 and 2016. Until then they began with 6
/// to 9, and landlines begin with 2 to 5 to this day: so 9 and a digit from 6 up is the longer form
/// of an old mobile, and 9 with a lower digit is a newer mobile that has no shorter form.
fn brazil(national: &str) -> Option<Cow<'_, str>> {
    let (area, subscriber) = national.split_at_checked(2)?;
    let old_mobile = subscriber.strip_prefix('9').filter(|rest| rest.len() == 8)?;
    let is_area = area.bytes().all(|digit| (b'1'..=b'9').contains(&digit));
    let has_short_form = old_mobile.starts_with(['6', '7', '8', '9']);
    (is_area && has_short_form).then(|| Cow::Owned(format!("{area}{old_mobile}")))
}

/// Until 2019 mobiles were dialled from abroad with a 1 before their ten digits, which never
/// begin with 0 or 1 themselves.
fn mexico(national: &str) -> Option<Cow<'_, str>> {
    let ten = national.strip_prefix('1').filter(|rest| rest.len() == 10)?;
    (!ten.starts_with(['0', '1'])).then_some(Cow::Borrowed(ten))
}

/// From abroad mobiles have a 9 before their ten digits; at home they have a 15 between area code
/// and subscriber number instead. How long an area code is only the numbering plan knows.
fn argentina(national: &str) -> Option<Cow<'_, str>> {
    match national.len() {
        11 => national.strip_prefix('9').map(Cow::Borrowed),
        12 => {
            let number = phonenumber::parse(Some(phonenumber::country::AR), format!("+54{national}")).ok()?;
            let folded = number.national().to_string();
            let ten = folded.strip_prefix('9').filter(|rest| rest.len() == 10)?;
            Some(Cow::Owned(ten.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use phonenumber::{Type, country};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_one_person_have_one_key() {
        for forms in [
            &["5511987654321", "551187654321"][..],
            &["5531971234567", "553171234567"],
            &["5215512345678", "525512345678"],
            &["5491123456789", "541123456789", "54111523456789"],
            &["5493511234567", "543511234567", "54351151234567"],
            &["5492966123456", "542966123456", "54296615123456"],
        ] {
            let keys: Vec<_> = forms.iter().map(|form| match_key(form)).collect();
            assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{forms:?} gave {keys:?}");
        }
    }

    #[test]
    fn other_numbers_stay_as_they_are() {
        for number in [
            "85261234567",
            "15555550101",
            "551131234567",
            "5511931234567",
            "5521900000123",
            "521234567890",
            "5211234567890",
            "55",
            "52",
            "54",
            "",
            "5",
            "549",
            "12345678901234567890",
            "55119",
            "5500987654321",
            "54112345678",
            "540000000000000",
        ] {
            assert_eq!(match_key(number), number);
        }
    }

    #[test]
    fn a_brazilian_landline_never_meets_a_mobile() {
        // Areas that the library knows, subscriber numbers through all leading digits.
        for area in 11..=99 {
            for lead in 20..=99 {
                let short = format!("55{area}{lead}123456");
                let long = format!("55{area}9{lead}123456");
                let number = phonenumber::parse(None, format!("+{short}")).unwrap();
                let landline = number.number_type(&phonenumber::metadata::DATABASE) == Type::FixedLine;
                if landline {
                    assert_ne!(match_key(&short), match_key(&long), "{short}");
                }
            }
        }
        let number = phonenumber::parse(Some(country::BR), "+551131234567").unwrap();
        assert_eq!(number.number_type(&phonenumber::metadata::DATABASE), Type::FixedLine);
    }

    #[test]
    fn labels_lose_their_dressing_and_ids_are_no_numbers() {
        assert_eq!(label_digits("+1 (555) 078-3881").as_deref(), Some("15550783881"));
        assert_eq!(label_digits("\u{200e}972987654321").as_deref(), Some("972987654321"));
        assert_eq!(label_digits("call me"), None);
        assert_eq!(label_digits("+"), None);
        assert_eq!(digits("+85261234567"), Some("85261234567"));
        for id in ["", "+", "US.1349", "1 2", "++1", "123456789012345678901", "١٢٣"] {
            assert_eq!(digits(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(digits in "(55|52|54|521|549)?[0-9]{0,15}") {
            let key = match_key(&digits);
            prop_assert_eq!(match_key(&key), key);
        }

        #[test]
        fn with_and_without_the_extra_digit_is_one_key(
            brazil in ("[1-9][1-9]", "[6-9][0-9]{7}"), mexico in "[2-9][0-9]{9}", argentina in "[1-9][0-9]{9}",
        ) {
            let (area, subscriber) = brazil;
            prop_assert_eq!(match_key(&format!("55{area}9{subscriber}")), match_key(&format!("55{area}{subscriber}")));
            prop_assert_eq!(match_key(&format!("521{mexico}")), match_key(&format!("52{mexico}")));
            prop_assert_eq!(match_key(&format!("549{argentina}")), match_key(&format!("54{argentina}")));
        }

        #[test]
        fn two_mobiles_of_an_area_are_never_one(
            area in "[1-9][1-9]", one in "9[0-9]{8}", other in "9[0-9]{8}",
        ) {
            prop_assume!(one != other);
            prop_assert_ne!(match_key(&format!("55{area}{one}")), match_key(&format!("55{area}{other}")));
        }

        #[test]
        fn numbers_of_other_countries_are_untouched(digits in "([1-4]|[6-9])[0-9]{5,14}") {
            prop_assert_eq!(match_key(&digits), digits);
        }
    }
}
