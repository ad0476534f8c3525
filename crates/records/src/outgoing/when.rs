//! Points in time as requests write them.

use model::WallTime;

use super::fault::Faults;
use super::look::Look;
use crate::json::Sort;

/// Reads an RFC 3339 time in any zone, `2026-11-20T22:43:15+08:00`.
pub(super) fn read(look: &Look<'_, '_, '_>, faults: &mut Faults) -> Option<WallTime> {
    let text = look.value.text().filter(|_| look.value.sort() == Sort::Text);
    let time = text.and_then(|text| rfc3339(&text));
    if time.is_none() {
        faults.add(&look.place, "is no time; RFC 3339 is expected, such as \"2026-11-20T22:43:15+08:00\"");
    }
    time
}

fn rfc3339(text: &str) -> Option<WallTime> {
    let digits = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let signs = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if !signs.iter().all(|(at, sign)| text.get(*at..at + 1) == Some(*sign)) {
        return None;
    }
    if !matches!(text.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    // A leap second is the first of the next minute.
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let last = if month == 2 {
        28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
    } else {
        30 + i64::from([1, 3, 5, 7, 8, 10, 12].contains(&month))
    };
    if !(1..=12).contains(&month) || !(1..=last).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction = rest.strip_prefix('.').map_or("", |rest| {
        rest.split_once(|sign: char| !sign.is_ascii_digit()).map_or(rest, |(digits, _)| digits)
    });
    let zone = if rest.starts_with('.') { rest.get(1 + fraction.len()..)? } else { rest };
    if rest.starts_with('.') && fraction.is_empty() {
        return None;
    }
    let ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(WallTime((seconds - offset(zone)?) * 1_000 + ms))
}

/// The seconds that a zone is ahead: `Z`, `+08:00`.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |digits: &str, most: i64| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| plain && *number <= most)
    };
    let seconds = two(hours, 23)? * 3_600 + two(minutes, 59)? * 60;
    match zone.as_bytes().first()? {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Days since 1970: `days_from_civil` of <https://howardhinnant.github.io/date_algorithms.html>, for the
/// years from 0.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_any_zone_are_read_and_others_are_not() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-20T22:43:15Z", Some(1_795_214_595_000)),
            ("2026-11-21T06:43:15+08:00", Some(1_795_214_595_000)),
            ("2026-11-20t19:13:15.0425-03:30", Some(1_795_214_595_042)),
            ("2028-02-29 12:00:00z", Some(1_835_438_400_000)),
            ("2026-02-29T12:00:00Z", None),
            ("2026-13-01T12:00:00Z", None),
            ("2026-11-20T24:00:00Z", None),
            ("2026-11-20T22:43:15", None),
            ("2026-11-20T22:43:15.Z", None),
            ("2026-11-20T22:43:15+8", None),
            ("2026-11-20", None),
            ("tomorrow", None),
            ("é026-11-20T22:43:15Z", None),
        ] {
            assert_eq!(rfc3339(text), ms.map(WallTime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_box_writes_it_reads(ms in -62_167_219_200_000_i64..253_402_207_200_000) {
            prop_assert_eq!(rfc3339(&WallTime(ms).rfc3339_millis()), Some(WallTime(ms)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([0-9]{4}-[0-9]{2}-[0-9]{2}T)?\\PC{0,20}") {
            rfc3339(&text);
        }
    }
}
