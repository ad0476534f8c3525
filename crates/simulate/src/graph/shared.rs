//! What all doors of the simulated Graph share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};

use super::behaviour::Behaviour;
use super::front::Front;
use super::observed::Observed;
use super::post::Post;
use super::posting::{POSTINGS_WAITING_MAX, Posting};
use super::settings::GraphSettings;
use super::statuses::{Planned, Told};
use super::world::{Constants, World};
use crate::whatsapp::Redirects;
use crate::whatsapp::report::Progress;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) settings: GraphSettings,
    pub(super) redirects: Redirects,
    pub(super) fronts: Mutex<Vec<Arc<Front>>>,
    world: Mutex<World>,
    pub(super) post: Post,
    pub(super) progress: Option<Arc<Progress>>,
    pub(super) postings: broadcast::Sender<Arc<Posting>>,
    started_s: i64,
}

/// By which the Graph hears that a customer wrote, and opens the service window.
#[derive(Debug, Clone)]
pub struct Ears(pub(super) Arc<Shared>);

impl Ears {
    /// Where the customers' webhooks go instead, for numbers with an override.
    #[must_use]
    pub fn redirects(&self) -> Redirects {
        self.0.redirects()
    }

    /// A customer wrote to the store's `number` just now. Names that come together are joined.
    pub fn heard(&self, number: &str, phone: Option<&str>, user_id: Option<&str>) {
        self.0.heard(number, phone, user_id);
    }

    /// There is such a customer, by these names: answers give the user id from the first message on.
    pub(crate) fn know(&self, phone: Option<&str>, user_id: &str, name: &Arc<str>) {
        let mut world = self.0.world();
        let person = world.people.find(phone, Some(user_id));
        world.people.call(person, name);
    }
}

impl Shared {
    pub(super) fn new(
        settings: GraphSettings,
        progress: Option<Arc<Progress>>,
        redirects: Redirects,
    ) -> Self {
        let constants = Constants {
            numbers: settings.numbers.clone(),
            throughput: settings.throughput,
            pair_rate: settings.pair_rate,
            seed: settings.seed,
            statuses: settings.statuses,
        };
        Self {
            world: Mutex::new(World::new(constants, settings.setup.clone())),
            fronts: Mutex::default(),
            redirects,
            post: Post::default(),
            progress,
            postings: broadcast::Sender::new(POSTINGS_WAITING_MAX),
            started_s: settings.clock.now_ms().div_euclid(1_000),
            settings,
        }
    }

    pub(super) fn fronts(&self) -> MutexGuard<'_, Vec<Arc<Front>>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, what time it is in it, and which local day.
    pub(crate) fn world_now(&self) -> (MutexGuard<'_, World>, i64, i64) {
        let mut world = self.world();
        let now_ms = world.now(self.settings.clock.now_ms());
        (world, now_ms, self.settings.days.of(now_ms))
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.world_now().1
    }

    /// Where webhooks of some numbers go instead.
    pub(crate) fn redirects(&self) -> Redirects {
        self.redirects.clone()
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// What holds at the door in that place.
    pub(crate) fn behave(&self, door: usize, behaviours: &[Behaviour]) {
        self.world().behave(door, behaviours);
        self.post.wake();
    }

    pub(crate) fn heard(&self, number: &str, phone: Option<&str>, user_id: Option<&str>) {
        let (mut world, now_ms, _) = self.world_now();
        world.heard(number, phone, user_id, now_ms);
    }

    /// Has the statuses of a message told; gives what to wait for where one is to come before the
    /// answer.
    pub(crate) fn tell(&self, told: &Arc<Told>, planned: Vec<Planned>) -> Option<Arc<Notify>> {
        self.settings.webhooks.as_ref()?;
        self.post.add(told, planned, self.now_ms())
    }

    pub(crate) fn observed(&self) -> Observed {
        let (mut world, now_ms, _) = self.world_now();
        let mut observed = world.observed(now_ms);
        drop(world);
        let counts = self.post.counts();
        observed.statuses = super::observed::Told {
            planned: counts.planned,
            told: counts.told,
            waiting: counts.waiting,
            dropped: counts.dropped,
            acknowledged: self.progress.as_ref().map_or(0, |progress| progress.counts().acked),
        };
        observed
    }

    pub(super) fn is_settled(&self) -> bool {
        let counts = self.post.counts();
        let acknowledged = self.progress.as_ref().map_or(0, |progress| progress.counts().acked);
        counts.waiting == 0 && counts.webhooks == acknowledged
    }

    pub(crate) fn show(&self, posting: Posting) {
        if self.postings.receiver_count() > 0 {
            // Fails only when the last viewer has just gone.
            let _ = self.postings.send(Arc::new(posting));
        }
    }

    /// The number that a call without one is for.
    pub(crate) fn first_number(&self) -> &str {
        self.settings.numbers.first().map_or("", String::as_str)
    }

    pub(crate) fn waba_id(&self) -> &str {
        &self.settings.waba_id
    }

    pub(crate) fn display_phone_number(&self) -> &str {
        &self.settings.display_phone_number
    }

    /// When the token was issued: at the start.
    pub(crate) const fn started_s(&self) -> i64 {
        self.started_s
    }
}
