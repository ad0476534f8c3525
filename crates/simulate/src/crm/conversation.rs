//! What was said with one contact, both ways, and how far each of the store's messages got.

use std::collections::VecDeque;

use model::Kind;

use super::record::Record;

/// Lines kept of a conversation, the newest.
pub const CONVERSATION_LINES_MAX: usize = 200;
/// Bytes kept of a line's text.
pub const LINE_BYTES_MAX: usize = 4_096;

/// How far one of the store's messages got, as its records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tick {
    /// WhatsApp has taken it.
    Accepted,
    /// A status said that it is on its way.
    Sent,
    /// It is on the customer's phone.
    Delivered,
    /// The customer has seen it.
    Read,
    /// It won't get there.
    Failed,
}

impl Tick {
    /// What a status says, where it is one of the words.
    #[must_use]
    pub fn of(status: &str) -> Option<Self> {
        match status {
            "sent" => Some(Self::Sent),
            "delivered" => Some(Self::Delivered),
            "read" | "played" => Some(Self::Read),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// How far it got once this is known too. Statuses come in any order: what was delivered once
    /// stays so, whatever else is said.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed, got @ (Self::Delivered | Self::Read))
            | (got @ (Self::Delivered | Self::Read), Self::Failed) => got,
            _ => self.max(other),
        }
    }

    /// In a word, with the ticks that WhatsApp shows beside it.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "✓ sent",
            Self::Delivered => "✓✓ delivered",
            Self::Read => "✓✓ read",
            Self::Failed => "✗ failed",
        }
    }
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sequence: u64,
    pub(crate) outbound: bool,
    pub(crate) text: String,
    /// How far it got; `None` for what wasn't sent through the gateway.
    pub(crate) tick: Option<Tick>,
    /// Its name in the outbox, and WhatsApp's.
    outbox_id: Option<Box<str>>,
    message_id: Option<Box<str>>,
}

/// A contact's name and lines, by sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Conversation {
    pub(crate) name: Option<String>,
    pub(crate) lines: VecDeque<Line>,
}

impl Conversation {
    pub(crate) fn take(&mut self, record: &Record<'_>, sequence: u64) {
        // Only the customer's own messages bring the name for sure.
        if (self.name.is_none() || !record.is_outbound())
            && let Some(mut name) = record.name()
        {
            cut(&mut name);
            self.name = Some(name);
        }
        let kind = Kind::from_event_type(&record.kind);
        let (outbox_id, message_id) = (record.outbox_id(), record.message_id());
        let mut text = record.summary().unwrap_or_else(|| format!("[{}]", record.kind));
        cut(&mut text);
        let mut line = Line {
            sequence,
            outbound: record.is_outbound(),
            text,
            tick: None,
            outbox_id: outbox_id.map(Into::into),
            message_id: message_id.map(Into::into),
        };
        match kind {
            Some(Kind::MessageStatus) => {
                if let Some(tick) = Tick::of(&line.text) {
                    if let Some(known) = self.find(&line) {
                        known.tick = Some(known.tick.unwrap_or(tick).and(tick));
                        return;
                    }
                    if line.outbox_id.is_some() {
                        // It came before the record of the sending, which brings the words.
                        (line.tick, line.text) = (Some(tick), "…".to_owned());
                    }
                }
            }
            Some(Kind::MessageSent) => {
                line.tick = Some(Tick::Accepted);
                if let Some(known) = self.find(&line) {
                    (known.text, known.message_id) = (line.text, line.message_id);
                    return;
                }
            }
            _ => {}
        }
        let place = self.lines.partition_point(|other| other.sequence < sequence);
        self.lines.insert(place, line);
        if self.lines.len() > CONVERSATION_LINES_MAX {
            self.lines.pop_front();
        }
    }

    /// The store's message that this line is about.
    fn find(&mut self, about: &Line) -> Option<&mut Line> {
        let same = |one: &Option<Box<str>>, other: &Option<Box<str>>| one.is_some() && one == other;
        self.lines.iter_mut().rev().find(|line| {
            line.outbound
                && (same(&line.outbox_id, &about.outbox_id)
                    || (about.outbox_id.is_none() && same(&line.message_id, &about.message_id)))
        })
    }
}

