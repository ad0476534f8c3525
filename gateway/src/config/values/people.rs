//! Values that name people's things: zones and telephone numbers.

use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::super::keys::Key;
use super::calling_codes::may_be_e164;
use super::{Fault, Read, as_text, wrong_type};

pub(in super::super) fn timezone(_: &Key, value: &DeValue<'_>) -> Read<TimeZone> {
    let text = as_text(value, "a time zone in quotes")?;
    // The database in the program, not the machine's: a box has to count as the desk did.
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    zones.get(&text).map_err(|_| {
        let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
        Fault::new(format!("there is no time zone {text:?}"))
            .help_nearest(&text, names.iter().map(String::as_str))
    })
}

/// A phone number in E.164.
pub(in super::super) fn phone(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "a phone number in quotes")?;
    let shape = "such as \"+85291234567\"";
    let digits = text.strip_prefix('+');
    if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) {
        let fault = Fault::new("a phone number is \"+\", country code and number, digits only");
        let bare: String = text.chars().filter(char::is_ascii_digit).collect();
        let proposed = format!("+{bare}");
        return Err(match may_be_e164(&proposed) {
            true => fault.help(format!("did you mean \"{proposed}\"?")),
            false => fault.help(shape),
        });
    }
    if may_be_e164(&text) {
        Ok(text)
    } else {
        Err(Fault::new("this is no phone number of any country").help(shape))
    }
}

pub(in super::super) fn digits(_: &Key, value: &DeValue<'_>) -> Read<String> {
    if let Some(number) = value.as_integer() {
        return Err(wrong_type("text in quotes", value).help(format!("\"{number}\"")));
    }
    let text = as_text(value, "digits in quotes")?;
    if text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 32 {
        Ok(text)
    } else {
        Err(Fault::new("an id of Meta's is digits only, at most 32").help("such as \"106540352242922\""))
    }
}
