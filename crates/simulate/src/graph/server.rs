//! A running Graph and what can be done with it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinSet;

use super::behaviour::Behaviour;
use super::door::{take_calls, take_commands};
use super::observed::{Letter, Observed};
use super::post::{Office, Post, READY_MAX};
use super::posting::{POSTINGS_WAITING_MAX, Posting};
use super::rules::Rules;
use super::settings::GraphSettings;
use super::statuses::{Account, Planned, Told};
use super::world::{Constants, World};
use crate::crm::CannotListen;
use crate::crm::door::{address_of, listen};
use crate::event::Events;
use crate::whatsapp::report::Progress;
use crate::whatsapp::{Report, Sender, Stop, Supply};

/// A running Graph. Dropping it closes everything.
#[derive(Debug)]
pub struct Graph {
    shared: Arc<Shared>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    tasks: JoinSet<()>,
    sending: JoinSet<Report>,
    stop: Option<Stop>,
    webhooks: Option<Events>,
}

/// What was received, and what became of the webhooks.
#[derive(Debug)]
pub struct Ended {
    /// What was received.
    pub observed: Observed,
    /// The webhooks with statuses, if there was somewhere to send them to.
    pub webhooks: Option<Report>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    settings: GraphSettings,
    world: Mutex<World>,
    post: Post,
    progress: Option<Arc<Progress>>,
    postings: broadcast::Sender<Arc<Posting>>,
    started_s: i64,
}

/// By which the Graph hears that a customer wrote, and opens the service window.
#[derive(Debug, Clone)]
pub struct Ears(Arc<Shared>);

impl Ears {
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

impl Graph {
    /// Opens the ports and serves from then on.
    ///
    /// # Errors
    /// When a port isn't free or not ours to take.
    pub fn start(settings: GraphSettings) -> Result<Self, CannotListen> {
        let listener = listen(settings.listen)?;
        let address = address_of(&listener, settings.listen)?;
        let sender = settings.webhooks.as_ref().map(|webhooks| {
            let sender = Sender::new(webhooks.sender.clone());
            match &webhooks.journeys {
                Some(journeys) => sender.with_journeys(Arc::clone(journeys)),
                None => sender,
            }
        });
        let constants = Constants {
            numbers: settings.numbers.clone(),
            throughput: settings.throughput,
            pair_rate: settings.pair_rate,
            seed: settings.seed,
            statuses: settings.statuses,
        };
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(constants, Rules::new(&settings.behave, settings.statuses))),
            post: Post::default(),
            progress: sender.as_ref().map(Sender::progress),
            postings: broadcast::Sender::new(POSTINGS_WAITING_MAX),
            started_s: settings.clock.now_ms().div_euclid(1_000),
            settings,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(take_calls(Arc::clone(&shared), listener));
        let mut control = None;
        if let Some(wanted) = shared.settings.control {
            let listener = listen(wanted)?;
            control = Some(address_of(&listener, wanted)?);
            tasks.spawn(take_commands(Arc::clone(&shared), listener));
        }
        let mut sending = JoinSet::new();
        let (mut stop, mut told) = (None, None);
        if let (Some(sender), Some(webhooks)) = (sender, &shared.settings.webhooks) {
            let ends = (0..webhooks.connections.max(1)).map(|_| mpsc::channel(READY_MAX));
            let (lanes, supplies): (Vec<_>, Vec<_>) =
                ends.map(|(lane, ready)| (lane, Supply::arriving(ready))).unzip();
            let account = Account {
                waba_id: shared.settings.waba_id.clone(),
                display_phone_number: shared.settings.display_phone_number.clone(),
            };
            let office = Office { account, secret: webhooks.app_secret.clone(), lanes };
            (stop, told) = (Some(sender.stopper()), Some(sender.events().clone()));
            sending.spawn(sender.run(supplies));
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                let (how, now_ms) = (|| shared.world().rules.statuses, || shared.now_ms());
                shared.post.work(office, how, now_ms).await;
            });
        }
        Ok(Self { shared, address, control, tasks, sending, stop, webhooks: told })
    }

    /// Where the store's calls come in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where commands come in.
    #[must_use]
    pub const fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The URL for `[[whatsapp.endpoints]]`, as Meta's is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v24.0", self.address)
    }

    /// Behaves so from now on; what held before is over. With nothing it is well.
    pub fn behave(&self, behaviours: &[Behaviour]) {
        self.shared.behave(behaviours);
    }

    /// By which it hears of customers who write, to be given to [`crate::whatsapp::Payloads::heard_by`].
    #[must_use]
    pub fn ears(&self) -> Ears {
        Ears(Arc::clone(&self.shared))
    }

    /// Tells every rightly formed message from now on.
    #[must_use]
    pub fn postings(&self) -> broadcast::Receiver<Arc<Posting>> {
        self.shared.postings.subscribe()
    }

    /// Where to listen to the webhooks with statuses, if there are any.
    #[must_use]
    pub const fn webhooks(&self) -> Option<&Events> {
        self.webhooks.as_ref()
    }

    /// Everything that was received so far.
    #[must_use]
    pub fn observed(&self) -> Observed {
        self.shared.observed()
    }

    /// All messages that had an outbox id, in the order in which they were first posted.
    #[must_use]
    pub fn messages(&self) -> Vec<Letter> {
        self.shared.world().book.letters().to_vec()
    }

    /// The outbox ids that a recipient (`+` and digits, else the user id) got from one number, in the
    /// order in which they were first taken.
    #[must_use]
    pub fn order(&self, number: &str, recipient: &str) -> Vec<String> {
        let world = self.shared.world();
        let mut taken: Vec<&Letter> = world
            .book
            .letters()
            .iter()
            .filter(|letter| {
                letter.place.is_some() && letter.number == number && letter.recipient == recipient
            })
            .collect();
        taken.sort_by_key(|letter| letter.place);
        taken.into_iter().map(|letter| letter.outbox_id.clone()).collect()
    }

    /// Closes the doors, leaves out the statuses that wait, and sends webhooks that got no 200 again
    /// for the sender's `drain` at most.
    pub async fn stop(mut self) -> Ended {
        self.tasks.shutdown().await;
        if let Some(stop) = &self.stop {
            stop.stop();
        }
        let webhooks = match self.sending.join_next().await {
            Some(Ok(report)) => Some(report),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) | None => None,
        };
        Ended { observed: self.shared.observed(), webhooks }
    }

    /// Whether no status waits and all webhooks were acknowledged.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.shared.is_settled()
    }

    /// Waits until no status waits and all webhooks were acknowledged, for `most` at most; tells whether
    /// it came to that.
    pub async fn settle(&self, most: Duration) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let settled = async {
            while !self.is_settled() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(most, settled).await.is_ok()
    }
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, what time it is in it, and which local day.
    pub(crate) fn world_now(&self) -> (MutexGuard<'_, World>, i64, i64) {
        let mut world = self.world();
        let now_ms = world.now(self.settings.clock.now_ms());
        (world, now_ms, self.settings.days.of(now_ms))
    }

    fn now_ms(&self) -> i64 {
        self.world_now().1
    }

    pub(crate) fn behave(&self, behaviours: &[Behaviour]) {
        self.world().behave(behaviours);
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

    fn is_settled(&self) -> bool {
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

    pub(crate) fn lets_in(&self, token: Option<&str>) -> bool {
        match (&self.settings.token, token) {
            (_, None | Some("")) => false,
            (None, Some(_)) => true,
            (Some(wanted), Some(token)) => wanted == token,
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
