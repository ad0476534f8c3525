//! Timestamps in any form that has been seen.

use model::WallTime;

use crate::json::Value;

/// From here on a number of seconds is taken for milliseconds (as seconds: the year 5138; as
/// milliseconds: 1973).
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// From here on milliseconds are taken for microseconds, by the same reasoning.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// From here on it is no time at all.
const NONSENSE_FROM: i64 = 100_000_000_000_000_000;

/// Reads seconds, milliseconds or microseconds since 1970, as a number or as a text; `None` for
/// anything else and for what isn't after 1970.
pub(crate) fn instant(value: Value<'_, '_>) -> Option<WallTime> {
    let whole = match value.digits() {
        Some(digits) => digits,
        None => value.number().map(|number| number.split_once('.').map_or(number, |(whole, _)| whole))?,
    };
    match whole.parse::<i64>().ok()? {
        ..=0 | NONSENSE_FROM.. => None,
        micros @ MICROSECONDS_FROM.. => Some(WallTime(micros / 1_000)),
        millis @ MILLISECONDS_FROM.. => Some(WallTime(millis)),
        seconds => Some(WallTime::from_seconds(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Doc;

    #[test]
    fn every_form_is_read_and_garbage_is_none() {
        for (json, ms) in [
            (r#""1771000399""#, Some(1_771_000_399_000)),
            ("1771000399", Some(1_771_000_399_000)),
            ("1771000399.5", Some(1_771_000_399_000)),
            ("1771000399042", Some(1_771_000_399_042)),
            (r#""1771000399042""#, Some(1_771_000_399_042)),
            ("1771000399042000", Some(1_771_000_399_042)),
            ("99999999999", Some(99_999_999_999_000)),
            ("0", None),
            ("-5", None),
            ("1e9", None),
            (r#""""#, None),
            (r#""yesterday""#, None),
            ("99999999999999999999999", None),
            ("true", None),
            ("[1771000399]", None),
        ] {
            let doc = Doc::parse(json).unwrap();
            assert_eq!(instant(doc.root()), ms.map(WallTime), "{json}");
        }
    }
}
