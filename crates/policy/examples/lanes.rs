//! What the lanes cost a record: `lanes RECORDS` hands that many of 1,000 contacts to a CRM that
//! accepts them all. Run it under `valgrind --tool=callgrind` with two numbers; the difference is
//! the price of the records between them.

#![expect(clippy::print_stdout, reason = "a measuring program")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Sequence;
use wagate_policy::Moment;
use wagate_policy::delivery::{Action, Entry, LaneKey, Lanes, Mode, Outcome, Settings, Tail, Verdict};

/// As many as the field's measurements have.
const CONTACTS: u64 = 1_000;

fn main() {
    let records = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let keys: Vec<_> = (0..CONTACTS).map(|contact| LaneKey::of(&contact.to_string())).collect();
    let mut lanes = Lanes::new(Settings::new(Mode::Realtime), 1);
    let mut in_flight = VecDeque::new();
    let (mut delivered, mut now) = (0, Moment::START);
    let start = Instant::now();
    lanes.tail(Tail { newest: Sequence(records), replays: 0 });
    while delivered < records {
        now = now + Duration::from_micros(10);
        match lanes.poll(now) {
            Action::Read(read) => {
                let page = (read.after.0 + 1..=records).take(read.limit);
                let page =
                    page.zip(keys.iter().cycle().skip(usize::try_from(read.after.0 % CONTACTS).unwrap_or(0)));
                let entry = |(sequence, lane): (u64, &LaneKey)| Entry {
                    sequence: Sequence(sequence),
                    lane: *lane,
                    bytes: 1_000,
                    body: Arc::new(sequence),
                };
                lanes.page(now, page.map(entry).collect());
            }
            Action::Send { job, .. } => in_flight.push_back(job),
            Action::Wait(_) => {
                let Some(job) = in_flight.pop_front() else { break };
                if let Outcome::Delivered(records) = lanes.answered(now, job, &Verdict::Accepted) {
                    delivered += records.len() as u64;
                }
            }
        }
    }
    println!("{delivered} records, {} ns each", start.elapsed().as_nanos() / u128::from(records.max(1)));
}
