//! Quick replies: message objects that are kept on the box under a name, with merge fields in their texts.
//!
//! A request sends one by `"quick_reply": "name"` and `"fields": {"lead": {"first_name": "Ana"}}`: [`by_name`]
//! finds what it asks for, [`fill_message`] fills in the kept object, [`expand`] puts it into the request in
//! place of its name. Then [`super::read`] checks it like any other.

use std::collections::BTreeSet;

use super::fault::{Fault, Faults, Place, nearest};
use super::look::Look;
use super::merge::{self, Fields};
use super::{content, plain, sound};
use crate::json::{Out, Sort};

/// The member of a request that names a quick reply.
pub(super) const NAME: &str = "quick_reply";

/// The member with the values of its fields.
pub(super) const FIELDS: &str = "fields";

/// The most values of one request.
const VALUES_MAX: usize = 256;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByName {
    /// The quick reply's name.
    pub name: String,
    /// The values, by the full names of their fields.
    pub fields: Fields,
}

/// The quick reply that a request names; `None` where it names none.
///
/// # Errors
/// The body is no JSON object, or the two members aren't what they should be.
pub fn by_name(body: &[u8]) -> Result<Option<ByName>, Vec<Fault>> {
    let doc = sound::parse(body)?;
    let root = Look { value: doc.root(), place: Place::ROOT };
    let mut faults = Faults::default();
    let Some(name) = root.member(NAME) else { return Ok(None) };
    let name = name.words(plain::LABEL_MAX, &mut faults).unwrap_or_default().into_owned();
    let mut fields = Fields::new();
    if let Some(values) = root.member(FIELDS).and_then(|values| values.is_object(&mut faults)) {
        gather(&values, "", &mut fields, &mut faults);
    }
    faults.or(Some(ByName { name, fields }))
}

/// The values of a JSON object, by the full names of their fields: `{"lead": {"first_name": "Ana"}}` and
/// `{"lead.first_name": "Ana"}` are the same.
///
/// # Errors
/// It is no JSON object, or holds something that no text can be made of.
pub fn fields(json: &[u8]) -> Result<Fields, Vec<Fault>> {
    let doc = sound::parse(json)?;
    let (mut fields, mut faults) = (Fields::new(), Faults::default());
    gather(&Look { value: doc.root(), place: Place::ROOT }, "", &mut fields, &mut faults);
    faults.or(fields)
}

/// Gathers the values of an object and of those inside it, as deep as [`sound::DEPTH_MAX`].
fn gather(object: &Look<'_, '_, '_>, before: &str, fields: &mut Fields, faults: &mut Faults) {
    for (key, value) in object.value.members() {
        let name = sound::name_of(key);
        let look = Look { value, place: object.place.member(&name) };
        let name = format!("{before}{name}");
        if !merge::is_name(&name) || name.len() > plain::LABEL_MAX {
            faults
                .add(&look.place, "is named otherwise than fields are: a to z, 0 to 9, _, and dots between");
            continue;
        }
        let text = match value.sort() {
            Sort::Object => {
                gather(&look, &format!("{name}."), fields, faults);
                continue;
            }
            Sort::Null => continue,
            Sort::Array => {
                faults.add(&look.place, "is a list; a text is expected");
                continue;
            }
            Sort::Bool => value.raw().to_owned(),
            Sort::Text | Sort::Number => value.text().unwrap_or_default().into_owned(),
        };
        if fields.len() >= VALUES_MAX {
            return faults.add(&object.place, "has more than 256 values");
        }
        if fields.insert(name, text).is_some() {
            faults.add(&look.place, "has a value already");
        }
    }
}

