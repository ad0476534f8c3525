//! `[[numbers]]` and their limits.

use std::collections::BTreeMap;

use super::super::reader::Section;
use super::super::types::{Limits, Number};
use super::super::values::{self, Fault};

/// The country code of the default time zone's people, Hong Kong.
const HOME: &str = "+852";

pub(super) fn numbers(root: &Section<'_>) -> Option<Vec<Number>> {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    let mut numbers = Vec::new();
    for (place, section) in root.sections("numbers").iter().enumerate() {
        let number = number(section);
        if let Some(id) = number.as_ref().map(|number| number.phone_number_id.clone()) {
            if let Some(earlier) = first.get(&id) {
                let message = format!("numbers[{earlier}] has the phone_number_id {id} already");
                section.mistake("phone_number_id", Fault::new(message));
            } else {
                first.insert(id, place);
            }
        }
        numbers.push(number);
    }
    numbers.into_iter().collect()
}

fn number(section: &Section<'_>) -> Option<Number> {
    let phone_number_id = section.read("phone_number_id", values::digits);
    let phone = section.read("phone", values::phone);
    let timezone = section.read("timezone", values::timezone);
    let portfolio = section.read("portfolio", values::text);
    let limits = limits(&section.section("limits"));
    if !section.has("timezone") && phone.as_ref().is_some_and(|phone| !phone.starts_with(HOME)) {
        section.warn(
            "phone",
            Fault::new("this number's day begins at midnight in Asia/Hong_Kong, the default")
                .help("add timezone = \"...\", the zone that the store lives by"),
        );
    }
    Some(Number {
        phone_number_id: phone_number_id?,
        phone,
        timezone: timezone?,
        portfolio: portfolio?,
        limits: limits?,
    })
}

fn limits(section: &Section<'_>) -> Option<Limits> {
    let messages_per_day = section.read("messages_per_day", values::integer);
    let api_calls_per_day = section.read("api_calls_per_day", values::integer);
    let unique_recipients_per_24h = section.read("unique_recipients_per_24h", values::integer);
    let messages_per_second = section.read("messages_per_second", values::integer);
    let batch_above = section.read("batch_above", values::share);
    let batch_every = section.read("batch_every", values::time);
    Some(Limits {
        messages_per_day: messages_per_day?,
        api_calls_per_day: api_calls_per_day?,
        unique_recipients_per_24h: unique_recipients_per_24h?,
        messages_per_second: u32::try_from(messages_per_second?).ok()?,
        batch_above: batch_above?,
        batch_every: batch_every?,
    })
}
