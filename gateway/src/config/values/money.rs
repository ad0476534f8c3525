//! Amounts of money.

use policy::sending::Micros;
use toml::de::DeValue;

use super::super::keys::Key;
use super::{Fault, Read, as_text};

/// An amount of 0 or more, in millionths of the currency that the file speaks of.
pub(in super::super) fn amount(_: &Key, value: &DeValue<'_>) -> Read<Micros> {
    let example = "such as \"0.0732\"";
    let number = value.as_float().map(toml::de::DeFloat::as_str);
    let number = number.or_else(|| value.as_integer().map(toml::de::DeInteger::as_str));
    if let Some(number) = number {
        return Err(Fault::new("an amount stands in quotes: so it is counted exactly")
            .help(format!("write \"{number}\"")));
    }
    let text = as_text(value, &format!("an amount in quotes, {example},"))?;
    Micros::parse(&text).ok_or_else(|| {
        let fault = Fault::new(format!("{text:?} is no amount"));
        if Micros::parse(&text.replacen(',', ".", 1)).is_some() {
            fault.help("the decimals stand behind a full stop")
        } else {
            fault.help(format!("digits with up to six decimals, {example}; no sign, no currency"))
        }
    })
}