/// Checks a quick reply that is to be kept, and tells its fields.
///
/// # Errors
/// It is no JSON object, holds what is no part of a message (such as `to`), or a text's fields can't be read.
/// Meta's limits are checked when it is sent, with the values in it.
pub fn check(message: &[u8]) -> Result<BTreeSet<String>, Vec<Fault>> {
    let doc = sound::parse(message)?;
    let root = Look { value: doc.root(), place: Place::ROOT };
    let (mut faults, mut names) = (Faults::default(), BTreeSet::new());
    let known: Vec<&str> = content::TYPES.into_iter().chain(["type", "attachments", "fallback"]).collect();
    for (key, _) in root.value.members() {
        let name = sound::name_of(key);
        if !known.contains(&&*name) {
            let meant = nearest(&name, &known).map(|meant| format!("; did you mean {meant:?}?"));
            let detail = format!("is no member of a quick reply{}", meant.unwrap_or_default());
            faults.add(&root.place.member(&name), detail);
        }
    }
    if !content::TYPES.into_iter().chain(["attachments"]).any(|name| root.member(name).is_some()) {
        faults.add(&root.place, format!("says nothing: one of {} is needed", content::TYPES.join(", ")));
    }
    texts(&root, &mut |look, text| match merge::parse(text) {
        Ok(merge) => names.extend(merge.fields().into_iter().map(str::to_owned)),
        Err(fault) => faults.add(&look.place, fault.detail),
    });
    faults.or(names)
}

/// Calls `see` for all texts but the names of members.
fn texts(look: &Look<'_, '_, '_>, see: &mut impl FnMut(&Look<'_, '_, '_>, &str)) {
    match look.value.sort() {
        Sort::Text => see(look, &look.value.text().unwrap_or_default()),
        Sort::Array => {
            for (at, value) in look.value.elements().enumerate() {
                texts(&Look { value, place: look.place.element(at) }, see);
            }
        }
        Sort::Object => {
            for (key, value) in look.value.members() {
                texts(&Look { value, place: look.place.member(&sound::name_of(key)) }, see);
            }
        }
        Sort::Number | Sort::Bool | Sort::Null => {}
    }
}

/// A message object with the values in the places of its fields; all else stays as it is, byte for byte.
///
/// # Errors
/// The fields that have no value, at `/fields/{name}`; texts that can't be read; more than
/// [`super::BODY_MAX`] in the end.
pub fn fill_message(message: &[u8], fields: &Fields) -> Result<String, Vec<Fault>> {
    let doc = sound::parse(message)?;
    let root = Look { value: doc.root(), place: Place::ROOT };
    let mut faults: Vec<Fault> = Vec::new();
    let mut out = Out::with_capacity(message.len());
    // The texts come in the order in which they stand, so what is between them is copied.
    let whole = root.value.raw();
    let mut copied = 0;
    texts(&root, &mut |look, text| {
        if !text.contains('$') || faults.len() >= super::FAULTS_MAX || out.bytes().len() > super::BODY_MAX {
            return;
        }
        let merged =
            merge::parse(text).map_err(|fault| vec![Fault { pointer: look.place.pointer(), ..fault }]);
        match merged.and_then(|merge| merge.fill(fields)) {
            Ok(text) => {
                let at = look.value.start() - root.value.start();
                out.raw(&whole[copied..at]).text(&text);
                copied = at + look.value.raw().len();
            }
            Err(more) => {
                faults.extend(more.into_iter().filter(|fault| !faults.contains(fault)).collect::<Vec<_>>());
            }
        }
    });
    out.raw(&whole[copied..]);
    let filled = out.finish();
    if filled.len() > super::BODY_MAX {
        faults.push(Fault {
            pointer: String::new(),
            detail: "has more than 256 KiB once it is filled in".to_owned(),
        });
    }
    faults.truncate(super::FAULTS_MAX);
    match String::from_utf8(filled) {
        Ok(filled) if faults.is_empty() => Ok(filled),
        _ => Err(faults),
    }
}

