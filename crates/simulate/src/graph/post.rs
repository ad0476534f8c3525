//! The post office: statuses wait until they are due, and go out in webhooks.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::signature::hub::AppSecret;
use tokio::sync::{Notify, mpsc};

use super::behaviour::Statuses;
use super::statuses::{Account, Notice, Planned, Told, webhook};
use crate::whatsapp::payload::BATCH_MAX;
use crate::whatsapp::{Redirects, Signed};

/// Statuses that wait; further ones are left out and counted.
pub const STATUSES_WAITING_MAX: usize = 1 << 20;
/// Webhooks that are ready for one connection; with as many, statuses wait.
pub(crate) const READY_MAX: usize = 16;

/// One status that waits.
#[derive(Debug)]
struct Due {
    told: Arc<Told>,
    planned: Planned,
    /// When it happened, in milliseconds since 1970.
    happened_ms: i64,
    /// The call that waits for its acknowledgement.
    waited_for: Option<Arc<Notify>>,
}

/// What goes out together, by running number.
type Batch = Vec<(u64, Due)>;

/// The statuses that wait, by when they are due.
#[derive(Debug, Default)]
pub(crate) struct Post {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    due: BTreeMap<(Instant, u64), Due>,
    planned: u64,
    told: u64,
    webhooks: u64,
    dropped: u64,
}

/// How many statuses were planned, told and left out, and how many wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) planned: u64,
    pub(crate) told: u64,
    /// In so many webhooks.
    pub(crate) webhooks: u64,
    pub(crate) dropped: u64,
    pub(crate) waiting: u64,
}

/// What the post office works with.
pub(crate) struct Office {
    pub(crate) account: Account,
    pub(crate) secret: AppSecret,
    /// Where webhooks of some numbers go instead.
    pub(crate) redirects: Redirects,
    /// One for each connection.
    pub(crate) lanes: Vec<mpsc::Sender<Signed>>,
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the statuses of a message that was accepted now. Gives what tells when the early one
    /// among them was acknowledged.
    pub(crate) fn add(
        &self,
        told: &Arc<Told>,
        planned: Vec<Planned>,
        accepted_ms: i64,
    ) -> Option<Arc<Notify>> {
        let now = Instant::now();
        let mut early = None;
        {
            let mut waiting = self.lock();
            for planned in planned {
                waiting.planned += 1;
                if waiting.due.len() >= STATUSES_WAITING_MAX {
                    waiting.dropped += 1;
                    continue;
                }
                let waited_for = planned.early.then(|| Arc::new(Notify::new()));
                early = early.or_else(|| waited_for.clone());
                let at = now + Duration::from_millis(u64::from(planned.after_ms));
                let place = (at, waiting.planned);
                let happened_ms = accepted_ms.saturating_add(i64::from(planned.happens_ms));
                waiting.due.insert(place, Due { told: Arc::clone(told), planned, happened_ms, waited_for });
            }
        }
        self.changed.notify_one();
        early
    }

    pub(crate) fn counts(&self) -> Counts {
        let waiting = self.lock();
        Counts {
            planned: waiting.planned,
            told: waiting.told,
            webhooks: waiting.webhooks,
            dropped: waiting.dropped,
            waiting: waiting.due.len() as u64,
        }
    }

    /// What goes out now, or when to look again.
    fn next(&self, how: &Statuses, now: Instant) -> Result<Batch, Option<Instant>> {
        let mut waiting = self.lock();
        let batch = usize::try_from(how.batch.clamp(1, BATCH_MAX)).unwrap_or(1);
        let Some(((first, _), _)) = waiting.due.first_key_value() else { return Err(None) };
        let full = waiting.due.keys().nth(batch - 1).map(|(at, _)| *at);
        let collected = *first + Duration::from_millis(u64::from(how.batch_ms));
        let ready = if batch == 1 { *first } else { full.map_or(collected, |full| full.min(collected)) };
        if ready > now {
            return Err(Some(ready));
        }
        let mut taken = Vec::new();
        while taken.len() < batch
            && let Some(entry) = waiting.due.first_entry().filter(|entry| entry.key().0 <= now)
        {
            let number = entry.key().1;
            taken.push((number, entry.remove()));
        }
        waiting.told += taken.len() as u64;
        waiting.webhooks += 1;
        Ok(taken)
    }

