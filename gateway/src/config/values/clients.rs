//! Values of the API's clients.

use toml::de::DeValue;

use super::super::keys::{Key, Kind};
use super::super::types::Api;
use super::{Fault, Read, as_text, texts, wrong_type};

/// A short name that is easily told apart in a log.
pub(in super::super) fn client_name(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "a name in quotes")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= Api::NAME_MAX && text.bytes().all(fits) {
        return Ok(text);
    }
    let most = Api::NAME_MAX;
    Err(Fault::new(format!("{text:?} is no name of a client"))
        .help(format!("1 to {most} of a-z, 0-9 and `-`, such as \"crm\"")))
}

/// The places of words among those that the key allows; each word once, and at least one.
pub(in super::super) fn choices(key: &Key, value: &DeValue<'_>) -> Read<Vec<usize>> {
    let Kind::Choices(words) = key.kind else { unreachable!("only asked for such keys") };
    let listed = || words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    if !value.is_array() {
        return Err(wrong_type(&format!("a list of {}", listed()), value));
    }
    let place = |text: String| {
        words.iter().position(|word| *word == text).ok_or_else(|| {
            let fault = Fault::new(format!("{text:?} is not one of {}", listed()));
            fault.help_nearest(&text, words.iter().copied())
        })
    };
    texts(key, value)?.into_iter().map(place).collect()
}
