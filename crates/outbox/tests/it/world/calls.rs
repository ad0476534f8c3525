//! Calls: each is checked against every limit as it is made, and Graph does with it what it will.

use std::collections::HashMap;

use wagate_outbox::{Call, Kind};

use super::{Checked, DAY, Event, Told, World};
use crate::chance::Chance;
use crate::graph::{Plan, Post, Settled, answer, plan, statuses};

impl World {
    /// The window of a customer by what the outbox was told: when it closes.
    fn window(&self, number: &str, contact: u128) -> Option<i64> {
        use wagate_outbox::Table as _;
        let family = self.disk.family(contact);
        family.iter().filter_map(|one| self.windows.get(&(number.to_owned(), *one))).max().map(|at| at + DAY)
    }

    pub(super) fn post(&mut self, call: &Call, now: i64, made: bool) -> Checked {
        let serial = self.posts.len();
        let mut chance = Chance::of(self.seed, &[4, call.id.chance, u64::from(call.attempt)]);
        let told = self.told.get(&call.id.chance).ok_or("a call for a message that nobody queued")?.clone();
        let plan = if made { plan(self.mood, &mut chance) } else { Plan::Vanish };
        let window = self.window(&call.number, told.contact);
        let settings = self.outbox.settings();
        let number = settings.numbers[&call.number].clone();
        let shared = settings.numbers.values().filter(|other| other.portfolio == number.portfolio);
        let shared = shared.map(|other| other.recipients_per_day).chain(self.unique_told).min();
        let delay = chance.pick(&[0, 0, 100, 2_000, 25_000]);
        let post = Post {
            id: call.id,
            number: call.number.clone(),
            contact: told.contact,
            kind: call.kind,
            push: call.kind == Kind::Template && window.is_none_or(|closes| closes <= now),
            recipients_max: shared.unwrap_or(u64::MAX),
            at: now,
            arrives: now + delay,
            day: number.zone.day(now).0,
            taken: plan.is_taken(),
            settled: Settled::Open,
            ended: None,
        };
        // A restart may have changed it since the message was queued once more.
        let allowed = self
            .variants
            .iter()
            .filter_map(|variant| variant.send_again_after_ms[told.priority as usize])
            .min();
        if std::env::var("WAGATE_TRACE").is_ok() {
            println!("{post:?} {plan:?}");
        }
        crate::checks::post(self, &post, &told, call, &number, window, allowed)?;
        let told = self.told.get_mut(&call.id.chance).unwrap();
        told.posts.push(serial);
        told.again = false;
        self.posts.push(post);
        if !made {
            return Ok(());
        }
        self.in_flight.push(serial);
        let wamid = format!("w.{}.{}", call.id.chance, call.attempt);
        let called = answer(&plan, call, &wamid, &mut chance);
        let answered = delay + if plan == Plan::Vanish { 30_000 } else { chance.pick(&[0, 1, 200, 3_000]) };
        let at = (self.true_ms + answered, self.count());
        self.events.insert(at, Event::Answer(serial, called));
        if plan.is_taken() {
            for (after, fact) in statuses(call, told_contact(&self.told, call), &wamid, &mut chance) {
                self.happens(delay + after, fact);
            }
        }
        Ok(())
    }

    pub(crate) fn open_calls(&self) -> impl Iterator<Item = &Post> {
        self.in_flight.iter().map(|post| &self.posts[*post])
    }

    pub(crate) fn open_probes(&self, number: &str) -> usize {
        usize::from(self.open_probes.contains_key(number))
    }

    /// Of these, those that began on another day.
    pub(crate) fn late_probes(&self, number: &str, day: i32) -> u64 {
        let late = self.open_probes.get(number).filter(|(began, _)| i32::try_from(*began) != Ok(day));
        u64::from(late.is_some())
    }
}

fn told_contact(told: &HashMap<u64, Told>, call: &Call) -> u128 {
    told[&call.id.chance].contact
}
