//! Turns: what has happened is told, what is asked is answered, and what was written down is true from then on.

use model::{Fact, Outcome, Says, Sequence, WallTime};
use policy::sending::class;
use wagate_outbox::{Called, Consent, Done, Enqueue, Note, Queued, Resolution, TableError, Unqueued};

use super::{Ask, Checked, Decided, Event, World};
use crate::chance::Chance;
use crate::graph::Settled;
use crate::history::Fate;

impl World {
    fn due_events(&mut self) {
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.true_ms
        {
            let ((at, _), event) = entry.remove_entry();
            match event {
                Event::Answer(post, called) => self.unheard.push((post, called)),
                Event::Happens(mut fact) => {
                    fact.sequence = Sequence(self.journal.len() as u64 + 1);
                    if fact.at == Some(WallTime(0)) {
                        fact.at = Some(WallTime(at.div_euclid(1_000) * 1_000));
                    }
                    let (signed, reading) = (fact.at.unwrap().0, self.reading());
                    let before = self.clock.now_ms(reading);
                    self.clock.heard(signed, reading);
                    self.leapt += self.clock.now_ms(reading) - before;
                    self.journal.push(fact);
                }
            }
        }
    }

    fn decide(
        &self,
        unheard: &[(usize, Called)],
        news: &[Fact],
        asks: &[Ask],
        now: i64,
    ) -> Result<Decided, TableError> {
        let mut queued = Vec::new();
        let mut said = Vec::new();
        let mut turn = self.outbox.turn(&self.disk, now);
        turn.leapt(self.leapt);
        for (_, called) in unheard {
            turn.called(called.clone())?;
        }
        for fact in news {
            turn.learn(fact.clone())?;
        }
        for ask in asks {
            said.push(match ask {
                Ask::Queue(call) => {
                    queued.push((call.clone(), turn.enqueue(call.clone())?));
                    true
                }
                Ask::Cancel(id) => turn.cancel(*id)?.is_ok(),
                Ask::Resolve(id, word) => turn.resolve(*id, *word)?.is_ok(),
                Ask::Consent(contact, agreed) => {
                    let consent = Consent { at_ms: now, proof: "said so".to_owned() };
                    turn.consent(*contact, agreed.then_some(&consent))?;
                    true
                }
                Ask::Resume => {
                    turn.resume()?;
                    true
                }
                Ask::WayIsClear(number, clear) => {
                    turn.way_is_clear(number, *clear)?;
                    true
                }
                Ask::TakeCall(number, other) => turn.take_call(number, *other)?.is_ok(),
                Ask::EndCall(number, other, unsent) => {
                    turn.end_call(number, *other, *unsent)?;
                    true
                }
            });
        }
        let more = turn.advance()?;
        let done = turn.finish()?;
        Ok(Decided { done, more, queued, said })
    }

    /// One turn: what has happened, and what is asked.
    pub(crate) fn turn(&mut self, asks: &[Ask]) -> Checked {
        self.due_events();
        let now = self.now();
        if now < self.last_now {
            return Err(format!("now went back from {} to {now}", self.last_now));
        }
        self.last_now = now;
        let known = usize::try_from(self.outbox.cursor().0).unwrap();
        let news: Vec<Fact> = self.journal[known..].to_vec();
        let unheard = std::mem::take(&mut self.unheard);
        let Ok(Decided { done, more, queued, said }) = self.decide(&unheard, &news, asks, now) else {
            // The power is gone, and this program with it.
            return self.crash(0, 0, 0);
        };
        let fate = if done.changes.is_empty() { None } else { self.fate.take() };
        if matches!(fate, Some(Fate::Refused | Fate::Lost)) {
            if fate == Some(Fate::Lost) {
                return self.crash(0, 0, 0);
            }
            self.unheard = unheard;
            return Ok(());
        }
        let carried = fate.is_none() && !done.urgent && Chance::of(self.seed, &[5, self.turns]).once_in(2);
        let mut fate = fate;
        if !carried && !done.changes.is_empty() && !self.disk.apply(&done.changes) {
            self.disk.restart();
            if !self.disk.holds(&done.changes) {
                return self.crash(0, 0, 0);
            }
            fate = Some(Fate::Kept);
        }
        self.leapt = 0;
        let acknowledged = fate != Some(Fate::Kept);
        self.written(&done, &unheard, &news, now)?;
        for (ask, said) in asks.iter().zip(said) {
            self.asked(ask, said, now);
        }
        if acknowledged {
            for (call, answer) in queued {
                self.queued(&call, answer)?;
            }
            self.wake = if more { Some(now) } else { done.next_ms };
        }
        let calls = done.calls.clone();
        if carried {
            self.outbox.carry(done);
        } else if acknowledged {
            self.outbox.commit(&done);
        }
        let made = match fate {
            Some(Fate::Kept) => 0,
            Some(Fate::Calls(most)) => most,
            _ => usize::MAX,
        };
        for (place, call) in calls.iter().enumerate() {
            self.post(call, now, place < made)?;
        }
        if fate.is_some() {
            return self.crash(0, 0, 0);
        }
        self.turns += 1;
        if self.turns.is_multiple_of(self.audit_every) {
            self.audit()?;
        }
        Ok(())
    }

