//! Every stored value as its bytes were when it was first written: what a released version has written stays
//! readable. A layout that changes is another type under another version, and this file keeps the old lines.

use model::{Address, Pricing, Priority, Refusal, Standing, StatusWord};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::charges::Balance;
use crate::table::{decode, encode};
use crate::values::{
    Answered, Batch, Busy, Channel, Charges, Consent, Counts, Early, EarlyWord, Fallback, Kind, Lane,
    Message, Person, Push, State, Step, Stop, Units, Window,
};
use crate::why::Why;

const LINES: &str = include_str!("golden.txt");

/// Writes and reads one value, and compares both with the line of its name.
fn hold<T: Serialize + DeserializeOwned + std::fmt::Debug>(name: &str, value: &T) -> Option<String> {
    let hex: String = encode(value).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = LINES.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    if line != Some(&hex) {
        return Some(format!("{name} {hex}"));
    }
    let bytes: Vec<u8> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(format!("{:?}", decode::<T>(&bytes)), format!("{:?}", Some(value)), "{name}");
    None
}

fn refusal() -> Refusal {
    Refusal {
        code: Some(131_047),
        details: "window".to_owned(),
        http: Some(400),
        retry_after_ms: Some(5),
        transient: false,
    }
}

fn message() -> Message {
    Message {
        chance: 7,
        number: "1".to_owned(),
        contact: 1 << 100,
        to: Some(Address::Phone("+85261234567".to_owned())),
        priority: Priority::Reply,
        kind: Kind::FreeForm,
        template: Some("hello".to_owned()),
        payload: "{}".to_owned(),
        fallback: Some(Fallback { payload: "{}".to_owned(), template: "t".to_owned() }),
        queued_ms: 1_795_000_000_000,
        expires_ms: Some(-1),
        key: [9; 16],
        first: 3,
        parts: 2,
    }
}

fn state() -> State {
    State {
        standing: Standing::Held,
        why: Some(Why::SentAgain),
        not_before_ms: Some(1),
        expires_ms: Some(2),
        attempts: 3,
        refusals: 4,
        unit_day: Some(20_000),
        call_day: Some(20_001),
        push: Some(Push { at_ms: 5, recipient_before_ms: Some(6), person_before_ms: None }),
        wamid: Some("wamid.x".to_owned()),
        endpoint: Some("meta".to_owned()),
        fell_back: true,
        accepted_ms: Some(7),
        delivered_ms: Some(8),
        posted_ms: Some(9),
        uncertain_ms: Some(10),
        told: true,
        told_unread: false,
        charged: true,
        withheld: false,
        again: true,
        doubted: false,
        refusal: Some(refusal()),
        over_ms: Some(11),
        history: vec![Step { at_ms: 12, standing: Standing::Cancelled, why: None }],
    }
}

#[test]
fn every_stored_value_has_the_bytes_that_it_had() {
    let stop = Stop { code: None, reason: "r".to_owned(), since_ms: 1, trial_ms: i64::MAX, by_status: true };
    let channel = Channel {
        stopped: Some(stop),
        slow_until_ms: 2,
        throttled: 3,
        batch: Batch { next_ms: 4, left: 5 },
        tried: vec![6],
        per_second: Some(1_000),
    };
    let person = Person {
        opted_in: Some(Consent { at_ms: 1, proof: "form".to_owned() }),
        stopped_ms: Some(2),
        pushed_ms: Some(3),
        unread_ms: Some(4),
    };
    let pricing = Pricing { category: "service".to_owned(), kind: "regular".to_owned() };
    let word = EarlyWord { word: StatusWord::Failed, refusal: Some(refusal()), pricing: Some(pricing) };
    let answered = Answered {
        body: [1; 16],
        first: 2,
        parts: vec![(2, 3)],
        standing: Standing::Queued,
        window_closes_ms: Some(4),
        not_before_ms: None,
    };
    let changed = [
        hold("message", &message()),
        hold("state", &state()),
        hold("lane", &Lane { busy: Busy::Until { at: 1, on: 2 }, head: Some((3, 4)), pair_ms: 5 }),
        hold("lane-posting", &Lane { busy: Busy::Posting(1), head: None, pair_ms: 0 }),
        hold("units", &Units { messages: 1, calls: 2 }),
        hold("person", &person),
        hold("window", &Window { last_ms: 1, wamid: "wamid.x".to_owned(), denied: true }),
        hold("channel", &channel),
        hold("counts", &Counts { queued: 1, held: 2, sending: 3, uncertain: 4 }),
        hold("early", &Early { at_ms: 1, said: vec![word] }),
        hold("answered", &answered),
        hold("charges", &Charges { messages: 1, billed: 2, micros: -3 }),
        hold("balance", &Balance { micros: 1, low_water_micros: 2 }),
        hold("posting", &("1".to_owned(), 1_u128)),
        hold("number", &300_u64),
        hold("time", &-300_i64),
        hold("contact", &(1_u128 << 100)),
        hold("text", &"{}".to_owned()),
    ];
    let changed: Vec<String> = changed.into_iter().flatten().collect();
    assert!(changed.is_empty(), "these lines aren't in golden.txt:\n{}", changed.join("\n"));
}
