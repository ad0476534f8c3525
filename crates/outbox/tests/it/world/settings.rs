//! What is configured, by the seed.

use policy::sending::Zone;
use wagate_outbox::{Number, Settings};

use super::{DAY, NUMBERS};
use crate::chance::Chance;

const ZONES: [&str; 3] = ["Europe/Berlin", "Africa/Cairo", "America/Santiago"];
const PORTFOLIOS: [&str; 3] = ["a", "a", "b"];

/// Three settings for one seed: a restart may change them.
pub(crate) fn settings(seed: u64) -> Vec<Settings> {
    let mut chance = Chance::of(seed, &[2]);
    let history_ms = if chance.once_in(5) { 2 * DAY } else { 60 * DAY };
    (0..3)
        .map(|variant| {
            let number = |place: usize, chance: &mut Chance| Number {
                zone: Zone::new(ZONES[place]).unwrap(),
                portfolio: PORTFOLIOS[place].to_owned(),
                messages_per_day: chance.below(20) + if chance.once_in(3) { 100 } else { 2 },
                calls_per_day: chance.below(60) + if chance.once_in(3) { 300 } else { 5 },
                recipients_per_day: chance.below(4) + if chance.once_in(3) { 15 } else { 1 },
                per_second: if chance.once_in(3) { 80 } else { u32::try_from(chance.below(6)).unwrap() + 1 },
                batch_above: chance.pick(&[0.3, 0.8, 1.0]),
                batch_every_ms: 15 * 60_000,
                endpoints: if variant == 0 { 1 + place % 2 } else { usize::from(!chance.once_in(10)) },
            };
            Settings {
                numbers: (0..3)
                    .map(|place| (NUMBERS[place].to_owned(), number(place, &mut chance)))
                    .collect(),
                send_again_after_ms: [None, None, chance.once_in(2).then_some(2 * 3_600_000)],
                history_ms: if variant == 2 { history_ms + DAY } else { history_ms },
                rates: None,
            }
        })
        .collect()
}
