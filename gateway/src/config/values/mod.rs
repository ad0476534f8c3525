//! Turns one TOML value into one checked value, or says what would be right.

mod addresses;
mod calling_codes;
mod clients;
mod money;
pub(super) mod network;
mod people;
mod relays;

use std::time::Duration;

use toml::de::DeValue;

use super::keys::{Key, Kind};
use super::units;

use super::unknown::nearest;
pub(super) use addresses::{
    contact, fixed_url_path, header, host, label_or_host, listen, number_url_path, public_url, url,
};
pub(super) use clients::{choices, client_name};
pub(super) use money::amount;
pub(super) use people::{digits, phone, timezone};
pub(super) use relays::relays;

/// What is wrong with a value, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// No value is longer than this, in characters: an address of 2,000 still works everywhere.
const LONGEST: usize = 2000;

type Read<T> = Result<T, Fault>;

fn wrong_type(wanted: &str, value: &DeValue<'_>) -> Fault {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Fault::new(format!("this is {found}, where {wanted} is needed"))
}

/// Text as the file has it, which must not be empty.
pub(super) fn text(_: &Key, value: &DeValue<'_>) -> Read<String> {
    as_text(value, "text in quotes")
}

fn as_text(value: &DeValue<'_>, wanted: &str) -> Read<String> {
    match value.as_str() {
        Some("") => Err(Fault::new("this is empty")),
        Some(text) if text.contains(char::is_control) => {
            Err(Fault::new("this holds a control character, such as a line break"))
        }
        Some(text) if text.chars().count() > LONGEST => Err(Fault::new("this is too long to be right")),
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong_type(wanted, value)),
    }
}

/// A list of texts, each one once.
pub(super) fn texts(_: &Key, value: &DeValue<'_>) -> Read<Vec<String>> {
    let Some(array) = value.as_array() else {
        return Err(wrong_type("a list of texts", value));
    };
    let mut list: Vec<String> = Vec::new();
    for entry in array.iter() {
        let text = as_text(entry.get_ref(), "text in quotes")?;
        if list.contains(&text) {
            return Err(Fault::new(format!("{text:?} is in the list twice")));
        }
        list.push(text);
    }
    if list.is_empty() {
        return Err(Fault::new("the list is empty"));
    }
    Ok(list)
}

pub(super) fn flag(_: &Key, value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| {
        let fault = wrong_type("true or false", value);
        if value.is_str() { fault.help("without quotes") } else { fault }
    })
}

/// A whole number within the key's range.
pub(super) fn integer(key: &Key, value: &DeValue<'_>) -> Read<u64> {
    let Some(number) = value.as_integer() else {
        return Err(match value.as_str() {
            Some(text) if text.parse::<u64>().is_ok() => {
                wrong_type("a whole number", value).help("without quotes")
            }
            _ => wrong_type("a whole number", value),
        });
    };
    let Kind::Integer(low, high) = key.kind else { unreachable!("only asked for integer keys") };
    match u64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(Fault::new(format!("{number} is out of range")).help(format!("allowed: {low} to {high}"))),
    }
}

/// A number of 0 to 1.
pub(super) fn share(_: &Key, value: &DeValue<'_>) -> Read<f64> {
    let decimal = value.as_integer().filter(|number| number.radix() == 10).map(toml::de::DeInteger::as_str);
    let Some(text) = decimal.or_else(|| value.as_float().map(toml::de::DeFloat::as_str)) else {
        return Err(wrong_type("a number of 0 to 1", value));
    };
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| Fault::new("this is out of range").help("allowed: 0 to 1, a share; 0.8 is 80 %"))
}

/// A size within the key's range, in bytes.
pub(super) fn size(key: &Key, value: &DeValue<'_>) -> Read<u64> {
    let Kind::Size(low, high) = key.kind else { unreachable!("only asked for size keys") };
    let size = quantity(value, "size", "\"4GiB\"", &["MiB", "GiB"], units::size)?;
    in_range(size, low, high, units::size)
}

/// A time within the key's range.
pub(super) fn time(key: &Key, value: &DeValue<'_>) -> Read<Duration> {
    let Kind::Time(low, high) = key.kind else { unreachable!("only asked for time keys") };
    let time = quantity(value, "time", "\"15m\"", &["ms", "s", "m", "h", "d"], units::duration)?;
    in_range(time, low, high, units::duration)
}

/// A time within the key's range; `None`: the word that may stand in its place.
pub(super) fn word_or_time(key: &Key, value: &DeValue<'_>) -> Read<Option<Duration>> {
    let Kind::WordOrTime(word, low, high) = key.kind else { unreachable!("only asked for such keys") };
    match value.as_str() {
        Some(text) if text == word => Ok(None),
        Some(text) if !text.starts_with(|first: char| first.is_ascii_digit()) => {
            Err(Fault::new(format!("{text:?} is neither \"{word}\" nor a time"))
                .help(format!("\"{word}\", or a time such as \"6h\"")))
        }
        _ => {
            let time = quantity(value, "time", "\"6h\"", &["h", "d"], units::duration)?;
            in_range(time, low, high, units::duration).map(Some)
        }
    }
}

fn quantity<T>(
    value: &DeValue<'_>,
    noun: &str,
    example: &str,
    proposed: &[&str],
    parse: fn(&str) -> Result<T, String>,
) -> Read<T> {
    if let Some(number) = value.as_integer() {
        let forms: Vec<String> = proposed.iter().map(|unit| format!("\"{number}{unit}\"")).collect();
        return Err(Fault::new(format!("a {noun} needs its unit"))
            .help(format!("write {}, whichever is meant", forms.join(" or "))));
    }
    let text = as_text(value, &format!("a {noun} such as {example}"))?;
    parse(&text).map_err(Fault::new)
}

fn in_range<T: PartialOrd>(value: T, low: &str, high: &str, parse: fn(&str) -> Result<T, String>) -> Read<T> {
    let bound = |text| parse(text).expect("a test parses every bound");
    if (bound(low)..=bound(high)).contains(&value) {
        Ok(value)
    } else {
        Err(Fault::new("this is out of range").help(format!("allowed: {low} to {high}")))
    }
}

/// The place of a word among those that the key allows.
pub(super) fn choice(key: &Key, value: &DeValue<'_>) -> Read<usize> {
    let Kind::Choice(words) = key.kind else { unreachable!("only asked for choice keys") };
    let listed = || words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let text = as_text(value, &format!("one of {}", listed()))?;
    words.iter().position(|word| *word == text).ok_or_else(|| {
        let fault = Fault::new(format!("{text:?} is not one of {}", listed()));
        fault.help_nearest(&text, words.iter().copied())
    })
}

impl Fault {
    fn help_nearest<'a>(self, text: &str, words: impl Iterator<Item = &'a str>) -> Self {
        match nearest(text, words) {
            Some(word) => self.help(format!("did you mean \"{word}\"?")),
            None => self,
        }
    }
}
