//! The books of the way back: what the CRM wrote, what WhatsApp took, and what the CRM was told of it.

use std::collections::HashMap;

use simulate::crm::{Followed, Written};
use simulate::graph::Letter;

/// What comparing the books gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WayBack {
    /// Replies that the CRM wrote.
    pub(super) written: u64,
    /// Of those, queued by the gateway.
    pub(super) queued: u64,
    /// Replies that were posted twice and queued once.
    pub(super) asked_again: u64,
    /// Replies that got another name when they were posted again: the customer gets them twice.
    pub(super) renamed: u64,
    /// Queued replies that WhatsApp took.
    pub(super) accepted: u64,
    /// Of those, taken more than once.
    pub(super) twice: u64,
    /// Messages that WhatsApp took, and that somebody else had the gateway send: the CRM has a record.
    pub(super) others: u64,
    /// Messages that WhatsApp took and the CRM knows nothing of.
    pub(super) strangers: u64,
    /// Replies that reached WhatsApp after a later one to the same customer.
    pub(super) late: u64,
    /// Replies taken whose record (`wagate.message.sent.v1`) never came to the CRM.
    pub(super) unrecorded: u64,
    /// Replies taken of which the CRM doesn't know that they were sent and delivered.
    pub(super) untold: u64,
    /// Replies that failed.
    pub(super) failed: u64,
    /// Statuses that came to the CRM, by word.
    pub(super) sent: u64,
    pub(super) delivered: u64,
    pub(super) read: u64,
}

impl WayBack {
    /// Compares. `letters` are WhatsApp's, `followed` is what the CRM was told by outbox id.
    pub(super) fn of(written: &[Written], letters: &[Letter], followed: impl Fn(&str) -> Followed) -> Self {
        let mut back = Self { written: written.len() as u64, ..Self::default() };
        let mut taken: HashMap<&str, &Letter> = letters
            .iter()
            .filter(|letter| letter.accepted > 0)
            .map(|letter| (letter.outbox_id.as_str(), letter))
            .collect();
        let mut last: HashMap<&str, u64> = HashMap::new();
        for written in written {
            let Some(outbox_id) = &written.outbox_id else { continue };
            back.queued += 1;
            back.asked_again += u64::from(written.queued > 1);
            back.renamed += u64::from(written.renamed);
            let Some(letter) = taken.remove(outbox_id.as_str()) else { continue };
            back.accepted += 1;
            back.twice += u64::from(letter.accepted > 1);
            let place = letter.place.unwrap_or_default();
            let last = last.entry(&written.reply.to).or_default();
            back.late += u64::from(place < *last);
            *last = place.max(*last);
            let told = followed(outbox_id);
            back.unrecorded += u64::from(!told.recorded);
            back.untold += u64::from(!(told.failed || told.sent && told.delivered));
            back.failed += u64::from(told.failed);
            back.sent += u64::from(told.sent);
            back.delivered += u64::from(told.delivered);
            back.read += u64::from(told.read);
        }
        for (outbox_id, letter) in taken {
            back.twice += u64::from(letter.accepted > 1);
            let known = followed(outbox_id).recorded;
            back.others += u64::from(known);
            back.strangers += u64::from(!known);
        }
        back
    }

    /// Records of sendings that the CRM got.
    pub(super) const fn recorded(&self) -> u64 {
        self.accepted - self.unrecorded + self.others
    }

