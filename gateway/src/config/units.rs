//! Sizes and times as people write them: a whole number and its unit.

use std::time::Duration;

/// The units of a size, in bytes. Powers of 1024 first: they are what a message proposes.
const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// The units of a time, in milliseconds.
const TIMES: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a size such as `4GiB`, in bytes.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn size(text: &str) -> Result<u64, String> {
    quantity(text, "size", &SIZES, "B, KiB, MiB, GiB or TiB", "4GiB")
}

/// Reads a time such as `180d` or `1500ms`.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, "time", &TIMES, "ms, s, m (or min), h or d", "15m").map(Duration::from_millis)
}

fn quantity(
    text: &str,
    noun: &str,
    units: &[(&str, u64)],
    names: &str,
    example: &str,
) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if number.is_empty() {
        return Err(format!("a {noun} is a whole number and its unit, such as \"{example}\""));
    }
    if unit.is_empty() {
        return Err(format!("the unit is missing: write {names}, such as \"{example}\""));
    }
    if unit.starts_with(['.', ',', '_']) {
        return Err(format!("a {noun} is a whole number and its unit: take a smaller unit"));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(match nearest_unit(unit, units) {
            Some(name) => format!("there is no unit {unit:?}: did you mean \"{number}{name}\"?"),
            None => format!("there is no unit {unit:?}: write {names}"),
        });
    };
    number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(*factor))
        .ok_or_else(|| format!("this {noun} is too large to be counted"))
}

/// The unit that differs only by case, or is what the word begins with ("days", "GiBytes").
fn nearest_unit<'a>(unit: &str, units: &[(&'a str, u64)]) -> Option<&'a str> {
    let known = |wanted: &str| units.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let word = unit.trim_end_matches("ytes").trim_end_matches("yte");
    let spelled = match unit.to_ascii_lowercase().as_str() {
        "millis" | "msec" | "millisecond" | "milliseconds" => "ms",
        "sec" | "secs" | "second" | "seconds" => "s",
        "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "k" | "ki" => "KiB",
        "m" | "mi" => "MiB",
        "g" | "gi" => "GiB",
        "t" | "ti" => "TiB",
        _ => word,
    };
    known(spelled).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts_as_it_should() {
        for (text, bytes) in [
            ("0B", 0),
            ("7B", 7),
            ("3KiB", 3 * 1024),
            ("64 MiB", 64 << 20),
            ("4GiB", 4 << 30),
            ("1TiB", 1 << 40),
            ("2kB", 2_000),
            ("2KB", 2_000),
            ("2MB", 2_000_000),
            ("2GB", 2_000_000_000),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, millis) in [
            ("0ms", 0),
            ("1500ms", 1_500),
            ("10s", 10_000),
            ("15m", 900_000),
            ("15min", 900_000),
            ("1h", 3_600_000),
            ("180d", 180 * 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_told_how_to_become_one() {
        for (text, part) in [
            ("", "whole number and its unit, such as \"15m\""),
            ("fast", "whole number and its unit"),
            ("-5s", "whole number and its unit"),
            ("15", "the unit is missing: write ms, s, m (or min), h or d"),
            ("1.5h", "take a smaller unit"),
            ("3days", "did you mean \"3d\"?"),
            ("3 Sec", "did you mean \"3s\"?"),
            ("3D", "did you mean \"3d\"?"),
            ("3 lightyears", "there is no unit \"lightyears\": write"),
            ("99999999999999999999d", "too large"),
            ("9999999999999999999d", "too large"),
        ] {
            let said = duration(text).unwrap_err();
            assert!(said.contains(part), "{text:?}: {said}");
        }
        for (text, part) in [
            ("4", "write B, KiB, MiB, GiB or TiB"),
            ("4gib", "did you mean \"4GiB\"?"),
            ("4G", "did you mean \"4GiB\"?"),
            ("4GiBytes", "did you mean \"4GiB\"?"),
            ("18446744073709551615KiB", "too large"),
        ] {
            let said = size(text).unwrap_err();
            assert!(said.contains(part), "{text:?}: {said}");
        }
    }
}
