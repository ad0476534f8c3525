//! Texts with merge fields: `Hello ${lead.first_name|dear customer}, ...`.
//!
//! A field is `${name}`, or `${name|default}` where a default stands in for a value that is missing.
//! Names are small letters, digits and `_`, with dots between. `$${` is a `${` that is meant as such; any other
//! `$` is itself. A value is put in as it is: what looks like a field in it stays text.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Fault, shown};

/// Names to values.
pub type Fields = BTreeMap<String, String>;

/// The most fields in one text; with [`VALUE_MAX`] the bound of what a text can grow to.
pub const FIELDS_MAX: usize = 64;

/// The most characters of a value.
pub const VALUE_MAX: usize = 1_024;

/// A text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { name: String, default: Option<String> },
}

/// Reads a text.
///
/// # Errors
/// A field that isn't closed, that has no name, or a text with more than [`FIELDS_MAX`] of them. The pointer is
/// empty.
pub fn parse(text: &str) -> Result<Merge, Fault> {
    let fault = |detail: String| Err(Fault { pointer: String::new(), detail });
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("$${") {
            plain.push_str("${");
            rest = behind;
            continue;
        }
        let Some(inside) = rest.strip_prefix("${") else {
            plain.push('$');
            rest = &rest[1..];
            continue;
        };
        let Some((inside, behind)) = inside.split_once('}') else {
            return fault(format!("has a field that isn't closed: ${{{}", shown(inside)));
        };
        let (name, default) =
            inside.split_once('|').map_or((inside, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            let name = shown(name);
            return fault(format!("has a field that isn't named as fields are, `lead.first_name`: {name:?}"));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return fault(format!("has a field inside the default of {name}"));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Field { name: name.to_owned(), default: default.map(str::to_owned) });
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    let count = pieces.iter().filter(|piece| matches!(piece, Piece::Field { .. })).count();
    if count > FIELDS_MAX {
        return fault(format!("has {count} fields; {FIELDS_MAX} are allowed"));
    }
    Ok(Merge(pieces))
}

/// `[a-z0-9_]+(\.[a-z0-9_]+)*`
pub(super) fn is_name(name: &str) -> bool {
    name.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    })
}

impl Merge {
    /// The names of its fields.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(Piece::name).collect()
    }

    /// The text with the values in their places. A value of white space only is none: a letter to
    /// "Dear ," is worse than no letter.
    ///
    /// # Errors
    /// The fields that have neither value nor default, and the values that are too long: each once, at
    /// `/fields/{name}`.
    pub fn fill(&self, fields: &Fields) -> Result<String, Vec<Fault>> {
        let mut faults: BTreeMap<&str, String> = BTreeMap::new();
        let mut text = String::new();
        for piece in &self.0 {
            let (name, default) = match piece {
                Piece::Text(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Piece::Field { name, default } => (name, default),
            };
            let value = fields.get(name).filter(|value| !value.trim().is_empty());
            match value.or(default.as_ref()) {
                Some(value) if value.len() > VALUE_MAX && value.chars().count() > VALUE_MAX => {
                    faults.insert(name, "has more than 1,024 characters".to_owned());
                }
                Some(value) => text.push_str(value),
                None => _ = faults.insert(name, "is missing, and the text has no default for it".to_owned()),
            }
        }
        if faults.is_empty() {
            return Ok(text);
        }
        let fault = |(name, detail)| Fault { pointer: format!("/fields/{name}"), detail };
        Err(faults.into_iter().map(fault).collect())
    }
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Field { name, .. } => Some(name),
            Self::Text(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn filled(text: &str, pairs: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let merge = parse(text).map_err(|fault| vec![fault.detail])?;
        merge.fill(&fields(pairs)).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    #[test]
    fn values_defaults_and_escapes_are_put_in() {
        let ana = [("lead.first_name", "Ana"), ("price", "$5 ${x} $${y}"), ("blank", " \n")];
        for (text, expected) in [
            ("Hello ${lead.first_name}!", "Hello Ana!"),
            ("${lead.first_name|friend}${nobody|friend}", "Anafriend"),
            ("${blank|friend}, ${nobody|}.", "friend, ."),
            ("It costs ${price}.", "It costs $5 ${x} $${y}."),
            ("$5, $${lead.first_name}, $$, $$${a", "$5, ${lead.first_name}, $$, $${a"),
            ("", ""),
        ] {
            assert_eq!(filled(text, &ana).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_hole_is_named_and_never_left_empty() {
        let faults = filled("${b} ${a.c} ${b} ${blank}", &[("blank", "")]).unwrap_err();
        assert_eq!(faults, ["/fields/a.c", "/fields/b", "/fields/blank"]);
        let long = "x".repeat(VALUE_MAX + 1);
        assert_eq!(filled("${a}", &[("a", &long)]).unwrap_err(), ["/fields/a"]);
        assert!(filled("${a}", &[("a", &long[1..])]).is_ok());
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for text in ["${", "${a", "${}", "${A}", "${a b}", "${.a}", "${a.}", "${a..b}", "${|x}", "${a|${b}}"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"${a}".repeat(FIELDS_MAX)).is_ok());
        assert!(parse(&"${a}".repeat(FIELDS_MAX + 1)).is_err());
    }

    proptest! {
        /// Taken apart by another way: whatever the values hold, what stands around them stays.
        #[test]
        fn values_stay_text(
            pieces in proptest::collection::vec(("[^$]{0,5}", "[a-c]"), 0..6), end in "[^$]{0,5}",
            values in proptest::collection::vec("[${}|a-c]{0,6}[a-c]", 3),
        ) {
            let fields = ["a", "b", "c"].iter().zip(&values).map(|(name, value)| ((*name).to_owned(), value.clone()));
            let fields: Fields = fields.collect();
            let text: String = pieces.iter().map(|(plain, name)| format!("{plain}${{{name}}}")).collect::<String>() + &end;
            let expected: String =
                pieces.iter().map(|(plain, name)| format!("{plain}{}", fields[name])).collect::<String>() + &end;
            let merge = parse(&text).unwrap();
            prop_assert_eq!(merge.fill(&fields).unwrap(), expected);
            prop_assert_eq!(merge.fields(), pieces.iter().map(|(_, name)| name.as_str()).collect::<BTreeSet<_>>());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([$|{}a.]|\\PC){0,30}") {
            if let Ok(merge) = parse(&text) {
                let all = merge.fields().into_iter().map(|name| (name.to_owned(), "x".to_owned())).collect();
                prop_assert!(merge.fill(&all).is_ok());
                prop_assert_eq!(merge.fill(&Fields::new()).is_ok() || !merge.fields().is_empty(), true);
            }
        }
    }
}
