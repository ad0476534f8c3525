//! A record as a CRM reads it: just what is needed, and a strict look at the outer shape.

use std::borrow::Cow;

use model::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The parts of a record that the CRM looks at. What it only shows stays unread until it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    datacontenttype: Cow<'a, str>,
    #[serde(borrow)]
    sequence: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    received_at: Cow<'a, str>,
    #[serde(borrow)]
    contact: Option<Contact<'a>>,
    #[serde(default)]
    replayed: Option<bool>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Contact<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    phone: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
}

/// The names in `data.message` and `data.status`.
#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    outbox_id: Option<&'a RawValue>,
}

/// Whether an event is the test of `wagate doctor`, which is nobody's: answered as a record would be, and kept
/// nowhere.
pub(crate) fn is_test(id: &str, json: &str) -> bool {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    // By the id first, so that records aren't read twice.
    id.starts_with("doctor-")
        && serde_json::from_str::<Outer<'_>>(json).is_ok_and(|outer| outer.kind == "wagate.test.v1")
}

impl<'a> Record<'a> {
    /// Reads one record.
    ///
    /// # Errors
    /// What is wrong with it, as a word for people; it names fields and never holds content.
    pub(crate) fn parse(json: &'a str) -> Result<(Self, u64), String> {
        let record: Self = serde_json::from_str(json)
            // Serde quotes what it found, which may be a customer's words: only the place is told.
            .map_err(|error| {
                format!("no record can be read at line {}, column {}", error.line(), error.column())
            })?;
        let sequence = record.check()?;
        Ok((record, sequence))
    }

    fn check(&self) -> Result<u64, String> {
        let wrong = |what: &str| Err(what.to_owned());
        if self.specversion != "1.0" {
            return wrong("specversion is not \"1.0\"");
        }
        if self.id.is_empty() || self.id.len() > 1_024 {
            return wrong("id is empty or longer than 1024 bytes");
        }
        if self.source != "/wagate" && !self.source.starts_with("/wagate/") {
            return wrong("source does not start with /wagate");
        }
        let Some(kind) = Kind::from_event_type(&self.kind) else {
            return wrong("type is none that the gateway gives out");
        };
        if self.datacontenttype != "application/json" {
            return wrong("datacontenttype is not application/json");
        }
        if !is_rfc3339(&self.time) {
            return wrong("time is no RFC 3339 time in UTC");
        }
        if !is_rfc3339(&self.data.received_at) {
            return wrong("data.received_at is no RFC 3339 time in UTC");
        }
        if self.data.contact.as_ref().is_some_and(|contact| !contact.id.starts_with("c-")) {
            return wrong("data.contact.id does not start with c-");
        }
        let missing = match kind {
            Kind::MessageReceived | Kind::MessageSent | Kind::MessageEcho => self.data.message.is_none(),
            Kind::MessageStatus => self.data.status.is_none(),
            Kind::AccountEvent | Kind::Unknown | Kind::MessageUnread | Kind::EndpointChanged => false,
        };
        if missing {
            return wrong("data holds no message or status, which its type promises");
        }
        match self.sequence.parse::<model::Sequence>() {
            Ok(sequence) if self.sequence.len() == 20 && sequence.0 > 0 => Ok(sequence.0),
            _ => wrong("sequence is not 20 decimal digits, or 0"),
        }
    }

    pub(crate) fn contact_id(&self) -> Option<&str> {
        self.data.contact.as_ref().map(|contact| &*contact.id)
    }

    /// The lane in which order is promised: the contact, or else the account.
    pub(crate) fn lane(&self) -> &str {
        self.contact_id().unwrap_or(&self.source)
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.data.replayed == Some(true)
    }

    /// The contact's name, or else its phone.
    pub(crate) fn name(&self) -> Option<String> {
        let contact = self.data.contact.as_ref()?;
        [contact.name, contact.phone].into_iter().flatten().find_map(text)
    }

    /// What the contact is written to by: the phone, or else the user id.
    pub(crate) fn address(&self) -> Option<String> {
        let contact = self.data.contact.as_ref()?;
        [contact.phone, contact.user_id].into_iter().flatten().find_map(text)
    }

    /// The outbox id of the store's message that it is about, where it was sent through the gateway.
    pub(crate) fn outbox_id(&self) -> Option<String> {
        match Kind::from_event_type(&self.kind)? {
            Kind::MessageSent => Some(self.id.clone().into_owned()),
            Kind::MessageStatus => text(names(self.data.status?)?.outbox_id?),
            Kind::MessageReceived
            | Kind::MessageEcho
            | Kind::AccountEvent
            | Kind::Unknown
            | Kind::MessageUnread
            | Kind::EndpointChanged => None,
        }
    }

    /// WhatsApp's name of the message that it is or is about.
    pub(crate) fn message_id(&self) -> Option<String> {
        match (self.data.message, self.data.status) {
            (Some(message), _) => text(names(message)?.id?),
            (None, Some(status)) => text(names(status)?.message_id?),
            (None, None) => None,
        }
    }

