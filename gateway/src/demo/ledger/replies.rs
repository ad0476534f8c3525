//! The way back: each reply from its posting to the customer's eyes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use simulate::Histogram;
use simulate::crm::{Reply, Tick};
use simulate::graph::{Outcome, Posting};

use super::{Ledger, Line, Mood, OnDisk, Sent};
use crate::demo::text;

/// What is known of replies before their 202 has been read; the oldest are forgotten.
const EARLY_MAX: usize = 64;

/// Which line is whose.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// By place among the replies, until the line goes.
    by_number: HashMap<usize, u64>,
    by_id: HashMap<Arc<str>, u64>,
    early: VecDeque<(Box<str>, Step)>,
    pub(super) queued: Histogram,
    pub(super) accepted: Histogram,
}

/// Something that happened to a reply.
#[derive(Debug)]
enum Step {
    /// WhatsApp took it, with these words.
    Taken(Option<String>),
    Tick(Tick),
}

impl Replies {
    /// The line is no longer shown.
    pub(super) fn forget(&mut self, sent: &Sent) {
        self.by_number.remove(&sent.reply.number);
        if let Some(outbox_id) = &sent.outbox_id {
            self.by_id.remove(outbox_id);
        }
    }
}

impl Ledger {
    /// From posting to the 202.
    pub(in crate::demo) const fn queued(&self) -> &Histogram {
        &self.replies.queued
    }

    /// From posting to WhatsApp's taking it.
    pub(in crate::demo) const fn accepted(&self) -> &Histogram {
        &self.replies.accepted
    }

    /// Replies that may get further than they did.
    pub(in crate::demo) fn unfinished(&self) -> Vec<Line> {
        let open = |line: &&Line| matches!(line, Line::Reply(sent) if !sent.is_final());
        self.lines.values().filter(open).cloned().collect()
    }

    /// The CRM posts a reply, not always for the first time.
    pub(super) fn replying(&mut self, reply: &Arc<Reply>, now: Duration) {
        if self.replies.by_number.contains_key(&reply.number) {
            return;
        }
        self.totals.replies += 1;
        self.replies.by_number.insert(reply.number, self.next);
        self.push(Line::Reply(Sent {
            posted_at: now,
            reply: Arc::clone(reply),
            on_disk: OnDisk::Asked,
            tick: None,
            accepted: None,
            latest: None,
            outbox_id: None,
            unseen: false,
        }));
    }

    /// The gateway has queued a reply: it is on disk.
    pub(super) fn was_queued(
        &mut self,
        reply: &Reply,
        outbox_id: &Arc<str>,
        after: Duration,
        now: Duration,
    ) -> Vec<Line> {
        let Some((number, sent)) = self.reply(reply.number) else { return Vec::new() };
        if sent.outbox_id.is_some() {
            self.totals.asked_again += 1;
            return Vec::new();
        }
        sent.outbox_id = Some(Arc::clone(outbox_id));
        sent.on_disk = OnDisk::Acknowledged(after);
        self.totals.queued += 1;
        self.replies.queued.record(after);
        self.replies.by_id.insert(Arc::clone(outbox_id), number);
        let (mine, others) = std::mem::take(&mut self.replies.early)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(early, _)| **early == **outbox_id);
        self.replies.early = others;
        mine.into_iter().filter_map(|(_, step)| self.step(number, step, now)).collect()
    }

    /// The gateway hasn't queued a reply.
    pub(super) fn was_not_queued(&mut self, reply: &Reply, why: &str, given_up: bool, now: Duration) -> Line {
        if let Some((_, sent)) = self.reply(reply.number)
            && sent.outbox_id.is_none()
        {
            sent.on_disk = OnDisk::Failed(why.to_owned());
            if given_up {
                sent.tick = Some(Tick::Failed);
            }
        }
        let then = if given_up { "the CRM gives it up" } else { "the CRM posts it again" };
        self.note(Mood::Bad, format!("A reply {}: {then}.", text::harmless(why)), now)
    }

    /// The gateway has posted a message to WhatsApp.
    pub(in crate::demo) fn posting(&mut self, posting: &Posting, now: Duration) -> Vec<Line> {
        match posting.outcome {
            Outcome::Accepted | Outcome::Unanswered => {
                self.totals.accepted += 1;
                let Some(outbox_id) = &posting.outbox_id else { return Vec::new() };
                // The record of it has this name.
                self.set_out(outbox_id.as_str().into(), None, now);
                self.happened(outbox_id, Step::Taken(posting.words.clone()), now)
            }
            Outcome::Ignored => Vec::new(),
            Outcome::Refused(code) => {
                vec![self.note(Mood::Bad, format!("WhatsApp refused a reply with {code}."), now)]
            }
        }
    }

    /// A status came to the CRM.
    pub(super) fn ticked(&mut self, outbox_id: &str, tick: Tick, now: Duration) -> Vec<Line> {
        self.happened(outbox_id, Step::Tick(tick), now)
    }

    fn happened(&mut self, outbox_id: &str, step: Step, now: Duration) -> Vec<Line> {
        if let Some(number) = self.replies.by_id.get(outbox_id).copied() {
            return self.step(number, step, now).into_iter().collect();
        }
        self.replies.early.push_back((outbox_id.into(), step));
        if self.replies.early.len() > EARLY_MAX {
            self.replies.early.pop_front();
        }
        Vec::new()
    }

    /// Gives the line if nothing more happens to it.
    fn step(&mut self, number: u64, step: Step, now: Duration) -> Option<Line> {
        let Some(Line::Reply(sent)) = self.lines.get_mut(&number) else { return None };
        let after = now.saturating_sub(sent.posted_at);
        let tick = match step {
            Step::Taken(words) => {
                self.totals.altered += u64::from(words.as_deref() != Some(sent.reply.text));
                sent.accepted = Some(after);
                self.replies.accepted.record(after);
                Tick::Accepted
            }
            Step::Tick(tick) => tick,
        };
        let before = sent.tick;
        let got = before.map_or(tick, |before| before.and(tick));
        if before == Some(got) {
            return None;
        }
        (sent.tick, sent.latest) = (Some(got), Some(after));
        let had = |tick| before.is_some_and(|before| before != Tick::Failed && before >= tick);
        if matches!(got, Tick::Delivered | Tick::Read) {
            self.totals.delivered += u64::from(!had(Tick::Delivered));
            self.totals.read += u64::from(got == Tick::Read);
        }
        self.totals.failed += u64::from(got == Tick::Failed);
        sent.is_final().then(|| Line::Reply(sent.clone()))
    }

    /// The line of the reply at this place, with its number.
    fn reply(&mut self, place: usize) -> Option<(u64, &mut Sent)> {
        let number = *self.replies.by_number.get(&place)?;
        match self.lines.get_mut(&number) {
            Some(Line::Reply(sent)) => Some((number, sent)),
            Some(Line::Row(_) | Line::Note(_)) | None => None,
        }
    }
}
