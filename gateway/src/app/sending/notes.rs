//! What the CRM is told of its messages: records that the box itself makes.

use std::collections::BTreeMap;

use model::{Account, Item, WallTime};
use outbox::Note;
use records::made;

use crate::config::Config;

/// Makes records of notes.
pub(super) struct Notes {
    phones: BTreeMap<String, Option<String>>,
}

impl Notes {
    pub(super) fn new(config: &Config) -> Self {
        let numbers = config.numbers.iter();
        Self {
            phones: numbers.map(|number| (number.phone_number_id.clone(), number.phone.clone())).collect(),
        }
    }

    pub(super) fn items(&self, notes: &[Note], now_ms: i64) -> Vec<Item> {
        notes.iter().map(|note| self.item(note, now_ms)).collect()
    }

    fn account(&self, number: &str) -> Account {
        let phone = self.phones.get(number).cloned().flatten();
        Account { waba_id: None, phone_number_id: Some(number.to_owned()), phone }
    }

    fn item(&self, note: &Note, now_ms: i64) -> Item {
        match note {
            Note::Sent(sent) => {
                let account = self.account(&sent.number);
                let contact = made::recipient(&sent.to, sent.wa_id.as_deref(), sent.user_id.as_deref());
                made::sent_item(&made::Sent {
                    account: &account,
                    contact: &contact,
                    outbox_id: sent.id,
                    wamid: sent.wamid.as_deref(),
                    to: &sent.to,
                    payload: &sent.payload,
                    priority: sent.priority,
                    endpoint: sent.endpoint.as_deref().unwrap_or_default(),
                    fallback_used: sent.fell_back,
                    attempts: sent.attempts,
                    queued_at: WallTime(sent.queued_ms),
                    accepted_at: WallTime(sent.accepted_ms),
                })
            }
            Note::Unread { id, number, to, wamid, accepted_ms, delivered_ms, .. } => {
                let account = self.account(number);
                let contact = made::recipient(to, None, None);
                made::unread_item(&made::Unread {
                    account: &account,
                    contact: &contact,
                    outbox_id: *id,
                    wamid,
                    sent_at: WallTime(*accepted_ms),
                    delivered_at: delivered_ms.map(WallTime),
                    noticed_at: WallTime(now_ms),
                })
            }
        }
    }
}
