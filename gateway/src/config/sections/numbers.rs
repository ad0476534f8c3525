//! `[[numbers]]` and their limits.

use std::collections::BTreeMap;

use super::super::reader::Section;
use super::super::types::{Limits, Number, WhatsApp};
use super::super::values::{self, Fault};

/// The country code of the default time zone's people, Hong Kong.
const HOME: &str = "+852";

/// It stands in keys on disk, which are short.
const PORTFOLIO_BYTES_MAX: usize = 64;

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

/// Doubts about numbers that are only seen when everything is known.
pub(super) fn together(root: &Section<'_>, numbers: &[Number], whatsapp: &WhatsApp) {
    for (place, (section, number)) in root.sections("numbers").iter().zip(numbers).enumerate() {
        let id = &number.phone_number_id;
        if !whatsapp.endpoints.is_empty() && whatsapp.serving(id).next().is_none() {
            section.warn(
                "phone_number_id",
                Fault::new("none of [[whatsapp.endpoints]] serves this number: nothing can be sent from it")
                    .help(format!(
                        "add {id:?} to the `numbers` of an endpoint, or leave `numbers` out there"
                    )),
            );
        }
        let own = number.limits.unique_recipients_per_24h;
        let other = numbers[..place].iter().position(|earlier| {
            earlier.portfolio == number.portfolio && earlier.limits.unique_recipients_per_24h != own
        });
        if let Some(earlier) = other {
            let theirs = numbers[earlier].limits.unique_recipients_per_24h;
            section.section("limits").warn(
                "unique_recipients_per_24h",
                Fault::new(format!(
                    "numbers[{earlier}] of the same portfolio has {theirs}, this one {own}: they share one count of recipients, and each number stops when that reaches its own limit"
                ))
                .help("give all numbers of a portfolio what Meta allows the portfolio"),
            );
        }
    }
}

fn number(section: &Section<'_>) -> Option<Number> {
    let phone_number_id = section.read("phone_number_id", values::digits);
    let phone = section.read("phone", values::phone);
    let timezone = section.read("timezone", values::timezone);
    let portfolio = section.read("portfolio", values::text);
    if portfolio.as_ref().is_some_and(|name| name.len() > PORTFOLIO_BYTES_MAX) {
        section.mistake("portfolio", Fault::new("a portfolio's name has at most 64 bytes"));
    }
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
    if batch_above == Some(0.0) {
        section.warn(
            "batch_above",
            Fault::new("campaign messages always go out in batches: every limit is past 0")
                .help("0.8 begins when 80 % of a limit are used"),
        );
    }
    Some(Limits {
        messages_per_day: messages_per_day?,
        api_calls_per_day: api_calls_per_day?,
        unique_recipients_per_24h: unique_recipients_per_24h?,
        messages_per_second: u32::try_from(messages_per_second?).ok()?,
        batch_above: batch_above?,
        batch_every: batch_every?,
    })
}