    /// How often something isn't as promised, with what it is.
    pub(super) fn faults(&self) -> [(u64, &'static str, &'static str); 9] {
        [
            (self.written - self.queued, "reply", "never queued"),
            (self.queued - self.accepted, "reply", "queued and hadn't reached WhatsApp at the end"),
            (self.renamed, "reply", "queued twice under one Idempotency-Key"),
            (self.twice, "message", "taken by WhatsApp more than once"),
            (self.strangers, "message", "taken by WhatsApp that the CRM knows nothing of"),
            (self.late, "reply", "sent after a later one to the same customer"),
            (self.unrecorded, "reply", "sent without a record in the CRM"),
            (self.untold, "reply", "sent, and nobody told the CRM of the delivery"),
            (self.failed, "reply", "not delivered"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use simulate::crm::Reply;

    use super::*;

    fn written(number: usize, to: &str) -> Written {
        let reply = Reply {
            number,
            key: format!("reply-{number}"),
            to: to.into(),
            name: None,
            text: "At 9.",
            asked_at: Instant::now(),
        };
        Written {
            reply: Arc::new(reply),
            outbox_id: Some(format!("o-{number}")),
            queued: 1,
            renamed: false,
            refused: None,
            closed: true,
        }
    }

    fn letter(number: usize, place: u64) -> Letter {
        Letter {
            outbox_id: format!("o-{number}"),
            recipient: String::new(),
            number: "1".into(),
            posted: 1,
            accepted: 1,
            place: Some(place),
            wamids: Vec::new(),
            posted_by: Vec::new(),
            taken_by: Vec::new(),
            user_id_in: None,
            first_ms: 0,
            last_ms: 0,
        }
    }

    const ALL: Followed = Followed { recorded: true, sent: true, delivered: true, read: true, failed: false };

    fn faulty(back: &WayBack) -> Vec<&'static str> {
        back.faults().into_iter().filter(|(times, ..)| *times > 0).map(|(_, _, what)| what).collect()
    }

    #[test]
    fn when_every_book_says_the_same_nothing_is_wrong() {
        let replies = [written(0, "+1"), Written { queued: 2, ..written(1, "+1") }, written(2, "+2")];
        let letters = [letter(2, 1), letter(0, 2), letter(1, 3)];
        let back = WayBack::of(&replies, &letters, |_| ALL);
        let expected = WayBack {
            written: 3,
            queued: 3,
            asked_again: 1,
            accepted: 3,
            sent: 3,
            delivered: 3,
            read: 3,
            ..WayBack::default()
        };
        assert_eq!(back, expected);
        assert_eq!(faulty(&back), [""; 0]);
    }

    #[test]
    fn every_fault_is_found_by_itself() {
        let two = || [written(0, "+1"), written(1, "+1")];
        let fine = || vec![letter(0, 1), letter(1, 2)];
        let unqueued = [written(0, "+1"), Written { outbox_id: None, ..written(1, "+1") }];
        let renamed = [written(0, "+1"), Written { renamed: true, ..written(1, "+1") }];
        let none = Followed::default();
        let told_of = |told: Followed| move |id: &str| if id == "o-9" { none } else { told };
        for (replies, letters, told, fault) in [
            (unqueued, vec![letter(0, 1)], ALL, "never queued"),
            (two(), vec![letter(0, 1)], ALL, "queued and hadn't reached WhatsApp at the end"),
            (renamed, fine(), ALL, "queued twice under one Idempotency-Key"),
            (
                two(),
                vec![letter(0, 1), Letter { accepted: 2, ..letter(1, 2) }],
                ALL,
                "taken by WhatsApp more than once",
            ),
            (
                two(),
                vec![letter(0, 1), letter(1, 2), letter(9, 3)],
                ALL,
                "taken by WhatsApp that the CRM knows nothing of",
            ),
            (two(), vec![letter(0, 2), letter(1, 1)], ALL, "sent after a later one to the same customer"),
            (two(), fine(), Followed { recorded: false, ..ALL }, "sent without a record in the CRM"),
            (
                two(),
                fine(),
                Followed { delivered: false, ..ALL },
                "sent, and nobody told the CRM of the delivery",
            ),
            (two(), fine(), Followed { recorded: true, failed: true, ..none }, "not delivered"),
        ] {
            assert_eq!(faulty(&WayBack::of(&replies, &letters, told_of(told))), [fault]);
        }
    }

    #[test]
    fn what_others_send_is_no_fault_if_the_crm_is_told() {
        let back = WayBack::of(&[written(0, "+1")], &[letter(0, 1), letter(9, 2)], |_| ALL);
        assert_eq!((faulty(&back), back.others, back.recorded()), (Vec::new(), 1, 2));
    }

    #[test]
    fn what_was_refused_by_whatsapp_was_not_taken() {
        let back =
            WayBack::of(&[written(0, "+1")], &[Letter { accepted: 0, place: None, ..letter(0, 1) }], |_| ALL);
        assert_eq!(faulty(&back), ["queued and hadn't reached WhatsApp at the end"]);
    }
}