/// Shortens what is shown to [`LINE_BYTES_MAX`].
fn cut(text: &mut String) {
    let end = (0..=LINE_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A record of the way back as the gateway writes it.
    pub(crate) fn record(kind: &str, id: &str, sequence: u64, data: &Value) -> String {
        let mut whole = json!({
            "received_at": "2026-11-20T22:43:16.042Z", "contact": { "id": "c-A", "name": "Ada" },
        });
        for (key, value) in data.as_object().unwrap() {
            whole[key] = value.clone();
        }
        json!({
            "specversion": "1.0", "id": id, "source": "/wagate/1", "type": format!("wagate.message.{kind}.v1"),
            "time": "2026-11-20T22:43:15Z", "datacontenttype": "application/json",
            "sequence": format!("{sequence:020}"), "data": whole,
        })
        .to_string()
    }

    pub(crate) fn sent(sequence: u64) -> String {
        let data = json!({
            "message": { "id": "wamid.B", "type": "text", "text": "At 9." },
            "sent": { "outbox_id": "o-1", "priority": "reply" },
        });
        record("sent", "o-1", sequence, &data)
    }

    pub(crate) fn status(sequence: u64, word: &str, outbox_id: Option<&str>) -> String {
        let data = json!({ "status": { "message_id": "wamid.B", "status": word, "outbox_id": outbox_id } });
        record("status", &format!("wamid.B:{word}"), sequence, &data)
    }

    fn lines(records: &[String]) -> Vec<(String, Option<Tick>)> {
        let mut conversation = Conversation::default();
        for json in records {
            let (record, sequence) = Record::parse(json).unwrap();
            conversation.take(&record, sequence);
        }
        conversation.lines.into_iter().map(|line| (line.text, line.tick)).collect()
    }

    #[test]
    fn a_reply_is_one_line_and_its_statuses_are_its_ticks() {
        let reply = |tick| vec![("At 9.".to_owned(), Some(tick))];
        let ours = Some("o-1");
        assert_eq!(lines(&[sent(2)]), reply(Tick::Accepted));
        let all = [sent(2), status(3, "sent", ours), status(4, "delivered", ours), status(5, "read", ours)];
        assert_eq!(lines(&all), reply(Tick::Read));
        assert_eq!(lines(&[sent(2), status(3, "failed", ours)]), reply(Tick::Failed));
        // By WhatsApp's name, where a status brings no outbox id.
        assert_eq!(lines(&[sent(2), status(3, "read", None)]), reply(Tick::Read));
    }

    #[test]
    fn a_status_may_come_before_the_record_of_the_sending_and_before_others() {
        let ours = Some("o-1");
        let early = [status(1, "delivered", ours), sent(2), status(3, "sent", ours)];
        assert_eq!(lines(&early[..1]), [("…".to_owned(), Some(Tick::Delivered))]);
        assert_eq!(lines(&early), [("At 9.".to_owned(), Some(Tick::Delivered))]);
    }

    #[test]
    fn what_the_gateway_did_not_send_keeps_lines_of_its_own() {
        assert_eq!(lines(&[status(1, "sent", None)]), [("sent".to_owned(), None)]);
        // A word that is no tick stays a line.
        assert_eq!(lines(&[sent(1), status(2, "deleted", Some("o-1"))]).len(), 2);
        let data = json!({ "message": { "id": "wamid.C", "type": "text", "text": "By phone" } });
        let echo = record("echo", "wamid.C", 3, &data);
        assert_eq!(lines(&[echo]), [("By phone".to_owned(), None)]);
    }

    #[test]
    fn the_name_is_the_one_that_the_customer_has() {
        let mut conversation = Conversation::default();
        let data = |name| json!({ "contact": { "id": "c-A", "phone": "+12125550100", "name": name }, "message": {} });
        for (json, name) in [
            (record("sent", "o-1", 1, &data(Value::Null)), "+12125550100"),
            (record("received", "wamid.A", 2, &data(json!("Ada"))), "Ada"),
            (record("sent", "o-2", 3, &data(Value::Null)), "Ada"),
        ] {
            let (record, sequence) = Record::parse(&json).unwrap();
            conversation.take(&record, sequence);
            assert_eq!(conversation.name.as_deref(), Some(name));
        }
    }

    #[test]
    fn ticks_only_go_forward() {
        let all = [Tick::Accepted, Tick::Sent, Tick::Delivered, Tick::Read, Tick::Failed];
        for one in all {
            for other in all {
                assert_eq!(one.and(other), other.and(one));
                assert_eq!(one.and(other).and(other), one.and(other));
                for third in all {
                    assert_eq!(
                        one.and(other).and(third),
                        one.and(other.and(third)),
                        "{one:?} {other:?} {third:?}"
                    );
                }
            }
        }
        assert_eq!(Tick::Sent.and(Tick::Failed), Tick::Failed);
        assert_eq!(Tick::Failed.and(Tick::Delivered), Tick::Delivered);
    }
}