/// The request with the members of a filled-in quick reply in place of its name and fields.
///
/// # Errors
/// One of the two is no JSON object, or both say the same member.
pub fn expand(body: &[u8], filled: &str) -> Result<String, Vec<Fault>> {
    let (request, reply) = (sound::parse(body)?, sound::parse(filled.as_bytes())?);
    let mut faults = Faults::default();
    let mut members: Vec<(&str, &str)> = Vec::new();
    for (key, value) in request.root().members() {
        let name = sound::name_of(key);
        if reply.root().get(&name).is_some() {
            faults.add(&Place::ROOT.member(&name), "stands in the quick reply already");
        }
        if name != NAME && name != FIELDS && value.sort() != Sort::Null {
            members.push((key.raw(), value.raw()));
        }
    }
    members.extend(reply.root().members().map(|(key, value)| (key.raw(), value.raw())));
    let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    faults.or(format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{ "type": "text", "text": {"body": "Hello ${lead.first_name|you},\n\"${shop}\" costs $${5}: ${price}"},
        "fallback": {"name": "reopen", "language": {"code": "en"}, "components": [{"type": "body", "parameters":
        [{"type": "text", "text": "${shop}"}, {"type": "x", "n": 1.50}]}]} }"#;

    fn places(faults: &[Fault]) -> Vec<&str> {
        faults.iter().map(|fault| fault.pointer.as_str()).collect()
    }

    #[test]
    fn a_request_names_a_reply_and_becomes_the_message() {
        let body = br#"{"to":"+85261234567","quick_reply":"hello","priority":"reply","from":null,
            "fields":{"lead":{"first_name":"Ana \"A\" ${shop}"},"shop":"Lot\\us","price":5.50}}"#;
        let asked = by_name(body).unwrap().unwrap();
        assert_eq!(asked.name, "hello");
        let names: Vec<_> = asked.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["lead.first_name", "price", "shop"]);
        assert_eq!(check(REPLY.as_bytes()).unwrap().into_iter().collect::<Vec<_>>(), names);
        let filled = fill_message(REPLY.as_bytes(), &asked.fields).unwrap();
        assert!(
            filled.contains(r#"{"type": "x", "n": 1.50}"#),
            "what holds no field stays as it is: {filled}"
        );
        let request = expand(body, &filled).unwrap();
        let request = super::super::read(request.as_bytes(), &crate::Numbers::default()).unwrap();
        let payload: serde_json::Value = serde_json::from_str(&request.parts[0].payload).unwrap();
        assert_eq!(payload["text"]["body"], "Hello Ana \"A\" ${shop},\n\"Lot\\us\" costs ${5}: 5.50");
        assert!(request.fallback.unwrap().payload.contains(r#""text": "Lot\\us""#));
        assert_eq!(by_name(br#"{"to":"+85261234567"}"#), Ok(None));
    }

    #[test]
    fn what_is_missing_is_named_once() {
        let faults = fill_message(REPLY.as_bytes(), &Fields::new()).unwrap_err();
        assert_eq!(places(&faults), ["/fields/price", "/fields/shop"]);
    }

    #[test]
    fn what_cant_be_kept_or_filled_in_is_refused() {
        let faults =
            check(br#"{"to":"+85261234567","txt":{},"text":{"body":"${","x":["${A}"]}}"#).unwrap_err();
        assert_eq!(places(&faults), ["/to", "/txt", "/text/body", "/text/x/0"]);
        assert_eq!(places(&check(b"{}").unwrap_err()), [""]);
        let faults =
            fields(br#"{"A":1,"a":{"b":1},"a.b":2,"c":[1],"d":null,"e":true,"f..g":1}"#).unwrap_err();
        assert_eq!(places(&faults), ["/A", "/a.b", "/c", "/f..g"]);
        let many: Vec<_> = (0..=VALUES_MAX).map(|n| format!("\"a{n}\":1")).collect();
        assert!(fields(format!("{{{}}}", many[1..].join(",")).as_bytes()).is_ok());
        assert!(fields(format!("{{{}}}", many.join(",")).as_bytes()).is_err());
        let faults = by_name(br#"{"quick_reply":5,"fields":"x"}"#).unwrap_err();
        assert_eq!(places(&faults), ["/quick_reply", "/fields"]);
        let faults =
            expand(br#"{"to":"x","type":"text","quick_reply":"a"}"#, r#"{"type":"text"}"#).unwrap_err();
        assert_eq!(places(&faults), ["/type"]);
    }

    #[test]
    fn what_is_filled_in_has_a_bound() {
        let text = format!("\"{}\"", "${a}".repeat(64));
        let message = format!("{{\"text\":[{}]}}", vec![text; 64].join(","));
        let fields = [("a".to_owned(), "é".repeat(1_024))].into_iter().collect();
        let faults = fill_message(message.as_bytes(), &fields).unwrap_err();
        assert_eq!(places(&faults), [""]);
    }
}