    /// Sends what is due until it's dropped. `how` and `now_ms` are asked each time.
    pub(crate) async fn work(&self, office: Office, how: impl Fn() -> Statuses, now_ms: impl Fn() -> i64) {
        loop {
            let look_again = match self.next(&how(), Instant::now()) {
                Ok(due) => {
                    let webhooks = office.apart(due);
                    self.lock().webhooks += webhooks.len() as u64 - 1;
                    for due in webhooks {
                        let lane = office.lane(&due);
                        if office.lanes[lane].send(office.sign(due, now_ms())).await.is_err() {
                            // The sender is gone, and this with it in a moment.
                            return;
                        }
                    }
                    continue;
                }
                Err(look_again) => look_again,
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = wait(look_again) => {}
            }
        }
    }

    /// Something about the telling has changed.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

impl Office {
    /// Statuses of one person go over one connection, so that only chance brings disorder into them.
    fn lane(&self, due: &[(u64, Due)]) -> usize {
        let person = due.first().map(|(_, due)| &due.told.user_id);
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(person);
        usize::try_from(hash % self.lanes.len() as u64).unwrap_or_default()
    }

    /// A number whose webhooks go elsewhere has webhooks of its own.
    fn apart(&self, due: Batch) -> Vec<Batch> {
        let mut webhooks: Vec<(Option<String>, Batch)> = Vec::new();
        for one in due {
            let number = &one.1.told.number;
            let alone = self.redirects.target(number).map(|_| number.clone());
            match webhooks.iter_mut().find(|(of, _)| *of == alone) {
                Some((_, together)) => together.push(one),
                None => webhooks.push((alone, vec![one])),
            }
        }
        webhooks.into_iter().map(|(_, due)| due).collect()
    }

    fn sign(&self, due: Batch, now_ms: i64) -> Signed {
        let number = due.first().map(|(_, due)| due.told.number.as_str().into());
        let (mut notices, mut waited_for) = (Vec::with_capacity(due.len()), Vec::new());
        for (number, due) in due {
            waited_for.extend(due.waited_for);
            notices.push(Notice {
                told: due.told,
                word: due.planned.word,
                // Nothing happens later than it is told.
                at_ms: due.happened_ms.min(now_ms),
                repeat: due.planned.repeat,
                counter: u32::try_from(number).unwrap_or(u32::MAX),
            });
        }
        let mut signed = Signed::new(webhook(&self.account, &notices), &self.secret);
        (signed.number, signed.waited_for) = (number, waited_for);
        signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;
    use crate::graph::statuses::plan;

    fn told() -> Arc<Told> {
        Arc::new(Told {
            number: "1".into(),
            wamid: "wamid.A".into(),
            outbox_id: None,
            wa_id: None,
            user_id: "US.1".into(),
            name: None,
            by_phone: true,
            person: 0,
            price: ("regular", "utility"),
            fails: None,
        })
    }

    fn words(due: &[(u64, Due)]) -> Vec<&'static str> {
        due.iter().map(|(_, due)| due.planned.word).collect()
    }

    #[test]
    fn one_by_one_they_go_when_they_are_due() {
        let (post, how) = (Post::default(), Statuses { read_ms: 60_000, ..Statuses::PLAIN });
        let planned = plan(&how, "text", false, &mut Random::new(1));
        assert!(post.add(&told(), planned, 0).is_none());
        let now = Instant::now();
        assert_eq!(words(&post.next(&how, now).unwrap()), ["sent"]);
        assert_eq!(words(&post.next(&how, now).unwrap()), ["delivered"]);
        assert!(post.next(&how, now).unwrap_err().unwrap() > now);
        assert_eq!(words(&post.next(&how, now + Duration::from_secs(90)).unwrap()), ["read"]);
        assert!(post.next(&how, now).unwrap_err().is_none());
        let counts = post.counts();
        assert_eq!((counts.planned, counts.told, counts.waiting), (3, 3, 0));
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_was_collected_long_enough() {
        let (post, how) = (Post::default(), Statuses { batch: 4, batch_ms: 60_000, ..Statuses::PLAIN });
        for _ in 0..2 {
            post.add(&told(), plan(&how, "text", false, &mut Random::new(1)), 0);
        }
        let now = Instant::now();
        assert_eq!(post.next(&how, now).unwrap().len(), 4);
        assert!(post.next(&how, now).unwrap_err().is_some());
        assert_eq!(post.next(&how, now + Duration::from_secs(61)).unwrap().len(), 2);
    }
}
