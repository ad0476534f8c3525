//! Turns one TOML value into one checked value, or says what would be right.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use reqwest::Url;
use reqwest::header::HeaderName;
use toml::de::DeValue;

use super::keys::{Key, Kind};
use super::types::WhatsAppEndpoint;
use super::units;
use super::unknown::nearest;

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

pub(super) fn listen(_: &Key, value: &DeValue<'_>) -> Read<SocketAddr> {
    let wanted = "an IP address and a port, such as \"0.0.0.0:443\" or \"[::]:443\",";
    let text = as_text(value, wanted)?;
    text.parse().map_err(|_| {
        let fault = Fault::new(format!("{text:?} is not an IP address and a port"));
        match text.strip_prefix("localhost:") {
            Some(port) => fault.help(format!("did you mean \"127.0.0.1:{port}\"?")),
            None if text.parse::<std::net::IpAddr>().is_ok() => fault.help("the port is missing"),
            None if text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()) => {
                fault.help(format!("did you mean \"0.0.0.0{text}\"?"))
            }
            None => fault.help("such as \"0.0.0.0:443\" or \"[::]:443\""),
        }
    })
}

pub(super) fn url(_: &Key, value: &DeValue<'_>) -> Read<Url> {
    let text = as_text(value, "an address in quotes")?;
    let shape = "such as \"https://crm.example.com/wagate\"";
    if !text.contains("://") {
        let fault = Fault::new("this is no whole URL");
        let proposed = format!("https://{text}");
        return Err(match Url::parse(&proposed) {
            Ok(_) if !text.contains(':') => fault.help(format!("did you mean \"{proposed}\"?")),
            _ => fault.help(shape),
        });
    }
    let url = Url::parse(&text).map_err(|error| Fault::new(format!("not a URL: {error}")).help(shape))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::new(format!("{:?} is not http or https", url.scheme())).help(shape));
    }
    // The parser itself refuses http and https without a host.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("a URL must not hold a user or a password"));
    }
    if url.fragment().is_some() {
        return Err(Fault::new("a URL must not hold a fragment: what follows `#` is never sent"));
    }
    Ok(url)
}

/// The path of a URL, without query.
pub(super) fn fixed_url_path(_: &Key, value: &DeValue<'_>) -> Read<String> {
    url_path(value, "")
}

/// The same, in which the phone number id may have its place.
pub(super) fn number_url_path(_: &Key, value: &DeValue<'_>) -> Read<String> {
    url_path(value, WhatsAppEndpoint::NUMBER)
}

fn url_path(value: &DeValue<'_>, placeholder: &str) -> Read<String> {
    let text = as_text(value, "a path in quotes")?;
    if !text.starts_with('/') {
        return Err(Fault::new("a path begins with a slash").help("such as \"/webhook\""));
    }
    let fixed = if placeholder.is_empty() { text.clone() } else { text.replace(placeholder, "") };
    if let Some(odd) = fixed.chars().find(|c| !(c.is_ascii_alphanumeric() || "/-._~".contains(*c))) {
        return Err(Fault::new(format!("{odd:?} has no place in this path"))
            .help("letters, digits, `/`, `-`, `.`, `_` and `~`"));
    }
    if text.split('/').skip(1).any(|part| matches!(part, "." | "..")) || text.contains("//") {
        return Err(Fault::new("a path holds no `//`, `/./` or `/../`"));
    }
    Ok(text)
}

pub(super) fn timezone(_: &Key, value: &DeValue<'_>) -> Read<TimeZone> {
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
pub(super) fn phone(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "a phone number in quotes")?;
    let shape = "such as \"+85291234567\"";
    let digits = text.strip_prefix('+');
    if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) {
        let fault = Fault::new("a phone number is \"+\", country code and number, digits only");
        let bare: String = text.chars().filter(char::is_ascii_digit).collect();
        let proposed = format!("+{bare}");
        return Err(match is_e164(&proposed) {
            true => fault.help(format!("did you mean \"{proposed}\"?")),
            false => fault.help(shape),
        });
    }
    if is_e164(&text) {
        Ok(text)
    } else {
        Err(Fault::new("this is no phone number of any country").help(shape))
    }
}

/// Whether a number could be dialled: a country has it, or has numbers of that length at least.
fn is_e164(text: &str) -> bool {
    phonenumber::parse(None, text)
        .is_ok_and(|number| number.format().mode(phonenumber::Mode::E164).to_string() == text)
}

pub(super) fn digits(_: &Key, value: &DeValue<'_>) -> Read<String> {
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

pub(super) fn header(_: &Key, value: &DeValue<'_>) -> Read<HeaderName> {
    let text = as_text(value, "the name of a header in quotes")?;
    HeaderName::try_from(&text).map_err(|_| {
        Fault::new(format!("{text:?} is not the name of a header")).help("such as \"D360-API-KEY\"")
    })
}

pub(super) fn contact(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "an address in quotes")?;
    let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    match address {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(text),
        _ if text.contains('@') && !text.contains(':') => {
            Err(Fault::new("`mailto:` is missing").help(format!("did you mean \"mailto:{text}\"?")))
        }
        _ => Err(Fault::new("this is no mail address").help("such as \"mailto:it@example.com\"")),
    }
}

/// A name of the DNS, without a dot at the end.
pub(super) fn host(text: &str) -> Read<()> {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
        Ok(())
    } else {
        Err(Fault::new(format!("{text:?} is not a host name")).help("such as \"box.example.com\""))
    }
}
