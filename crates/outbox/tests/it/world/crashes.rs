//! Crashes, and the table held against itself.

use policy::sending::Clock;
use policy::sending::clock::BELIEVED_AHEAD_MS;
use wagate_outbox::Outbox;

use super::{Checked, Event, World};

impl World {
    /// The program ends at once and starts again.
    pub(crate) fn crash(&mut self, off: i64, jump: i64, settings: usize) -> Checked {
        self.crashes += 1;
        self.events.retain(|_, event| matches!(event, Event::Happens(_)));
        self.unheard.clear();
        self.leapt = 0;
        self.in_flight.clear();
        self.open_probes.clear();
        self.fate = None;
        self.true_ms += off;
        self.wall_off += jump;
        self.booted_ms = self.true_ms;
        self.disk.restart();
        let (done, now) = loop {
            let Ok(last_known) = Outbox::last_known_ms(&self.disk) else {
                self.disk.restart();
                continue;
            };
            self.clock = Clock::start(last_known, self.reading(), BELIEVED_AHEAD_MS);
            self.last_now = last_known.unwrap_or(i64::MIN);
            let now = self.now();
            let variant = self.variants[settings].clone();
            if let Ok((outbox, done)) = Outbox::open(&self.disk, variant, now) {
                self.outbox = outbox;
                if done.changes.is_empty() || self.disk.apply(&done.changes) {
                    break (done, now);
                }
            }
            // Once more, whether it was kept or not.
            self.disk.restart();
        };
        self.written(&done, &[], &[], now)?;
        self.outbox.commit(&done);
        self.wake = Some(now);
        if !done.calls.is_empty() {
            return Err("a call is made while opening".to_owned());
        }
        self.audit()
    }

    /// The table against itself, and the standings against what they were.
    pub(crate) fn audit(&mut self) -> Checked {
        let Ok(audit) = wagate_outbox::audit(&self.outbox, &self.disk) else {
            return self.crash(0, 0, 0);
        };
        if let Some(fault) = audit.faults.first() {
            return Err(format!("audit: {fault}"));
        }
        for (id, (standing, why)) in &audit.messages {
            let rank = crate::checks::rank(*standing);
            let before = self.ranks.get(id).copied().unwrap_or(0);
            if self.outbox.carried() == 0 {
                // What isn't durable is read anew after a crash.
                self.ranks.insert(*id, rank);
            }
            if rank < before {
                return Err(format!("{id} went back to {standing:?} ({why:?})"));
            }
        }
        for (number, posting) in &audit.posting {
            let open = self.open_calls().filter(|post| post.number == *number).count();
            if open != usize::try_from(*posting).unwrap() {
                return Err(format!(
                    "{posting} messages of {number} are being posted, and {open} calls are open"
                ));
            }
        }
        Ok(())
    }
}
