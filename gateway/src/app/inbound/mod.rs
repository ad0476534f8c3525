//! The way in of another box: taking over the webhooks of a number, and giving them back.
//!
//! Meta sends the webhooks of a number to one URL: that of the number itself where it has one (an override), else that
//! of its account, else that of the app. Taking over sets the override of the number to this box and keeps what was
//! there before; giving back puts that in its place again. Meta asks the new URL for the handshake before it agrees, and
//! here it is asked once more afterwards where the webhooks go: what is told is what Meta says, not what was
//! intended.
//!
//! `kept` is what survives a restart, `line` are the calls of Graph with their units, `words` says refusals plainly,
//! `take` and `give_back` are what happens to one number, and `standby` watches the peer. Start reading at
//! [`Inbound`].

mod deed;
mod give_back;
mod kept;
mod line;
mod metrics;
mod peer;
mod standby;
mod take;
mod view;
mod words;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use egress::{Callbacks, Graph};
use outbox::Other;
use reqwest::Url;
use store::Store;
use tokio::sync::watch;

pub(crate) use self::deed::Deed;
use self::kept::Shelf;
use self::line::Line;
use self::peer::Peer;
use self::standby::Watch;
pub(crate) use self::standby::watch;
use super::secrets::VerifyToken;
use super::sending::{Routes, Sending};
use crate::config::{Config, Standby};

/// Numbers that Meta is asked about at the same time.
const NUMBERS_AT_ONCE: usize = 4;

/// What a box is to its numbers' webhooks. Clones share it.
#[derive(Clone)]
pub(crate) struct Inbound(Arc<Inner>);

struct Inner {
    /// Where Meta reaches this box.
    public_url: Option<Url>,
    /// What Meta shows in the handshake; two boxes of one app have the same.
    verify_token: VerifyToken,
    /// Of the configuration, in its order.
    numbers: Vec<String>,
    routes: watch::Receiver<Arc<Routes>>,
    sending: Sending,
    shelf: Shelf,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    watch: Option<Watch>,
}

/// What an [`Inbound`] works with.
pub(crate) struct Parts {
    pub(crate) verify_token: VerifyToken,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    pub(crate) sending: Sending,
    pub(crate) store: Arc<Store>,
}

/// Why nothing was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Meta can't be told where to send webhooks.
    #[error(
        "the address at which Meta reaches this box isn't known: set `public_url` in [webhook], such as \
         \"https://this-box.example.com/webhook\", and start again"
    )]
    NoPublicUrl,
    /// There is nobody to ask.
    #[error(
        "no number has an endpoint that is Meta's own: only Meta can be told where webhooks go, so one of \
         [[whatsapp.endpoints]] has to be Graph, without a `path` of its own"
    )]
    NoGraph,
    /// A number that can't be had.
    #[error("{0}: it is no phone_number_id of the configuration, or none of its endpoints is Meta's own")]
    Number(String),
    /// Another change is under way.
    #[error("webhooks are being taken over or given back at this moment: ask again when that is done")]
    Busy,
}

/// Who takes over.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// An operator, who knows why.
    Person,
    /// The box itself, for as long as the peer is silent.
    Standby(&'a Peer),
}

impl Inbound {
    /// Reads what was kept. Blocks on the disk.
    ///
    /// # Errors
    /// When the store can't be read, or the peer can't be asked at all.
    pub(crate) fn open(config: &Config, parts: Parts) -> anyhow::Result<Self> {
        let numbers = config.numbers.iter().map(|number| number.phone_number_id.clone()).collect();
        Self::of(config.public_url().cloned(), numbers, config.standby.as_ref(), parts)
    }

