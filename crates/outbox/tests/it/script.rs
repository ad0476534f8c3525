//! An outbox that is told everything by hand, for one question at a time.

use std::collections::BTreeMap;

use model::{
    Address, Fact, OutboxId, Outcome, Pricing, Priority, Refusal, Says, Sequence, Standing, StatusWord,
    WallTime,
};
use policy::sending::Zone;
use wagate_outbox::{
    Call, Called, Draft, Enqueue, Fallback, Kind, Note, Number, Outbox, Queued, Settings, Shown, Turn,
};

use crate::table::Disk;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2026-11-20T10:00:00Z: the middle of a day in Hong Kong.
pub(crate) const BEGIN: i64 = 1_795_168_800_000;

pub(crate) struct Script {
    pub(crate) disk: Disk,
    pub(crate) outbox: Outbox,
    pub(crate) now: i64,
    serial: u64,
    sequence: u64,
    pub(crate) next: Option<i64>,
    pub(crate) notes: Vec<Note>,
    /// Messages that came to stand otherwise, all turns in order.
    pub(crate) stood: Vec<(OutboxId, Standing)>,
    /// Calls that were handed out and aren't answered.
    pub(crate) calls: Vec<Call>,
}

pub(crate) fn number() -> Number {
    Number {
        zone: Zone::new("Asia/Hong_Kong").unwrap(),
        portfolio: "default".to_owned(),
        messages_per_day: 1_000,
        calls_per_day: 10_000,
        recipients_per_day: 250,
        per_second: 80,
        batch_above: 0.8,
        batch_every_ms: 15 * MINUTE,
        endpoints: 1,
    }
}

pub(crate) fn settings(change: impl FnOnce(&mut Number)) -> Settings {
    let mut number = number();
    change(&mut number);
    Settings {
        numbers: BTreeMap::from([("1".to_owned(), number)]),
        send_again_after_ms: [None; 3],
        history_ms: 40 * DAY,
        rates: None,
    }
}

/// A message to a contact, which is all that most questions need.
pub(crate) struct Wish {
    pub(crate) number: &'static str,
    pub(crate) contact: u128,
    pub(crate) priority: Priority,
    pub(crate) kind: Kind,
    pub(crate) fallback: bool,
    pub(crate) expires: Option<i64>,
}

pub(crate) fn template(contact: u128) -> Wish {
    let kind = Kind::Template;
    Wish { number: "1", contact, priority: Priority::Service, kind, fallback: false, expires: None }
}

pub(crate) fn free(contact: u128) -> Wish {
    Wish { kind: Kind::FreeForm, priority: Priority::Reply, ..template(contact) }
}

pub(crate) fn mark(contact: u128) -> Wish {
    Wish { kind: Kind::ReadMark, ..free(contact) }
}

pub(crate) fn campaign(contact: u128) -> Wish {
    Wish { priority: Priority::Campaign, ..template(contact) }
}

impl Script {
    pub(crate) fn new(settings: Settings) -> Self {
        let disk = Disk::default();
        let (outbox, _) = Outbox::open(&disk, settings, BEGIN).unwrap();
        Self {
            disk,
            outbox,
            // The pace of a number begins as if it had just been used up.
            now: BEGIN + 2 * SECOND,
            serial: 0,
            sequence: 0,
            next: None,
            notes: Vec::new(),
            stood: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// A turn, made durable; its calls are handed out.
    pub(crate) fn turn<T>(&mut self, ask: impl FnOnce(&mut Turn<'_>) -> T) -> T {
        let mut turn = self.outbox.turn(&self.disk, self.now);
        let said = ask(&mut turn);
        let more = turn.advance().unwrap();
        let done = turn.finish().unwrap();
        self.disk.apply(&done.changes);
        self.outbox.commit(&done);
        self.notes.extend(done.notes.iter().cloned());
        self.stood.extend(done.stood.iter().copied());
        self.calls.extend(done.calls.iter().cloned());
        self.next = if more { Some(self.now) } else { done.next_ms };
        said
    }

    /// Lets so much time pass, with a turn whenever one is asked for.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.pass_unchecked(ms);
        if self.disk.count(b'm') < 100 {
            self.audit();
        }
    }

    /// The same while the table is damaged.
    pub(crate) fn pass_unchecked(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.turn(|_| ());
        }
        self.now = end;
        self.turn(|_| ());
    }

    pub(crate) fn audit(&self) {
        let audit = wagate_outbox::audit(&self.outbox, &self.disk).unwrap();
        assert!(audit.faults.is_empty(), "{:#?}", audit.faults);
    }

    pub(crate) fn draft(&mut self, wish: &Wish) -> Draft {
        self.serial += 1;
        Draft {
            number: wish.number.to_owned(),
            to: (wish.kind != Kind::ReadMark).then(|| Address::Phone(format!("+8526123{:04}", wish.contact))),
            contact: wish.contact,
            priority: wish.priority,
            kind: wish.kind,
            template: (wish.kind == Kind::Template).then(|| "hello".to_owned()),
            payload: format!("{:?}", wish.kind),
            fallback: wish
                .fallback
                .then(|| Fallback { payload: "fallback".to_owned(), template: "hello".to_owned() }),
            expires_ms: wish.expires.map(|after| self.now + after),
            chance: self.serial,
        }
    }

    pub(crate) fn queue_all(&mut self, wishes: &[Wish]) -> Queued {
        let drafts: Vec<Draft> = wishes.iter().map(|wish| self.draft(wish)).collect();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.serial.to_be_bytes());
        let call = Enqueue { key, body: [1; 16], drafts };
        self.turn(|turn| turn.enqueue(call).unwrap().unwrap())
    }

