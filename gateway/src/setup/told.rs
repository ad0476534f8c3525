//! What the check says, put beside the fields that it's about.

use std::collections::BTreeMap;

use super::fields;

/// What is wrong with what was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// By field.
    pub(super) beside: BTreeMap<&'static str, String>,
    /// What belongs to no field, in the check's own words.
    pub(super) other: String,
}

/// Takes the words of `wagate check` apart: each mistake begins with `error:` and its key, and ends with an empty
/// line. Warnings are left out where there are mistakes.
pub(super) fn told(words: &str) -> Told {
    let mut told = Told::default();
    for one in words.split("\n\n").filter(|one| !one.starts_with("warning: ") && !one.trim().is_empty()) {
        match beside(one) {
            Some((name, text)) => {
                let said = told.beside.entry(name).or_default();
                if !said.is_empty() {
                    said.push(' ');
                }
                said.push_str(&text);
            }
            None if one.starts_with("error: ") => {
                told.other.push_str(one);
                told.other.push_str("\n\n");
            }
            // The count alone says nothing.
            None => {}
        }
    }
    if told == Told::default() {
        words.clone_into(&mut told.other);
    }
    told
}

fn beside(one: &str) -> Option<(&'static str, String)> {
    let mut lines = one.lines();
    let said = lines.next()?.strip_prefix("error: ")?;
    let field = fields::all().find(|field| {
        let rest = said.strip_prefix(field.key);
        // Also one entry of a list, `network.dns[1]`.
        rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with('['))
    })?;
    let message = said.split_once(": ").map_or(said, |(_, message)| message);
    let mut letters = message.chars();
    let message: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let help = lines.find_map(|line| line.trim_start().strip_prefix("= "));
    let help = help.map_or(String::new(), |help| format!(" ({help})"));
    Some((field.name, format!("{message}{help}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_stand_beside_their_fields_and_the_rest_as_it_is() {
        let words = "error: numbers[0].phone: this is no number\n --> wagate.toml:3:1\n  |\n3 | phone = \"1\"\n  | ^^^\n  = like \"+852\"\n\n\
            warning: api.listen: something\n --> wagate.toml\n\n\
            error: network.dns[1]: no address\n --> wagate.toml:9:1\n\n\
            error: webhook.path: odd\n --> wagate.toml:4:1\n\nwagate.toml: 3 mistakes, 1 warning\n";
        let told = told(words);
        assert_eq!(told.beside["phone"], "This is no number (like \"+852\")");
        assert_eq!(told.beside["dns"], "No address");
        assert_eq!(told.beside.len(), 2);
        assert!(told.other.starts_with("error: webhook.path: odd"), "{}", told.other);
        assert!(!told.other.contains("warning"));
        assert!(!told.other.contains("3 mistakes"));
    }

    #[test]
    fn other_words_are_told_as_they_are() {
        let words = "it is right, and can't be kept: the data partition refuses: full\n";
        assert_eq!(told(words), Told { beside: BTreeMap::new(), other: words.to_owned() });
    }
}
