//! The time of a box without a battery: asked of time servers (SNTP, RFC 4330), told to the machine's clock, and to the
//! outbox as the word of a third witness.
//!
//! Only on a box, that is with a board; elsewhere the system keeps its clock, and nobody else is to meddle with it.
//!
//! **How far it is trusted.** Nothing in an answer proves whose it is, so what it may do is bounded three times.
//! - *Among servers*: several are asked, more than half of those that answer must agree, and the median of these
//!   counts. One that is the only one to answer is heard only when it is near, or says the same three times ([`judge`]).
//! - *Against what is proved*: a time before the firmware was built is none; nor is one that is behind what Meta has
//!   signed or an endpoint's certified `Date` has told since the start, or more than 400 days ahead of it ([`keep`]).
//! - *In the outbox* ([`policy::sending::Clock::agreed`]): the machine's clock may be set by years, and the time that limits
//!   and windows go by follows only as far as a clock with a battery would be believed at a start
//!   (`clock.believed_ahead`, once a run): to such a box the first answer is what the battery is to another. Who
//!   fakes time servers gains no more than who sets the clock of such a machine. Beyond that the outbox waits for
//!   Meta or an endpoint, whose certificates can be checked now that the clock is right; that takes seconds.
//!   A box that was never set, whose outbox is empty, believes it all the way: there is nothing to gain.

mod ask;
mod judge;
mod keep;
mod metrics;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use egress::Names;
use futures_util::future::join_all;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::ask::{Heard, ask};
pub(crate) use self::server::FALLBACK;

use self::judge::agree;
use self::keep::{Keep, Verdict};
use self::metrics::Metrics;
use self::server::Server;
use super::machine::Machine;
use crate::clock;
use crate::config::{TIME_SERVERS_MAX, TimeServer};

/// Between two rounds until one has agreed (the shortest that RFC 4330, section 10, and the pool's terms allow).
const SEEK_EVERY: Duration = Duration::from_secs(64);
/// The same where nothing could be sent: no cable, no address yet. It troubles no server.
const UNSENT_EVERY: Duration = Duration::from_secs(8);
/// And once the time is known. A crystal of 50 ppm is off by 180 ms then.
const KEEP_EVERY: Duration = Duration::from_secs(3_600);
/// After so long without an agreement the clock isn't called synchronised any more.
const AGREED_FOR: Duration = Duration::from_secs(4 * 3_600);
/// What time servers have said, for the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// When that was.
    pub(crate) at: std::time::Instant,
}

/// How it stands, for people and programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Status {
    /// Servers agree, and have done so lately.
    pub(crate) synchronized: bool,
    /// How far ahead of us they were when they last agreed, before the clock was set.
    pub(crate) offset_ms: Option<i64>,
    /// When that was; RFC 3339.
    pub(crate) agreed_at: Option<String>,
    /// What came of the last round, where it wasn't that.
    pub(crate) trouble: Option<String>,
    /// Who was asked, and what came of it.
    pub(crate) servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServerStatus {
    pub(crate) name: String,
    /// `answered`, `silent`, `unsent`, `resting`, `strange`.
    pub(crate) state: &'static str,
    pub(crate) offset_ms: Option<i64>,
}

/// What keeps the time.
pub(super) struct TimeKeeper {
    machine: Machine,
    names: Names,
    /// As configured; empty for what DHCP names.
    configured: Vec<TimeServer>,
    servers: Vec<Server>,
    keep: Keep,
    /// The newest time that is proved, as the outbox has it.
    proved: Box<dyn Fn() -> Option<i64> + Send + Sync>,
    agreed: watch::Sender<Option<Agreed>>,
    status: watch::Sender<Status>,
    metrics: Metrics,
    agreed_at: Option<Instant>,
}

/// The ends at which others hear of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// For the outbox.
    pub(super) agreed: watch::Sender<Option<Agreed>>,
    /// For people.
    pub(super) status: watch::Sender<Status>,
}

impl TimeKeeper {
    /// `proved` gives the newest time since the start that Meta has signed or an endpoint's certificate stands for,
    /// gone on to now.
    pub(super) fn new(
        machine: Machine,
        configured: Vec<TimeServer>,
        told: Told,
        proved: impl Fn() -> Option<i64> + Send + Sync + 'static,
        registry: &mut Registry,
    ) -> Self {
        let metrics = Metrics::default();
        metrics.register(registry);
        Self {
            machine,
            names: Names::of_the_system(),
            configured,
            servers: Vec::new(),
            keep: Keep::default(),
            proved: Box::new(proved),
            agreed: told.agreed,
            status: told.status,
            metrics,
            agreed_at: None,
        }
    }

