//! Which telephone numbers there may be: enough to catch a number that was mistyped.
//!
//! The whole numbering plan (the crate `phonenumber`) knows more, and costs 5.7 MiB of memory for as
//! long as the program runs. The tests hold this table against it.

use std::ops::RangeInclusive;

/// Digits of a number, country code included: E.164 allows 15, and the shortest are those of small
/// islands (+290 and four digits).
const DIGITS: RangeInclusive<usize> = 7..=15;

/// Country codes behind which no number begins with 0: there it is what one dials at home before the
/// number, and the mistake is to write it here too.
#[rustfmt::skip]
const TRUNK_ZERO: [u16; 102] = [
    20, 27, 31, 32, 33, 40, 41, 43, 44, 46, 49, 51, 53, 54, 55, 57, 58, 60, 61, 62,
    63, 64, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98, 211, 212, 213, 218, 231, 232,
    233, 234, 243, 249, 250, 251, 252, 254, 255, 256, 260, 261, 263, 264, 265, 291, 353, 355, 358, 359,
    370, 373, 374, 375, 377, 380, 381, 382, 383, 385, 386, 387, 389, 421, 423, 508, 591, 593, 594, 595,
    596, 598, 686, 850, 855, 856, 880, 886, 961, 962, 963, 964, 966, 967, 970, 971, 972, 976, 977, 994,
    995, 996,
];

/// All other country codes.
#[rustfmt::skip]
const OTHERS: [u16; 113] = [
    1, 7, 30, 34, 36, 39, 45, 47, 48, 52, 56, 65, 216, 220, 221, 222, 223, 224, 225, 226,
    227, 228, 229, 230, 235, 236, 237, 238, 239, 240, 241, 242, 244, 245, 246, 247, 248, 253, 257, 258,
    262, 266, 267, 268, 269, 290, 297, 298, 299, 350, 351, 352, 354, 356, 357, 371, 372, 376, 378, 420,
    500, 501, 502, 503, 504, 505, 506, 507, 509, 590, 592, 597, 599, 670, 672, 673, 674, 675, 676, 677,
    678, 679, 680, 681, 682, 683, 685, 687, 688, 689, 690, 691, 692, 800, 808, 852, 853, 870, 878, 881,
    882, 883, 888, 960, 965, 968, 973, 974, 975, 979, 992, 993, 998,
];

/// Whether `text` has the shape of a number in E.164 of a country that there is.
pub(super) fn may_be_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    let plain = DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    // No code begins with another, so the first that fits is the one.
    plain
        && (1..=3).any(|length| {
            let (code, number) = digits.split_at(length);
            code.parse().is_ok_and(|code: u16| {
                OTHERS.contains(&code) || (TRUNK_ZERO.contains(&code) && !number.starts_with('0'))
            })
        })
}

#[cfg(test)]
mod tests {
    use phonenumber::Mode;
    use phonenumber::metadata::DATABASE;

    use super::*;

    fn as_the_plan_sees_it(text: &str) -> bool {
        let number = phonenumber::parse(None, text);
        number.is_ok_and(|number| number.format().mode(Mode::E164).to_string() == text)
    }

    #[test]
    fn the_codes_are_those_of_the_plan() {
        for code in 1..1000 {
            let known = TRUNK_ZERO.contains(&code) || OTHERS.contains(&code);
            assert_eq!(known, DATABASE.region(&code).is_some(), "+{code}");
        }
    }

    #[test]
    fn every_number_that_the_plan_gives_as_an_example_is_one() {
        let mut examples = 0;
        for country in DATABASE.iter() {
            for number in [country.descriptors().mobile(), country.descriptors().fixed_line()] {
                let Some(example) = number.and_then(phonenumber::metadata::Descriptor::example) else {
                    continue;
                };
                let text = format!("+{}{example}", country.country_code());
                assert!(may_be_e164(&text), "{text}");
                examples += 1;
            }
        }
        assert!(examples > 300, "{examples}");
    }

    #[test]
    fn a_zero_from_home_is_no_part_of_the_number() {
        for code in TRUNK_ZERO {
            assert!(may_be_e164(&format!("+{code}25551234")));
            assert!(!may_be_e164(&format!("+{code}025551234")));
            // The plan's reader lets these two pass; their numbers never begin with 0 either.
            let seen = ["5551234", "6121212"].map(|rest| as_the_plan_sees_it(&format!("+{code}0{rest}")));
            assert!(seen != [true, true] || [44, 61].contains(&code), "+{code}");
        }
        assert!(may_be_e164("+390612345678"), "in Italy they do begin with 0");
        assert!(may_be_e164("+2250712345678"), "and in Ivory Coast");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "+",
            "85291234567",
            "+852912",
            "+8529123456789012",
            "+2101234567",
            "+85 291234567",
            "+999123456789",
        ] {
            assert!(!may_be_e164(text), "{text}");
        }
    }
}
