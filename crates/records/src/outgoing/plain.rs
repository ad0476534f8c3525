//! The types of messages that have few rules: text, location, contacts, reaction, mark-as-read.

use super::fault::Faults;
use super::look::Look;

/// The most characters of a text message.
const TEXT_MAX: usize = 4_096;

/// The most cards in one message; a bound of ours, Meta names none and advises few.
const CARDS_MAX: usize = 257;

/// The most characters of names and addresses, where Meta names no bound.
pub(super) const LABEL_MAX: usize = 1_000;

/// Checks `text`.
pub(super) fn text(text: &Look<'_, '_, '_>, faults: &mut Faults) {
    text.text("body", TEXT_MAX, "the words to send", faults);
    if let Some(preview) = text.member("preview_url") {
        preview.truth(faults);
    }
}

/// Checks `location`, of a message, a header or a parameter.
pub(super) fn location(location: &Look<'_, '_, '_>, faults: &mut Faults) {
    for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
        let what = format!("degrees from -{most} to {most}");
        let Some(degrees) = location.required(name, &what, faults) else { continue };
        let number = degrees.value.number().and_then(|number| number.parse::<f64>().ok());
        if !number.is_some_and(|number| number.abs() <= most) {
            faults.add(&degrees.place, format!("is no number of {what}"));
        }
    }
    location.maybe_text("name", LABEL_MAX, faults);
    location.maybe_text("address", LABEL_MAX, faults);
}

/// Checks `contacts`.
pub(super) fn contacts(contacts: &Look<'_, '_, '_>, faults: &mut Faults) {
    for card in contacts.list(1..=CARDS_MAX, "contacts", faults) {
        let Some(card) = card.is_object(faults) else { continue };
        let Some(name) = card.object("name", "`formatted_name` and one more part of the name", faults) else {
            continue;
        };
        name.text("formatted_name", LABEL_MAX, "the whole name", faults);
        let parts = ["first_name", "last_name", "middle_name", "suffix", "prefix"];
        let given = parts.iter().filter(|part| name.member(part).is_some()).count();
        for part in parts {
            name.maybe_text(part, LABEL_MAX, faults);
        }
        if given == 0 {
            faults.add(
                &name.place,
                format!("has no part beside `formatted_name`; one of {} is needed", parts.join(", ")),
            );
        }
        for list in ["phones", "emails", "urls", "addresses"] {
            if let Some(list) = card.member(list) {
                list.list(0..=CARDS_MAX, "entries", faults).for_each(|entry| _ = entry.is_object(faults));
            }
        }
    }
}

/// Checks `reaction`. An empty `emoji` takes an earlier reaction back.
pub(super) fn reaction(reaction: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(id) = reaction.required("message_id", "the message to react to", faults) {
        id.id(faults);
    }
    // A family of five is some 20 characters, joined by invisible ones.
    let emoji = reaction.required("emoji", "one emoji, or \"\" to take the reaction back", faults);
    if let Some(emoji) = emoji.filter(|emoji| emoji.value.raw() != "\"\"") {
        let words = emoji.words(40, faults);
        if words
            .is_some_and(|words| words.chars().any(|sign| sign.is_ascii_alphabetic() || sign.is_whitespace()))
        {
            faults.add(&emoji.place, "is no emoji");
        }
    }
}

/// Checks a request to mark a message as read, which is a message of its own shape.
pub(super) fn read_mark(root: &Look<'_, '_, '_>, faults: &mut Faults) {
    if let Some(status) = root.required("status", "\"read\"", faults)
        && !status.value.is_text("read")
    {
        faults.add(&status.place, "isn't \"read\", the only status that can be sent");
    }
    if let Some(id) = root.required("message_id", "the message that was read", faults) {
        id.id(faults);
    }
    if let Some(typing) = root.member("typing_indicator").and_then(|typing| typing.is_object(faults))
        && let Some(kind) = typing.text("type", LABEL_MAX, "\"text\"", faults)
        && kind != "text"
    {
        faults.add(&typing.place.member("type"), "isn't \"text\", the only one that there is");
    }
}
