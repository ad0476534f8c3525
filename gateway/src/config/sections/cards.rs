//! The rate card: a file of its own, read like the configuration.

use policy::sending::{Market, RateCard};

use super::super::reader::Section;
use super::super::values::{self, Fault};

/// Reads one card, or those of `[[cards]]`. `None`: something is wrong, and has been noted.
pub(in super::super) fn cards(root: &Section<'_>) -> Option<Vec<RateCard>> {
    if !root.has("cards") {
        return Some(vec![card(root)?]);
    }
    if let Some(name) = ["valid_from", "currency", "markets", "other"].into_iter().find(|name| root.has(name))
    {
        let fault = Fault::new(format!("`{name}` stands outside of the cards in [[cards]]"));
        root.mistake(name, fault.help("one card without [[cards]], or all of them in it"));
    }
    let sections = root.sections("cards");
    if sections.is_empty() {
        root.mistake("cards", Fault::new("there is no card in this list"));
    }
    let mut cards: Vec<Option<RateCard>> = Vec::new();
    for section in sections {
        let card = card(&section);
        if let Some(card) = &card
            && cards.iter().flatten().any(|earlier| earlier.valid_from == card.valid_from)
        {
            section.mistake("valid_from", Fault::new("another card is valid from this day, too"));
        }
        cards.push(card);
    }
    cards.into_iter().collect()
}

fn card(section: &Section<'_>) -> Option<RateCard> {
    let valid_from = section.read("valid_from", values::text);
    let currency = section.read("currency", values::text);
    let free_service_per_month = section.read("free_service_per_month", values::integer);
    // A head that is right lets the rest be checked whatever is wrong with the one in the file.
    let right = || (String::from("2026-01-01"), String::from("USD"));
    let bare = |valid_from: String, currency: String| RateCard {
        valid_from,
        currency,
        free_service_per_month: free_service_per_month.unwrap_or(0),
        markets: Vec::new(),
        other: None,
    };
    let dated = valid_from.filter(|date| sound(&bare(date.clone(), right().1), section));
    let paid = currency.filter(|currency| sound(&bare(right().0, currency.clone()), section));
    let mut whole = dated.is_some() && paid.is_some() && free_service_per_month.is_some();
    let mut card = bare(dated.unwrap_or(right().0), paid.unwrap_or(right().1));
    for section in section.sections("markets") {
        let Some(market) = market(&section, true) else {
            whole = false;
            continue;
        };
        card.markets.push(market);
        // One at a time, so that what is wrong is told where it stands.
        if !sound(&card, &section) {
            card.markets.pop();
            whole = false;
        }
    }
    if section.has("other") {
        card.other = market(&section.section("other"), false);
        whole &= card.other.is_some();
    }
    whole.then_some(card)
}

/// Whether the card is right as far as it has been read; what isn't has the name of its key in front.
fn sound(card: &RateCard, section: &Section<'_>) -> bool {
    let Err(wrong) = card.check() else { return true };
    match wrong.split_once(": ") {
        Some((name, what)) => section.mistake(name, Fault::new(what)),
        None => section.mistake_here(Fault::new(wrong)),
    }
    false
}

fn market(section: &Section<'_>, has_codes: bool) -> Option<Market> {
    let calling_codes =
        if has_codes { section.read("calling_codes", values::texts) } else { Some(Vec::new()) };
    let marketing = section.read("marketing", values::amount);
    let utility = section.read("utility", values::amount);
    let authentication = section.read("authentication", values::amount);
    let authentication_international = section.read("authentication_international", values::amount);
    let service = section.read("service", values::amount);
    if section.has("authentication_international") && authentication_international.is_none() {
        return None;
    }
    Some(Market {
        calling_codes: calling_codes?,
        marketing: marketing?,
        utility: utility?,
        authentication: authentication?,
        authentication_international,
        service: service?,
    })
}
