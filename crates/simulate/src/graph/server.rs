//! A running Graph and what can be done with it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::behaviour::Behaviour;
use super::door::{take_calls, take_commands};
use super::files::File;
use super::front::{DOORS_MAX, DoorSettings, Front};
use super::observed::{Letter, Observed};
use super::post::{Office, READY_MAX};
use super::posting::Posting;
use super::settings::GraphSettings;
use super::setup::Setup;
use super::shared::{Ears, Shared};
use super::statuses::Account;
use crate::crm::CannotListen;
use crate::crm::door::{address_of, listen};
use crate::event::Events;
use crate::whatsapp::{Redirects, Report, Sender, Stop, Supply};

/// A running Graph. Dropping it closes everything.
#[derive(Debug)]
pub struct Graph {
    shared: Arc<Shared>,
    main: Doorway,
    control: Option<SocketAddr>,
    tasks: Mutex<JoinSet<()>>,
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

/// A door of the world, by which it can be told apart from the others. What the book says is of all.
#[derive(Debug, Clone)]
pub struct Doorway {
    shared: Arc<Shared>,
    front: Arc<Front>,
}

impl Doorway {
    /// What the book calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.front.settings.name
    }

    /// Where calls come in.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.front.address
    }

    /// The URL for `[[whatsapp.endpoints]]`: with a version as Meta's, without as 360dialog's.
    #[must_use]
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// This door behaves so from now on, and no other; what held before is over. With nothing it is well.
    pub fn behave(&self, behaviours: &[Behaviour]) {
        self.shared.behave(self.front.place, behaviours);
    }
}

impl Graph {
    /// Opens the ports and serves from then on.
    ///
    /// # Errors
    /// When a port isn't free or not ours to take.
    pub fn start(settings: GraphSettings) -> Result<Self, CannotListen> {
        let redirects = Redirects::default();
        let sender = settings.webhooks.as_ref().map(|webhooks| {
            let sender = Sender::new(webhooks.sender.clone()).with_redirects(redirects.clone(), "");
            match &webhooks.journeys {
                Some(journeys) => sender.with_journeys(Arc::clone(journeys)),
                None => sender,
            }
        });
        let progress = sender.as_ref().map(Sender::progress);
        let shared = Arc::new(Shared::new(settings, progress, redirects));
        let mut tasks = JoinSet::new();
        let main = open(&shared, &mut tasks, shared.settings.main_door())?;
        for door in &shared.settings.doors {
            open(&shared, &mut tasks, door.clone())?;
        }
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
            let redirects = shared.redirects();
            let office = Office { account, secret: webhooks.app_secret.clone(), redirects, lanes };
            (stop, told) = (Some(sender.stopper()), Some(sender.events().clone()));
            sending.spawn(sender.run(supplies));
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                let (how, now_ms) = (|| shared.world().statuses(), || shared.now_ms());
                shared.post.work(office, how, now_ms).await;
            });
        }
        let tasks = Mutex::new(tasks);
        Ok(Self { shared, main, control, tasks, sending, stop, webhooks: told })
    }

    /// Where the store's calls come in.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.main.address()
    }

    /// Where commands come in.
    #[must_use]
    pub const fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The URL for `[[whatsapp.endpoints]]`, as Meta's is.
    #[must_use]
    pub fn url(&self) -> String {
        self.main.url()
    }

    /// Opens one more door of the same world: the same numbers, people, files and book behind another
    /// port, as another host or a provider is to Meta.
    ///
    /// # Errors
    /// When the port isn't free, the certificate can't be used, or there are [`DOORS_MAX`] already.
    pub fn open(&self, settings: DoorSettings) -> Result<Doorway, CannotListen> {
        open(&self.shared, &mut self.tasks.lock().unwrap_or_else(PoisonError::into_inner), settings)
    }

    /// The door that is called so; the first one is [`super::MAIN_DOOR`].
    #[must_use]
    pub fn door(&self, name: &str) -> Option<Doorway> {
        self.doors().into_iter().find(|door| door.name() == name)
    }

    /// All doors, the first one first.
    #[must_use]
    pub fn doors(&self) -> Vec<Doorway> {
        let fronts = self.shared.fronts();
        let door =
            |front: &Arc<Front>| Doorway { shared: Arc::clone(&self.shared), front: Arc::clone(front) };
        fronts.iter().map(door).collect()
    }

    /// The first door behaves so from now on; what held before is over. With nothing it is well.
    /// `window`, `business_scoped` and `statuses` hold for the whole world.
    pub fn behave(&self, behaviours: &[Behaviour]) {
        self.main.behave(behaviours);
    }

    /// Looks at what is set up at Meta, or changes it; calls wait meanwhile.
    pub fn setup<T>(&self, change: impl FnOnce(&mut Setup) -> T) -> T {
        change(&mut self.shared.world().setup)
    }

    /// Where webhooks of numbers go instead. To be given to a sender of customers' messages, too.
    #[must_use]
    pub fn redirects(&self) -> Redirects {
        self.shared.redirects()
    }

    /// Keeps a file as if a customer had sent it; gives its media id.
    #[must_use]
    pub fn put_file(&self, mime: &str, bytes: impl Into<Bytes>) -> String {
        self.shared.world().keep(File { mime: mime.to_owned(), bytes: bytes.into() })
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
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).shutdown().await;
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

/// Opens a door and serves from then on.
fn open(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
    settings: DoorSettings,
) -> Result<Doorway, CannotListen> {
    let cannot = |source| CannotListen::new(settings.listen, source);
    let mut fronts = shared.fronts();
    if fronts.len() >= DOORS_MAX {
        return Err(cannot(io::Error::new(io::ErrorKind::InvalidInput, "there are as many doors as can be")));
    }
    let tls = settings.identity.as_ref().map(super::Identity::acceptor).transpose().map_err(cannot)?;
    let listener = listen(settings.listen)?;
    let address = address_of(&listener, settings.listen)?;
    let place = shared.world().add_door(&settings.name, settings.user_ids);
    shared.behave(place, &settings.behave);
    let front = Arc::new(Front { place, settings, address });
    fronts.push(Arc::clone(&front));
    drop(fronts);
    tasks.spawn(take_calls(Arc::clone(shared), Arc::clone(&front), listener, tls));
    Ok(Doorway { shared: Arc::clone(shared), front })
}