    /// Keeps the time until `stop`.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let keeping = async {
            loop {
                let wait = self.round().await;
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = keeping => {}
        }
    }

    /// Asks everybody once; says when to ask again.
    async fn round(&mut self) -> Duration {
        let built_at_ms = self.choose().await;
        let now = Instant::now();
        let asked: Vec<usize> =
            (0..self.servers.len()).filter(|place| !self.servers[*place].rests(now)).collect();
        let heard = join_all(asked.iter().map(|place| ask(&self.names, &self.servers[*place].place))).await;
        let mut answers = Vec::new();
        for (place, heard) in asked.iter().zip(&heard) {
            self.servers[*place].heard(heard, now);
            self.metrics.answered(heard);
            if let Heard::Time(answer) = heard {
                answers.push(*answer);
            }
        }
        let unsent = !heard.is_empty() && heard.iter().all(|heard| matches!(heard, Heard::Unsent(_)));
        let agreement = agree(&answers, asked.len());
        let wall_ms = clock::now().0;
        let verdict = self.keep.decide(agreement, wall_ms, built_at_ms, (self.proved)());
        self.act(verdict, now).await;
        match self.agreed_at {
            _ if unsent => UNSENT_EVERY,
            Some(at) if at == now => KEEP_EVERY.mul_f64(0.9 + 0.2 * chance()),
            _ => SEEK_EVERY,
        }
    }

    /// Chooses the servers: DHCP may have named others since. Gives when the firmware was built.
    async fn choose(&mut self) -> i64 {
        let about = self.machine.about().await.ok();
        let wanted = wanted(
            &self.configured,
            about.as_ref().map(|about| about.ntp_servers.as_slice()).unwrap_or_default(),
        );
        if !self.servers.iter().map(|server| &server.place).eq(&wanted) {
            // What rests goes on resting: a lease that is renewed is no reason to ask it again.
            let mut before = std::mem::take(&mut self.servers);
            self.servers = wanted
                .into_iter()
                .map(|place| match before.iter().position(|server| server.place == place) {
                    Some(known) => before.swap_remove(known),
                    None => Server::new(place),
                })
                .collect();
        }
        about.map_or(0, |about| about.built_at_ms)
    }

    async fn act(&mut self, verdict: Verdict, now: Instant) {
        let mut trouble = None;
        match verdict {
            Verdict::Right { offset_ms } => self.agreed(offset_ms, now),
            Verdict::Set { now_ms, offset_ms } => {
                let read = std::time::Instant::now();
                let set = move |board: &dyn board::Board| {
                    let passed = i64::try_from(read.elapsed().as_millis()).unwrap_or(0);
                    board.set(now_ms.saturating_add(passed))
                };
                match self.machine.ask(set).await {
                    Ok(()) => {
                        tracing::info!(offset_ms, "the clock was set by the time servers");
                        self.metrics.sets.inc();
                        self.agreed(offset_ms, now);
                    }
                    Err(error) => trouble = Some(format!("the clock couldn't be set: {error}")),
                }
            }
            Verdict::No(why) => {
                self.metrics.refused(why);
                trouble = Some(why.words().to_owned());
            }
        }
        if let Some(trouble) = &trouble {
            tracing::info!(trouble, "no time from the time servers in this round");
        }
        let synchronized = self.agreed_at.is_some_and(|at| now.duration_since(at) < AGREED_FOR);
        self.metrics.synchronized.set(i64::from(synchronized));
        let servers = self.servers.iter().map(|server| server.status(now)).collect();
        self.status.send_modify(|status| {
            if self.agreed_at == Some(now) {
                status.agreed_at = Some(clock::now().rfc3339_millis());
                status.offset_ms = self.keep.last_offset_ms();
            }
            (status.synchronized, status.trouble, status.servers) = (synchronized, trouble, servers);
        });
    }

    /// The clock is right now.
    fn agreed(&mut self, offset_ms: i64, now: Instant) {
        self.agreed_at = Some(now);
        self.metrics.agreed(offset_ms);
        let word = Agreed { now_ms: clock::now().0, at: std::time::Instant::now() };
        self.agreed.send_replace(Some(word));
    }
}

/// Whom to ask: who is configured, else who DHCP named, else volunteers.
pub(crate) fn wanted(configured: &[TimeServer], told: &[String]) -> Vec<TimeServer> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    // What DHCP says is a stranger's word: what is no name is passed over.
    let mut wanted: Vec<TimeServer> = told.iter().filter_map(|text| TimeServer::read(text)).collect();
    if wanted.is_empty() {
        wanted = FALLBACK.iter().filter_map(|text| TimeServer::read(text)).collect();
    }
    wanted.truncate(TIME_SERVERS_MAX);
    wanted
}

/// From 0 to 1. Without chance all boxes come at the same time.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)
}
