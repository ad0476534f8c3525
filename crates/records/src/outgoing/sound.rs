//! What holds for every request, whatever it says: that two readers read the same in it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::fault::{Fault, Faults, Place};
use super::look::Look;
use crate::json::{Doc, Sort, Value};

/// The largest request, in bytes. The largest message that Meta takes, a list of contacts with all that
/// there is to say about them, has some 100,000.
pub const BODY_MAX: usize = 256 * 1024;

/// The deepest nesting; Meta's deepest objects, a carousel's parameters, have some 12 levels.
pub const DEPTH_MAX: usize = 32;

/// Reads JSON that is to be handed on.
pub(super) fn parse(body: &[u8]) -> Result<Doc<'_>, Vec<Fault>> {
    let fault = |detail: &str| Err(vec![Fault { pointer: String::new(), detail: detail.to_owned() }]);
    if body.len() > BODY_MAX {
        return fault("has more than 256 KiB");
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return fault("is no UTF-8");
    };
    let Some(doc) = Doc::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) else {
        return fault("is no JSON");
    };
    if !doc.root().is_object() {
        return fault("is no JSON object");
    }
    if doc.root().height() > DEPTH_MAX {
        return fault("nests more than 32 levels deep");
    }
    let mut faults = Faults::default();
    walk(&Look { value: doc.root(), place: Place::ROOT }, &mut faults);
    faults.or(doc)
}

/// A fault for whatever readers take differently: members that stand twice, and texts that are no
/// Unicode. As deep as [`DEPTH_MAX`].
fn walk(look: &Look<'_, '_, '_>, faults: &mut Faults) {
    match look.value.sort() {
        Sort::Text if look.value.has_lone_surrogate() => {
            faults.add(&look.place, "holds half of a surrogate pair, which is no character");
        }
        Sort::Array => {
            for (at, value) in look.value.elements().enumerate() {
                walk(&Look { value, place: look.place.element(at) }, faults);
            }
        }
        Sort::Object => {
            let mut names: BTreeSet<Cow<'_, str>> = BTreeSet::new();
            for (key, value) in look.value.members() {
                let name = name_of(key);
                let place = look.place.member(&name);
                if key.has_lone_surrogate() {
                    faults.add(&place, "has a name that is no Unicode");
                }
                walk(&Look { value, place }, faults);
                if names.contains(&name) {
                    faults.add(&look.place.member(&name), "stands here twice");
                }
                names.insert(name);
            }
        }
        Sort::Text | Sort::Number | Sort::Bool | Sort::Null => {}
    }
}

/// A member's name.
pub(super) fn name_of<'a>(key: Value<'_, 'a>) -> Cow<'a, str> {
    key.text().unwrap_or_default()
}