    /// What to show of it in a line.
    pub(crate) fn summary(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(borrow, rename = "type")]
            kind: Option<&'a RawValue>,
            #[serde(borrow)]
            text: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Status<'a> {
            #[serde(borrow)]
            status: Option<&'a RawValue>,
        }
        if let Some(message) = self.data.message {
            let message: Message<'_> = serde_json::from_str(message.get()).ok()?;
            return message.text.and_then(text).or_else(|| Some(format!("[{}]", text(message.kind?)?)));
        }
        let status: Status<'_> = serde_json::from_str(self.data.status?.get()).ok()?;
        text(status.status?)
    }

    /// Whether the store wrote it.
    pub(crate) fn is_outbound(&self) -> bool {
        matches!(
            Kind::from_event_type(&self.kind),
            Some(Kind::MessageSent | Kind::MessageEcho | Kind::MessageStatus)
        )
    }
}

fn names(raw: &RawValue) -> Option<Names<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A JSON string; `None` for anything else, and for what isn't Unicode (a lone surrogate).
fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// `2026-11-20T22:43:15Z`, with or without fractions of a second.
fn is_rfc3339(text: &str) -> bool {
    let Some((day_and_time, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let shape = b"0000-00-00T00:00:00";
    let shaped = day_and_time.iter().zip(shape).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    let fraction = match rest {
        [b'.', digits @ .., b'Z'] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => rest == b"Z",
    };
    let two = |at: usize| text[at..at + 2].parse::<u8>().unwrap_or(u8::MAX);
    shaped
        && fraction
        && (1..=12).contains(&two(5))
        && (1..=31).contains(&two(8))
        && two(11) < 24
        && two(14) < 60
        && two(17) < 61
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record() -> Value {
        json!({
            "specversion": "1.0", "id": "wamid.A", "source": "/wagate/1", "type": "wagate.message.received.v1",
            "subject": "+12125550100", "time": "2026-11-20T22:43:15Z", "datacontenttype": "application/json",
            "sequence": "00000000000000001234",
            "data": {
                "received_at": "2026-11-20T22:43:16.042Z", "account": {},
                "contact": { "id": "c-01", "phone": "+12125550100", "name": null },
                "message": { "id": "wamid.A", "type": "text", "text": "Hi \"you\"" }, "raw": {}
            }
        })
    }

    #[test]
    fn a_right_record_is_read() {
        let json = record().to_string();
        let (record, sequence) = Record::parse(&json).unwrap();
        assert_eq!((sequence, record.lane(), record.is_replayed()), (1234, "c-01", false));
        assert_eq!(record.name().as_deref(), Some("+12125550100"));
        assert_eq!(record.summary().as_deref(), Some("Hi \"you\""));
        assert_eq!(record.address().as_deref(), Some("+12125550100"));
        assert_eq!((record.message_id().as_deref(), record.outbox_id()), (Some("wamid.A"), None));
    }

    #[test]
    fn a_test_event_is_known_by_id_and_type() {
        let event =
            |kind: &str| json!({ "specversion": "1.0", "type": kind, "data": { "test": true } }).to_string();
        for (id, kind, test) in [
            ("doctor-0123456789abcdef", "wagate.test.v1", true),
            ("doctor-0123456789abcdef", "wagate.message.received.v1", false),
            ("wamid.A", "wagate.test.v1", false),
        ] {
            assert_eq!(is_test(id, &event(kind)), test, "{id} {kind}");
        }
        assert!(!is_test("doctor-1", "{"));
    }

    #[test]
    fn each_part_of_the_outer_shape_is_missed_and_each_wrong_one_noticed() {
        for field in ["specversion", "id", "source", "type", "time", "datacontenttype", "sequence", "data"] {
            let mut without = record();
            without.as_object_mut().unwrap().remove(field);
            assert!(Record::parse(&without.to_string()).is_err(), "without {field}");
        }
        for (pointer, value) in [
            ("/specversion", json!("0.3")),
            ("/id", json!("")),
            ("/source", json!("/other")),
            ("/type", json!("wagate.message.received.v2")),
            ("/time", json!("2026-11-20 22:43:15")),
            ("/time", json!("2026-13-20T22:43:15Z")),
            ("/time", json!("2026-11-20T22:43:15.Z")),
            ("/time", json!(1_795_214_595)),
            ("/datacontenttype", json!("text/plain")),
            ("/sequence", json!("1234")),
            ("/sequence", json!("00000000000000000000")),
            ("/sequence", json!(1234)),
            ("/data/received_at", json!("yesterday")),
            ("/data/contact/id", json!("85261234567")),
            ("/data/message", json!(null)),
        ] {
            let mut wrong = record();
            *wrong.pointer_mut(pointer).unwrap() = value.clone();
            assert!(Record::parse(&wrong.to_string()).is_err(), "{pointer} = {value}");
        }
    }

    #[test]
    fn what_only_is_shown_may_be_anything() {
        let json = record().to_string().replace("Hi \\\"you\\\"", "\\ud800");
        let (record, _) = Record::parse(&json).unwrap();
        assert_eq!(record.summary().as_deref(), Some("[text]"));
    }

    #[test]
    fn a_complaint_holds_no_content() {
        let complaint = Record::parse(r#"{"id": "secret words", "specversion": 7}"#).unwrap_err();
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}
