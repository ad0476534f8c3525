//! Strangers' words made fit for a terminal, and times made short.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// Characters of a stranger's text that are looked at; a line on a screen shows fewer.
const CHARACTERS_MAX: usize = 500;

/// `text` without what would steer a terminal: no control characters, nothing that turns the
/// direction of writing, and white space of any kind as single spaces.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(4 * CHARACTERS_MAX));
    for character in text.chars().take(CHARACTERS_MAX) {
        if character.is_whitespace() {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !steers(character) {
            clean.push(character);
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks of direction (isolates, embeddings, overrides), invisible operators, the byte
            // order mark, annotations, and tags. Joiners stay: names in Hindi and emoji need them.
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// How many cells of a terminal `text` takes.
#[must_use]
pub fn cells(text: &str) -> usize {
    text.width()
}

/// `text` cut to `most` cells, with `…` where something is missing.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if cells(text) <= most {
        return text.to_owned();
    }
    // Whole prefixes are measured, since a character can change the width of the one before it.
    let ends = text.char_indices().map(|(end, _)| end);
    let end = ends.take_while(|end| cells(&text[..*end]) < most).last().unwrap_or_default();
    let mut short = text[..end].trim_end().to_owned();
    if most > 0 {
        short.push('…');
    }
    short
}

/// `text` cut to `width` cells and filled up with spaces.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let mut fitted = cut(text, width);
    let missing = width.saturating_sub(cells(&fitted));
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

/// A time in as few figures as tell something: `0.84 ms`, `12 ms`, `3.1 s`, `2 min 5 s`.
#[must_use]
pub fn time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1_000.0;
    // Bounds lie where the next coarser form begins to round up.
    if ms < 0.995 {
        format!("{ms:.2} ms")
    } else if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 99_950.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// Minutes and seconds on a stopwatch: `0:07`.
#[must_use]
pub fn stopwatch(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// A number and its noun: `1 record`, `2 records`, `2 replies`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number} {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(harmless("\u{1b}[2J\u{7}Hi\r\n\tthere \u{9b}31m "), "[2JHi there 31m");
        assert_eq!(harmless("a\u{202e}b\u{2066}c\u{feff}d\u{2028}e"), "abcd e");
        assert_eq!(harmless("प्रिया \u{200d}\u{1f44d}\u{1f3fd}"), "प्रिया \u{200d}\u{1f44d}\u{1f3fd}");
        assert_eq!(harmless(&"x".repeat(100_000)).len(), CHARACTERS_MAX);
    }

    #[test]
    fn what_is_wide_counts_twice() {
        assert_eq!(cut("陳大文", 6), "陳大文");
        assert_eq!(cut("陳大文", 5), "陳大…");
        assert_eq!(cut("陳大文", 4), "陳…");
        assert_eq!(fit("陳", 4), "陳  ");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn nouns_follow_their_numbers() {
        for (number, noun, text) in
            [(0, "record", "0 records"), (1, "reply", "1 reply"), (2, "reply", "2 replies")]
        {
            assert_eq!(count(number, noun), text);
        }
    }

    #[test]
    fn times_are_short() {
        for (us, text) in [
            (0, "0.00 ms"),
            (840, "0.84 ms"),
            (999, "1.0 ms"),
            (9_960, "10 ms"),
            (123_400, "123 ms"),
            (999_600, "1.0 s"),
            (6_340_000, "6.3 s"),
            (125_000_000, "2 min 5 s"),
        ] {
            assert_eq!(time(Duration::from_micros(us)), text);
        }
        assert_eq!(stopwatch(Duration::from_secs(125)), "2:05");
    }

    proptest! {
        #[test]
        fn what_is_cut_and_cleaned_fits_and_steers_nothing(text in "\\PC{0,40}|.{0,40}", width in 0_usize..50) {
            let clean = harmless(&text);
            prop_assert!(!clean.chars().any(char::is_control));
            prop_assert!(cells(&cut(&clean, width)) <= width);
            prop_assert_eq!(cells(&fit(&clean, width)), width);
        }
    }
}
