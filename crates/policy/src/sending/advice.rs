//! One sentence for people about a refusal: what happened, and what to do next.
//!
//! It stands beside Meta's own words, never in their place.

use model::Refusal;

use super::errors::{Class, StopScope, class};

/// What to do about a refusal, in one sentence.
#[must_use]
pub fn advice(refusal: &Refusal) -> &'static str {
    refusal.code.and_then(of_code).unwrap_or_else(|| of_class(class(refusal)))
}

#[rustfmt::skip]
const fn of_code(code: i64) -> Option<&'static str> {
    Some(match code {
        0 | 104 | 190 => "The access token is missing, expired or revoked: put a valid one into the configuration; the queue is kept until then.",
        4 | 613 | 80_007 => "The app makes too many calls: the box slows down by itself.",
        3 | 10 | 200..=299 => "The token lacks a permission: give its system user whatsapp_business_messaging for this account.",
        33 => "WhatsApp doesn't know this phone_number_id any more: check it in the configuration.",
        100 => "WhatsApp doesn't accept a parameter, or the token has no access to what it names: compare the message with the details.",
        368 | 131_031 => "Meta has blocked or locked the account: see the account's quality page in WhatsApp Manager.",
        130_403 => "The store has blocked this customer: unblock them first.",
        130_429 => "The number sends faster than WhatsApp allows: the box slows down by itself.",
        130_472 => "Meta keeps marketing messages from this customer for an experiment: don't send it again.",
        130_497 => "The store may not write to customers in this country.",
        131_000 => "WhatsApp had a fault of its own: wait for a status before sending it again.",
        131_008 | 131_009 => "A parameter is missing or isn't valid: correct the message as the details say.",
        131_021 => "The recipient is the sending number itself.",
        131_026 => "WhatsApp can't deliver it: the customer may have no WhatsApp, an old version, not have accepted its terms, or have blocked the store; reach them in another way.",
        131_030 => "A test number writes only to numbers on its list: add the recipient there.",
        131_037 => "The display name of the number needs Meta's approval.",
        131_042 | 131_044 => "Meta has a problem with the payment: check the payment method in WhatsApp Manager.",
        131_045 | 133_010 => "The number isn't registered for the Cloud API: register it.",
        131_047 | 470 => "The customer last wrote more than 24 h ago: send a template.",
        131_048 => "Customers have reported or blocked the number too often: pause, and look at the quality rating before going on.",
        131_049 => "Meta holds back marketing to this customer: wait a day or longer, or write when the customer has written.",
        131_050 => "The customer wants no more marketing from the store: send none until they want it again.",
        131_051 => "WhatsApp doesn't support this type of message.",
        131_053 | 131_014 => "WhatsApp couldn't take the media: check its type, size and link.",
        131_056 => "Too many messages to this customer in a short time: the box goes on more slowly by itself.",
        131_057 => "The number is being upgraded, for about a minute: wait for a status before sending it again.",
        131_062 => "This type of message needs the customer's phone number.",
        132_000 | 132_012 | 132_018 => "The parameters don't fit the template: compare their count and format with it.",
        132_001 => "There is no such template in this language, or it isn't approved: check name and language.",
        132_005 => "The template is too long once it is filled in: shorten the values.",
        132_007 => "The template's text breaks WhatsApp's rules on characters: change it.",
        132_015 => "The template is paused for its low quality: improve it, or wait until Meta lifts the pause.",
        132_016 => "The template is disabled for its low quality: make another one.",
        134_011 => "The terms of payment aren't accepted: accept them in WhatsApp Manager.",
        137_000 => "The customer's phone may have a new owner: ask who they are before going on.",
        _ => return None,
    })
}

const fn of_class(class: Class) -> &'static str {
    match class {
        Class::Replay | Class::Pair => "It was too fast: the box tries again by itself, more slowly.",
        Class::Ambiguous => {
            "Nobody knows yet whether it was sent: wait for a status, then resolve it by hand."
        }
        Class::Wait { .. } => "WhatsApp asks to wait: the box tries once more by itself.",
        Class::Template => "Free-form messages aren't allowed now: send a template.",
        Class::Permanent => "It can't be delivered to this customer: don't send it again.",
        Class::Configuration => {
            "WhatsApp doesn't accept the request: correct the message or the configuration."
        }
        Class::Stop(StopScope::Country) => "The store may not write to customers in this country.",
        Class::Stop(StopScope::PauseNumber) => "The number is paused until a person lets it go on.",
        Class::Stop(StopScope::Channel) => {
            "WhatsApp doesn't let the number send: check token, account and payment; the queue is kept."
        }
        Class::OptOut => "The customer wants no more marketing from the store.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_codes_have_advice_of_their_own() {
        for (code, word) in [
            (131_047, "template"),
            (131_056, "slowly"),
            (130_429, "slows"),
            (190, "token"),
            (131_026, "another way"),
            (131_049, "day"),
            (131_050, "marketing"),
            (131_053, "media"),
            (132_001, "language"),
            (100, "parameter"),
        ] {
            let text = advice(&Refusal { code: Some(code), ..Refusal::default() });
            assert!(text.contains(word), "{code}: {text}");
            assert!(text.ends_with('.') && text.len() < 200, "{code}: {text}");
        }
        for code in 0..3_000_000 {
            assert!(of_code(code).is_none() || super::super::errors::of_code(code).is_some(), "{code}");
        }
    }

    #[test]
    fn what_is_unknown_has_the_advice_of_its_class() {
        let text = |code, http| advice(&Refusal { code, http, ..Refusal::default() });
        assert_eq!(text(Some(99_999), Some(400)), of_class(Class::Configuration));
        assert_eq!(text(None, Some(503)), of_class(Class::Ambiguous));
        assert_eq!(text(None, None), of_class(Class::Permanent));
    }
}