    pub(crate) fn queue(&mut self, wish: Wish) -> OutboxId {
        self.queue_all(&[wish]).id
    }

    /// The answer to the open call of a message.
    pub(crate) fn answer(&mut self, id: OutboxId, outcome: Outcome) {
        self.answer_from(id, outcome, false);
    }

    /// The same from an endpoint that may not be in use any more.
    pub(crate) fn answer_from(&mut self, id: OutboxId, outcome: Outcome, left: bool) {
        let place = self.calls.iter().position(|call| call.id == id).expect("a call is open");
        let number = self.calls.remove(place).number;
        let called =
            Called { id, number, endpoint: "meta".to_owned(), left, outcome, slow_for_ms: None, chance: 7 };
        self.turn(|turn| turn.called(called).unwrap());
    }

    pub(crate) fn accept(&mut self, id: OutboxId) {
        self.answer(id, accepted(id));
    }

    pub(crate) fn refuse(&mut self, id: OutboxId, code: i64) {
        self.answer(id, Outcome::Refused(refusal(code)));
    }

    /// Answers every open call with yes; who they were.
    pub(crate) fn accept_all(&mut self) -> Vec<OutboxId> {
        let ids: Vec<OutboxId> = self.calls.iter().map(|call| call.id).collect();
        for id in &ids {
            self.accept(*id);
        }
        ids
    }

    /// Lets everything go that goes at once, within a minute; who went.
    pub(crate) fn drain(&mut self) -> Vec<OutboxId> {
        let mut went = Vec::new();
        for _ in 0..60 {
            while !self.calls.is_empty() {
                went.extend(self.accept_all());
            }
            self.pass(SECOND);
        }
        went
    }

    pub(crate) fn fact(&mut self, number: Option<&str>, contact: Option<u128>, says: Says) {
        self.sequence += 1;
        let fact = Fact {
            sequence: Sequence(self.sequence),
            at: Some(WallTime(self.now)),
            number: number.map(str::to_owned),
            contact,
            says,
        };
        self.turn(|turn| turn.learn(fact).unwrap());
    }

    pub(crate) fn wrote(&mut self, contact: u128) {
        self.fact(Some("1"), Some(contact), Says::Inbound { wamid: "in".to_owned() });
    }

    pub(crate) fn status(&mut self, id: OutboxId, word: StatusWord) {
        let refusal = (word == StatusWord::Failed).then(|| refusal(131_026));
        self.status_of(Some(id), wamid(id), word, refusal, None);
    }

    pub(crate) fn status_of(
        &mut self,
        outbox_id: Option<OutboxId>,
        wamid: String,
        word: StatusWord,
        refusal: Option<Refusal>,
        pricing: Option<Pricing>,
    ) {
        let wamid = Some(wamid);
        let says = Says::Status { wamid, outbox_id, word, refusal, pricing, of_participant: false };
        self.fact(Some("1"), None, says);
    }

    pub(crate) fn shown(&self, id: OutboxId) -> Shown {
        self.outbox.turn(&self.disk, self.now).message(id).unwrap().unwrap()
    }

    pub(crate) fn standing(&self, id: OutboxId) -> Standing {
        self.shown(id).standing
    }

    /// Messages used of the day, and recipients of the moving day.
    pub(crate) fn used(&self) -> (u64, u64) {
        let quotas = self.outbox.turn(&self.disk, self.now).quotas().unwrap();
        (quotas[0].used, quotas[2].used)
    }

    /// The program ends without a word and starts again at once.
    pub(crate) fn crash(&mut self) {
        let settings = self.outbox.settings().clone();
        self.restart(settings);
    }

    pub(crate) fn restart(&mut self, settings: Settings) {
        self.start(settings);
        self.audit();
    }

    /// A crash while the table is damaged.
    pub(crate) fn crash_unchecked(&mut self) {
        let settings = self.outbox.settings().clone();
        self.start(settings);
    }

    fn start(&mut self, settings: Settings) {
        let (outbox, done) = Outbox::open(&self.disk, settings, self.now).unwrap();
        self.outbox = outbox;
        self.calls.clear();
        self.disk.apply(&done.changes);
        self.outbox.commit(&done);
        self.next = Some(self.now);
    }
}

pub(crate) fn wamid(id: OutboxId) -> String {
    format!("wamid.{}", id.place)
}

pub(crate) fn accepted(id: OutboxId) -> Outcome {
    Outcome::Accepted { wamid: Some(wamid(id)), wa_id: None, user_id: None, pacing: None }
}

pub(crate) fn unknown() -> Outcome {
    Outcome::Unknown { reason: "no answer".to_owned() }
}

pub(crate) fn refusal(code: i64) -> Refusal {
    Refusal {
        code: Some(code),
        details: "no".to_owned(),
        http: Some(400),
        retry_after_ms: None,
        transient: false,
    }
}
