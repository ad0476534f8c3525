//! One message or status as a webhook holds it.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::contact::{Contact, Outbound};
use super::payload::PayloadOptions;
use super::text::{CAPTIONS, CHOICES, PLACES, push_escaped};
use crate::random::{Random, mix};
use crate::{Item, What};

/// One change under the pen.
pub(super) struct Change<'a> {
    pub(super) json: &'a mut String,
    pub(super) options: &'a PayloadOptions,
    pub(super) random: &'a mut Random,
    pub(super) contact: &'a mut Contact,
    /// The item's own number in the whole run.
    pub(super) number: u64,
}

impl Change<'_> {
    pub(super) fn write(&mut self) -> Item {
        self.contact.counter += 1;
        self.json
            .push_str(r#"{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":""#);
        push_escaped(self.json, &self.options.display_phone_number);
        self.json.push_str(r#"","phone_number_id":""#);
        push_escaped(self.json, &self.options.phone_number_id);
        self.json.push_str("\"},");
        self.contacts();
        let messages = 100_u64.saturating_sub(u64::from(self.options.statuses_percent));
        let (id, what, text) = match self.random.below(100) {
            // The messages share what the statuses leave, in parts of 55.
            roll if roll < messages => match roll * 55 / messages {
                0..45 => self.message("text"),
                45..49 => self.message("image"),
                49..53 => self.message("interactive"),
                _ => self.message("location"),
            },
            _ => self.status(),
        };
        self.json.push_str(r#"},"field":"messages"}"#);
        Item {
            id: id.into(),
            what,
            contact: self.contact.index,
            counter: self.contact.counter,
            name: Arc::clone(&self.contact.name),
            text,
            repeat: false,
        }
    }

    fn contacts(&mut self) {
        self.json.push_str(r#""contacts":[{"profile":{"name":""#);
        push_escaped(self.json, &self.contact.name);
        if let Some(username) = &self.contact.username {
            push(self.json, format_args!(r#"","username":"{username}"#));
        }
        self.json.push_str("\"}");
        if let Some(phone) = &self.contact.phone {
            push(self.json, format_args!(r#","wa_id":"{phone}""#));
        }
        push(self.json, format_args!(r#","user_id":"{}"}}],"#, self.contact.user_id));
    }

    fn message(&mut self, kind: &'static str) -> (String, What, &'static str) {
        let id = self.wamid("\u{12}");
        let text = match kind {
            "text" => *self.random.pick(self.contact.questions),
            "image" => *self.random.pick(CAPTIONS),
            _ => "",
        };
        self.json.push_str(r#""messages":[{"#);
        if let Some(phone) = &self.contact.phone {
            push(self.json, format_args!(r#""from":"{phone}","#));
        }
        let (user_id, timestamp) = (&self.contact.user_id, self.timestamp());
        push(
            self.json,
            format_args!(
                r#""from_user_id":"{user_id}","id":"{id}","timestamp":"{timestamp}","type":"{kind}","{kind}":{{"#
            ),
        );
        let text = match kind {
            "text" => {
                self.json.push_str(r#""body":""#);
                self.numbered(text);
                text
            }
            "image" => {
                self.picture(text);
                text
            }
            "interactive" => self.choice(),
            _ => self.place(),
        };
        self.json.push_str("}}]");
        (id, What::Message(kind), text)
    }

    /// `text #17` and the closing quote.
    fn numbered(&mut self, text: &str) {
        push_escaped(self.json, text);
        push(self.json, format_args!(" #{}\"", self.contact.counter));
    }

    fn picture(&mut self, caption: &str) {
        self.json.push_str(r#""caption":""#);
        self.numbered(caption);
        let hash: Vec<u8> = (0..4).flat_map(|_| self.random.next_u64().to_be_bytes()).collect();
        let media = 10_u64.pow(15) + self.random.below(9 * 10_u64.pow(15));
        self.json.push_str(r#","mime_type":"image\/jpeg","sha256":""#);
        push_escaped(self.json, &STANDARD.encode(hash));
        let (lookaside, ends) =
            (r"https:\/\/lookaside.fbsbx.com\/whatsapp_business\/attachments", self.timestamp() + 300);
        push(
            self.json,
            format_args!(r#"","id":"{media}","url":"{lookaside}\/?mid={media}&source=webhook&ext={ends}""#),
        );
    }

    fn choice(&mut self) -> &'static str {
        let (id, title) = *self.random.pick(CHOICES);
        let kind = if self.random.percent(50) { "button_reply" } else { "list_reply" };
        push(self.json, format_args!(r#""type":"{kind}","{kind}":{{"id":"{id}","title":""#));
        self.numbered(title);
        self.json.push('}');
        title
    }

    fn place(&mut self) -> &'static str {
        let (latitude, longitude, name, address) = *self.random.pick(PLACES);
        push(self.json, format_args!(r#""latitude":{latitude},"longitude":{longitude},"name":""#));
        self.numbered(name);
        self.json.push_str(r#","address":""#);
        push_escaped(self.json, address);
        self.json.push('"');
        name
    }

    fn status(&mut self) -> (String, What, &'static str) {
        let mut outbound = self.contact.outbound.take().unwrap_or_else(|| {
            let mut to_come = vec!["read", "delivered", "sent"];
            if self.options.disorder_percent > 0 && self.random.percent(self.options.disorder_percent) {
                let by = 1 + usize::try_from(self.random.below(2)).unwrap_or_default();
                to_come.rotate_left(by);
            }
            Outbound { wamid: self.wamid("\u{11}"), to_come }
        });
        let status = outbound.to_come.pop().unwrap_or("read");
        let (wamid, timestamp) = (&outbound.wamid, self.timestamp());
        push(
            self.json,
            format_args!(r#""statuses":[{{"id":"{wamid}","status":"{status}","timestamp":"{timestamp}""#),
        );
        if let Some(phone) = &self.contact.phone {
            push(self.json, format_args!(r#","recipient_id":"{phone}""#));
        }
        push(self.json, format_args!(r#","recipient_user_id":"{}""#, self.contact.user_id));
        if status != "read" {
            self.price(status);
        }
        self.json.push_str("}]");
        let id = format!("{wamid}:{status}");
        self.contact.outbound = (!outbound.to_come.is_empty()).then_some(outbound);
        (id, What::Status(status), "")
    }

    fn price(&mut self, status: &str) {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        push(self.json, format_args!(r#","conversation":{{"id":"{high:016x}{low:016x}""#));
        if status == "sent" {
            let ends = self.timestamp().saturating_add(24 * 60 * 60);
            push(self.json, format_args!(r#","expiration_timestamp":"{ends}""#));
        }
        self.json.push_str(
            r#","origin":{"type":"utility"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"}"#,
        );
    }

    /// A message id in Meta's form: base 64 of a few tags, the person and 20 hexadecimal digits.
    fn wamid(&self, direction: &str) -> String {
        let person = self.contact.phone.as_deref().unwrap_or(&self.contact.user_id);
        let mut bytes = vec![0x1c, 0x18, u8::try_from(person.len()).unwrap_or_default()];
        bytes.extend_from_slice(person.as_bytes());
        bytes.extend_from_slice(&[0x15, 0x02, 0x00]);
        bytes.extend_from_slice(direction.as_bytes());
        // Unique within a run since `mix` is a bijection, and between runs by chance.
        let unique = mix(mix(self.options.seed).wrapping_add(self.number));
        bytes.extend_from_slice(
            format!("\u{18}\u{14}{:04X}{unique:016X}\0", self.options.seed & 0xFFFF).as_bytes(),
        );
        let mut id = String::from("wamid.");
        STANDARD.encode_string(bytes, &mut id);
        id
    }

    fn timestamp(&self) -> i64 {
        let passed = self.number / u64::from(self.options.items_per_second.max(1));
        self.options.starts_at.saturating_add_unsigned(passed)
    }
}

fn push(json: &mut String, text: std::fmt::Arguments<'_>) {
    json.write_fmt(text).expect("writing to a string cannot fail");
}