    /// The same of the keys that it goes by.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn of(
        public_url: Option<Url>,
        numbers: Vec<String>,
        standby: Option<&Standby>,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let Parts { verify_token, routes, sending, store } = parts;
        let shelf = Shelf::open(store)?;
        let holds = numbers.iter().any(|number| shelf.get(number).is_some());
        let watch = match standby {
            Some(standby) => Some(Watch::new(standby, shelf.is_known(&standby.peer)?, holds)?),
            None => None,
        };
        let changing = tokio::sync::Mutex::new(());
        let inner = Inner { public_url, verify_token, numbers, routes, sending, shelf, changing, watch };
        Ok(Self(Arc::new(inner)))
    }

    /// Takes over the webhooks of `numbers`, of all that can be where none are named.
    ///
    /// # Errors
    /// When nothing was tried; what came of each number stands in its deed.
    pub(crate) async fn take(&self, numbers: &[String]) -> Result<Vec<Deed>, Refused> {
        self.take_by(numbers, By::Person).await
    }

    /// The same as the box does it by itself.
    #[cfg(test)]
    pub(crate) async fn take_as_standby(&self) -> Vec<Deed> {
        let watch = self.0.watch.as_ref().unwrap();
        self.take_by(&[], By::Standby(&watch.peer)).await.unwrap()
    }

    async fn take_by(&self, numbers: &[String], by: By<'_>) -> Result<Vec<Deed>, Refused> {
        let ours = self.0.public_url.as_ref().ok_or(Refused::NoPublicUrl)?;
        let numbers = self.named(numbers)?;
        let _one = self.0.changing.try_lock().map_err(|_| Refused::Busy)?;
        let mut deeds = Vec::with_capacity(numbers.len());
        for number in &numbers {
            deeds.push(self.0.take(number, ours, by).await);
        }
        self.noted(&deeds);
        Ok(deeds)
    }

    /// Gives back the webhooks of `numbers`, of all that were taken over where none are named. With `force` also
    /// where somebody else has sent them elsewhere since.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) async fn give_back(&self, numbers: &[String], force: bool) -> Result<Vec<Deed>, Refused> {
        let numbers = self.named(numbers)?;
        let _one = self.0.changing.try_lock().map_err(|_| Refused::Busy)?;
        let mut deeds = Vec::with_capacity(numbers.len());
        for number in &numbers {
            deeds.push(self.0.give_back(number, force).await);
        }
        self.noted(&deeds);
        Ok(deeds)
    }

    /// What a person should see to, in words.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        let taken = self.0.taken();
        if !taken.is_empty() {
            let numbers: Vec<&str> = taken.iter().map(|number| number.as_str()).collect();
            alarms.push(format!(
                "this box has taken over the webhooks of {}: `wagate failover give-back` once the other box is well",
                numbers.join(", ")
            ));
        }
        let can = self.0.numbers.iter().filter(|number| !self.0.graphs(number).is_empty()).count();
        if taken.len() < can {
            alarms.extend(self.0.watch.as_ref().and_then(Watch::alarm));
        }
        alarms
    }

    /// The numbers that are meant: known ones, each once.
    fn named(&self, numbers: &[String]) -> Result<Vec<String>, Refused> {
        let can: Vec<&String> =
            self.0.numbers.iter().filter(|number| !self.0.graphs(number).is_empty()).collect();
        if numbers.is_empty() {
            return if can.is_empty() {
                Err(Refused::NoGraph)
            } else {
                Ok(can.into_iter().cloned().collect())
            };
        }
        if let Some(unknown) = numbers.iter().find(|number| !can.contains(number)) {
            return Err(Refused::Number(unknown.clone()));
        }
        let named: BTreeSet<&String> = numbers.iter().collect();
        Ok(named.into_iter().cloned().collect())
    }

    /// Tells the standby how things stand now.
    fn noted(&self, deeds: &[Deed]) {
        if let Some(watch) = &self.0.watch {
            let everything = deeds.iter().all(|deed| deed.what.is_done()) && self.0.all_taken(deeds);
            watch.holds(!self.0.taken().is_empty(), everything);
        }
    }
}

impl Inner {
    /// The clients of Graph that serve a number, in order of preference.
    fn graphs(&self, number: &str) -> Vec<Graph> {
        let routes = self.routes.borrow();
        let all = (0..).map_while(|place| routes.at(number, place));
        all.filter(|graph| graph.endpoint().is_graph()).cloned().collect()
    }

    fn line<'a>(&'a self, number: &'a str) -> Line<'a> {
        Line { sending: &self.sending, number, graphs: self.graphs(number), call: Other::Errand }
    }

    /// The same for whoever may only read.
    fn reading_line<'a>(&'a self, number: &'a str) -> Line<'a> {
        Line { call: Other::Look, ..self.line(number) }
    }

    /// Numbers that this box has taken over.
    fn taken(&self) -> Vec<&String> {
        let taken = |number: &&String| self.shelf.get(number).is_some_and(|kept| kept.taken_ms.is_some());
        self.numbers.iter().filter(taken).collect()
    }

    /// Whether no number is left that could be taken over.
    fn all_taken(&self, deeds: &[Deed]) -> bool {
        let ours = |number: &String| deeds.iter().any(|deed| deed.number == *number && deed.what.is_ours());
        self.numbers.iter().filter(|number| !self.graphs(number).is_empty()).all(ours)
    }

    /// What Meta is told to show in its handshake.
    fn token(&self) -> String {
        self.verify_token.read().unwrap_or_else(PoisonError::into_inner).expose().to_owned()
    }

    /// Whether webhooks that go to `url` come to this box.
    fn is_ours(&self, url: Option<&str>) -> bool {
        matches!((url, &self.public_url), (Some(url), Some(ours)) if same(url, ours.as_str()))
    }
}

/// Where webhooks go.
fn in_force(callbacks: &Callbacks) -> Option<&str> {
    let Callbacks { phone_number, account, application } = callbacks;
    phone_number.as_deref().or(account.as_deref()).or(application.as_deref())
}

/// Whether two URLs are one, however they are written.
fn same(one: &str, other: &str) -> bool {
    one == other || matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one == other)
}

fn same_or_none(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same(one, other),
        _ => false,
    }
}
