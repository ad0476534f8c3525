//! A simulated Graph: it takes posts, answers by a plan, sends statuses in any order, and keeps what it received.

use model::{Fact, OutboxId, Outcome, Pricing, Refusal, Says, Sequence, StatusWord, WallTime};
use wagate_outbox::{Call, Called, Kind};

use crate::chance::Chance;

/// What becomes of one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Taken, and said.
    Accept,
    /// Taken, and the answer is lost.
    LoseAnswer,
    /// It never arrives, and the box can't know that.
    Vanish,
    /// There is no connection.
    NotSent,
    /// An answer that says no.
    Refuse(i64),
    /// An answer that doesn't say whether it was taken; whether it was.
    Doubtful(i64, bool),
}

impl Plan {
    /// Graph has the message.
    pub(crate) const fn is_taken(&self) -> bool {
        matches!(self, Self::Accept | Self::LoseAnswer | Self::Doubtful(_, true))
    }
}

/// How Graph is disposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Mixed,
    Lossy,
    Throttling,
    Unpaid,
    Choosy,
    Away,
}

pub(crate) const MOODS: [Mood; 7] =
    [Mood::Well, Mood::Mixed, Mood::Lossy, Mood::Throttling, Mood::Unpaid, Mood::Choosy, Mood::Away];

pub(crate) fn plan(mood: Mood, chance: &mut Chance) -> Plan {
    let usual = chance.below(100);
    match mood {
        Mood::Well => Plan::Accept,
        Mood::Lossy => match usual {
            0..30 => Plan::LoseAnswer,
            30..55 => Plan::Vanish,
            55..65 => Plan::Doubtful(131_000, chance.once_in(2)),
            _ => Plan::Accept,
        },
        Mood::Throttling => match usual {
            0..40 => Plan::Refuse(130_429),
            40..70 => Plan::Refuse(131_056),
            _ => Plan::Accept,
        },
        Mood::Unpaid => match usual {
            0..70 => Plan::Refuse(190),
            70..80 => Plan::Refuse(131_048),
            _ => Plan::Accept,
        },
        Mood::Choosy => match usual {
            0..25 => Plan::Refuse(131_047),
            25..40 => Plan::Refuse(131_049),
            40..50 => Plan::Refuse(131_050),
            50..60 => Plan::Refuse(100),
            60..65 => Plan::Refuse(131_026),
            65..75 => Plan::Refuse(131_056),
            _ => Plan::Accept,
        },
        Mood::Away => match usual {
            0..70 => Plan::NotSent,
            70..80 => Plan::Vanish,
            _ => Plan::Accept,
        },
        Mood::Mixed => {
            let moods = [Mood::Well, Mood::Lossy, Mood::Throttling, Mood::Unpaid, Mood::Choosy, Mood::Away];
            let mood = chance.pick(&moods);
            if mood == Mood::Unpaid && !chance.once_in(4) { Plan::Accept } else { plan(mood, chance) }
        }
    }
}

/// What came of a post, as far as the outbox has written it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The call is open, or its answer was lost in a crash.
    Open,
    Accepted,
    /// Surely not sent.
    Refused,
    /// It never left.
    NotSent,
    Unknown,
}

/// A post that Graph was sent.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) id: OutboxId,
    pub(crate) number: String,
    pub(crate) contact: u128,
    pub(crate) kind: Kind,
    /// Outside the window, as the simulation knows it.
    pub(crate) push: bool,
    pub(crate) recipients_max: u64,
    /// By the outbox's `now`.
    pub(crate) at: i64,
    /// When Graph has it, by the same clock.
    pub(crate) arrives: i64,
    pub(crate) day: i32,
    pub(crate) taken: bool,
    pub(crate) settled: Settled,
    /// When the answer was written down, by the same clock.
    pub(crate) ended: Option<i64>,
}

/// The answer to a post.
pub(crate) fn answer(plan: &Plan, call: &Call, wamid: &str, chance: &mut Chance) -> Called {
    let refusal = |code: i64| Refusal {
        code: Some(code),
        details: "simulated".to_owned(),
        http: Some(if code == 131_000 { 500 } else { 400 }),
        retry_after_ms: None,
        transient: false,
    };
    let outcome = match plan {
        Plan::Accept => Outcome::Accepted {
            wamid: (!chance.once_in(20) && call.kind != Kind::ReadMark).then(|| wamid.to_owned()),
            wa_id: None,
            user_id: None,
            pacing: None,
        },
        Plan::LoseAnswer | Plan::Vanish => Outcome::Unknown { reason: "no answer".to_owned() },
        Plan::NotSent => Outcome::NotSent { reason: "no route".to_owned() },
        Plan::Refuse(code) | Plan::Doubtful(code, _) => Outcome::Refused(refusal(*code)),
    };
    let slow_for_ms = chance.once_in(40).then(|| chance.below(60_000));
    Called {
        id: call.id,
        number: call.number.clone(),
        endpoint: "meta".to_owned(),
        left: chance.once_in(8),
        outcome,
        slow_for_ms,
        chance: chance.next(),
    }
}

/// What Graph makes known of a message that it took: after so many milliseconds each. Any order, twice, with the outbox id or without.
pub(crate) fn statuses(call: &Call, contact: u128, wamid: &str, chance: &mut Chance) -> Vec<(i64, Fact)> {
    if call.kind == Kind::ReadMark || chance.once_in(6) {
        return Vec::new();
    }
    let with_id = !chance.once_in(4);
    let mut words = vec![StatusWord::Sent, StatusWord::Delivered, StatusWord::Read];
    words.truncate(1 + usize::try_from(chance.below(3)).unwrap());
    let mut refusal = None;
    if chance.once_in(8) {
        words.push(StatusWord::Failed);
        refusal = Some(Refusal {
            code: Some(chance.pick(&[131_026, 131_047, 131_050, 131_049])),
            ..Refusal::default()
        });
    }
    if chance.once_in(3) {
        words.push(words[0]);
    }
    let pricing = Pricing { category: "utility".to_owned(), kind: "regular".to_owned() };
    words
        .into_iter()
        .map(|word| {
            let after = chance.pick(&[0, 50, 2_000, 30_000, 3_600_000]) + chance.span(0, 5_000);
            let says = Says::Status {
                wamid: Some(wamid.to_owned()),
                outbox_id: with_id.then_some(call.id),
                word,
                refusal: refusal.clone().filter(|_| word == StatusWord::Failed),
                pricing: chance.once_in(2).then(|| pricing.clone()),
                of_participant: false,
            };
            (after, fact(Some(&call.number), Some(contact), says))
        })
        .collect()
}

/// A fact that has no place in the journal yet.
pub(crate) fn fact(number: Option<&str>, contact: Option<u128>, says: Says) -> Fact {
    Fact { sequence: Sequence(0), at: Some(WallTime(0)), number: number.map(str::to_owned), contact, says }
}