    /// What was written down is from now on true for the outbox.
    pub(super) fn written(
        &mut self,
        done: &Done,
        unheard: &[(usize, Called)],
        news: &[Fact],
        now: i64,
    ) -> Checked {
        for (post, called) in unheard {
            self.in_flight.retain(|open| open != post);
            let post = &mut self.posts[*post];
            post.ended = Some(now);
            post.settled = match &called.outcome {
                Outcome::Accepted { .. } => Settled::Accepted,
                Outcome::NotSent { .. } => Settled::NotSent,
                Outcome::Unknown { .. } => Settled::Unknown,
                Outcome::Refused(refusal) if class(refusal) == policy::sending::Class::Ambiguous => {
                    Settled::Unknown
                }
                Outcome::Refused(_) => Settled::Refused,
            };
            if post.settled == Settled::Accepted {
                self.told.get_mut(&post.id.chance).unwrap().certain = true;
            }
        }
        for fact in news {
            match &fact.says {
                Says::Inbound { .. } => {
                    let at = fact.at.unwrap().0.min(now);
                    let key = (fact.number.clone().unwrap(), fact.contact.unwrap());
                    let last = self.windows.entry(key).or_insert(at);
                    *last = at.max(*last);
                }
                Says::Status { outbox_id: Some(id), .. } => {
                    self.told.get_mut(&id.chance).unwrap().certain = true;
                }
                Says::UniqueLimit(limit) => self.unique_told = *limit,
                Says::Throughput(most) => _ = self.throughput.insert(fact.number.clone().unwrap(), *most),
                _ => {}
            }
        }
        for note in &done.notes {
            if let Note::Sent(sent) = note {
                let told = self.told.get_mut(&sent.id.chance).unwrap();
                told.notes += 1;
                if told.notes > 1 {
                    return Err(format!("the CRM is told twice that {} is sent", sent.id));
                }
            }
        }
        self.notes.extend(done.notes.iter().cloned());
        Ok(())
    }

    fn asked(&mut self, ask: &Ask, said: bool, now: i64) {
        match ask {
            Ask::Resolve(id, Resolution::Resend) if said => {
                self.told.get_mut(&id.chance).unwrap().again = true;
            }
            Ask::Consent(contact, agreed) => {
                use wagate_outbox::Table as _;
                for one in self.disk.family(*contact) {
                    self.consents.insert(one, *agreed);
                }
            }
            Ask::TakeCall(number, other) if said => {
                let day = self.outbox.settings().numbers[number].zone.day(now).0;
                *self.probes.entry((number.clone(), day)).or_default() += 1;
                self.open_probes.insert(number.clone(), (u32::try_from(day).unwrap(), *other));
            }
            Ask::EndCall(number, _, unsent) => {
                let began = i32::try_from(self.open_probes.remove(number).unwrap().0).unwrap();
                let today = self.outbox.settings().numbers[number].zone.day(now).0;
                if *unsent && began == today {
                    *self.probes.get_mut(&(number.clone(), began)).unwrap() -= 1;
                }
                if !*unsent && began != today {
                    // Graph may have had it today.
                    *self.probes.entry((number.clone(), today)).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn queued(&mut self, call: &Enqueue, answer: Result<Queued, Unqueued>) -> Checked {
        let known = self.answered.get(&call.key);
        match (answer, known) {
            (Ok(queued), None) => {
                if queued.parts.len() != call.drafts.len() {
                    return Err(format!("{} parts for {} drafts", queued.parts.len(), call.drafts.len()));
                }
                for id in &queued.parts {
                    let told = self.told.get_mut(&id.chance).ok_or("an id that nobody asked for")?;
                    told.id = Some(*id);
                }
                self.answered.insert(call.key, (call.body, queued));
                Ok(())
            }
            (Ok(queued), Some((body, first))) => {
                let same = Queued { repeated: true, ..first.clone() } == queued;
                if *body == call.body && same { Ok(()) } else { Err(format!("{queued:?} after {first:?}")) }
            }
            (Err(Unqueued::KeyUsed), Some((body, _))) if *body != call.body => Ok(()),
            (Err(Unqueued::KeyUsed), None) if call.body == [9; 16] => Ok(()),
            (Err(_), None) => Ok(()),
            (Err(why), Some(_)) => Err(format!("a call that was taken is refused the second time: {why}")),
        }
    }
}
