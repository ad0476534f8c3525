//! The members of a small body, each taken by its name, so that what is wrong is said of the member it is wrong with.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::body::Body;
use records::outgoing::{FAULTS_MAX, Fault};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::body;
use super::problem::Problem;

/// Characters of a number that are repeated in a fault.
const NUMBER_SHOWN: usize = 32;

/// A body that is a JSON object. A member that is null is the same as none.
#[derive(Debug)]
pub(super) struct Members {
    found: BTreeMap<String, Box<RawValue>>,
    faults: Vec<Fault>,
}

impl Members {
    /// Reads a body that may have the `known` members: 400 for what is no JSON. A member that isn't known is a
    /// fault that [`Self::end`] tells.
    pub(super) async fn of(body: Body, known: &[&str]) -> Result<Self, Problem> {
        let bytes = body::read(body, body::SMALL).await?;
        let found: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&bytes).map_err(|error| {
            let detail = "must be a JSON object, in braces";
            if error.is_data() { Problem::fault("", detail) } else { body::no_json(&error) }
        })?;
        let unknown = found.keys().filter(|name| !known.contains(&name.as_str()));
        let faults = unknown.take(FAULTS_MAX).map(|name| Fault::unknown_member(name, known)).collect();
        Ok(Self { found, faults })
    }

    /// Notes what is wrong with a member.
    pub(super) fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.push(Fault { pointer: Fault::member(name), detail: detail.into() });
    }

    /// Tells what is wrong, if something is.
    ///
    /// # Errors
    /// 422 with every fault.
    pub(super) fn end(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::faults(self.faults)) }
    }

    /// A member as it stands.
    pub(super) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.found.remove(name).filter(|value| value.get() != "null")
    }

    /// A member that is a text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "a text")
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Option<T> {
        let value = self.raw(name)?;
        let read = serde_json::from_str(value.get()).ok();
        if read.is_none() {
            self.fault(name, format!("must be {what}, not {}", sort_of(&value)));
        }
        read
    }

    /// A member that is a text and has to be there; `what` says what it is.
    pub(super) fn required_text(&mut self, name: &str, what: &str) -> Option<String> {
        if self.is_missing(name) {
            self.fault(name, format!("is missing: {what}"));
        }
        self.text(name)
    }

    /// A member that is true or false.
    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false")
    }

    /// A member that is a whole number.
    pub(super) fn count(&mut self, name: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = self.raw(name)?;
        let count = count_of(&value, &allowed);
        count.map_err(|detail| self.fault(name, detail)).ok()
    }

    /// A member that is a whole number and has to be there; `what` says what it is.
    pub(super) fn required_count(
        &mut self,
        name: &str,
        what: &str,
        allowed: RangeInclusive<u64>,
    ) -> Option<u64> {
        if self.is_missing(name) {
            self.fault(name, format!("is missing: {what}"));
        }
        self.count(name, allowed)
    }

    /// A member that is an object of whole numbers.
    pub(super) fn counts(&mut self, name: &str, allowed: &RangeInclusive<u64>) -> BTreeMap<String, u64> {
        let Some(value) = self.raw(name) else { return BTreeMap::new() };
        let Ok(inner) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(value.get()) else {
            self.fault(name, format!("must be an object, not {}", sort_of(&value)));
            return BTreeMap::new();
        };
        let mut counts = BTreeMap::new();
        for (key, value) in inner {
            match count_of(&value, allowed) {
                Ok(count) => _ = counts.insert(key, count),
                Err(detail) if self.faults.len() < FAULTS_MAX => {
                    let pointer = Fault::member(name) + &Fault::member(&key);
                    self.faults.push(Fault { pointer, detail });
                }
                Err(_) => {}
            }
        }
        counts
    }

    fn is_missing(&self, name: &str) -> bool {
        self.found.get(name).is_none_or(|value| value.get() == "null")
    }
}

fn count_of(value: &RawValue, allowed: &RangeInclusive<u64>) -> Result<u64, String> {
    let count = serde_json::from_str(value.get()).ok().filter(|count| allowed.contains(count));
    count.ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        format!("must be a whole number from {least} to {most}, not {}", sort_of(value))
    })
}

/// What a value is, in words.
pub(super) fn sort_of(value: &RawValue) -> String {
    let text = value.get();
    match text.bytes().next() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "a list".to_owned(),
        Some(b'"') => "a text".to_owned(),
        Some(b'-' | b'0'..=b'9') => text.chars().take(NUMBER_SHOWN).collect(),
        _ => text.to_owned(),
    }
}
