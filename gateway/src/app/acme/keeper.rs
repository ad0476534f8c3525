//! Looks after the certificate.

mod shown;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ingress::Tls;
use model::WallTime;
use policy::renewal::{Life, Pace, Urgency, ask_again, choose, stepped};
use policy::{Chance, Moment};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::advice;
use super::attempt::{Attempt, Got};
use super::failure::Failure;
use super::folder::Found;
use super::kept::{CERTIFICATE, Certificate, RENEWAL, Renewal};
use super::status::{Metrics, Status};
use super::tools::Tools;
use crate::app::events::Events;
use crate::clock;

/// Between two looks, at most: how soon a clock that was set is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// And at least, whatever the figures say.
const LOOK_LEAST: Duration = Duration::from_millis(200);
/// For a whole attempt.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(6 * 60);
/// How often the time that the box saw pass is written down.
const WRITE_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// The certificate that is shown.
struct Held {
    certificate: Certificate,
    life: Life,
    /// Why it isn't on disk, if it isn't.
    unkept: bool,
}

/// The keeper.
pub(super) struct Keeper {
    tools: Tools,
    tls: Tls,
    events: Events,
    status: watch::Sender<Status>,
    wake: Arc<Notify>,
    metrics: Metrics,
    held: Option<Held>,
    account: Option<String>,
    renewal: Renewal,
    pace: Pace,
    chance: Chance,
    start: Instant,
    /// Since when `renewal.watched_ms` doesn't count any more.
    watched_until: Moment,
    written: Moment,
    ask_at: Moment,
}

impl Keeper {
    /// Loads what is kept, and shows the certificate.
    pub(super) async fn load(
        tools: Tools,
        tls: Tls,
        events: Events,
        status: watch::Sender<Status>,
        wake: Arc<Notify>,
    ) -> Self {
        let folder = tools.folder.clone();
        let read = move || (folder.read::<Certificate>(CERTIFICATE), folder.read::<Renewal>(RENEWAL));
        let (certificate, renewal) = tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| (Found::Unread(error.to_string()), Found::Unread(error.to_string())));
        let held = there(certificate, CERTIFICATE).and_then(|certificate| show(&tls, certificate, false));
        let mut renewal = there(renewal, RENEWAL).unwrap_or_default();
        let now = Moment::START;
        let mut chance = Chance::new(seed());
        let mut pace = Pace::new(renewal.pace.clone(), clock::now(), now, Chance::new(seed()));
        if renewal.wanted != tools.wanted {
            pace.other_names(now);
            renewal.wanted = tools.wanted.clone();
            renewal.last_error = None;
        }
        if held.is_none() {
            // Spoilt or deleted since the last success.
            pace.lost(now);
        }
        let id = held.as_ref().map(|held| held.certificate.id()).unwrap_or_default();
        if renewal.certificate != id {
            (renewal.certificate, renewal.choice, renewal.watched_ms) = (id, None, 0);
        }
        // Many boxes start after the same power cut.
        let ask_at = now + chance.between(Duration::ZERO, Duration::from_secs(60));
        let mut keeper = Self {
            tools,
            tls,
            events,
            status,
            wake,
            metrics: Metrics::default(),
            held,
            account: None,
            renewal,
            pace,
            chance,
            start: Instant::now(),
            watched_until: now,
            written: now,
            ask_at,
        };
        keeper.account = keeper.tools.account().await;
        keeper.publish(false);
        keeper
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    /// Looks until `stop`. An attempt that is on its way then is given up; a restart goes on with it.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let wake = Arc::clone(&self.wake);
        let looking = async {
            let mut before = (clock::now(), self.now());
            loop {
                self.look().await;
                let wait = self.wait();
                let asked = tokio::select! {
                    () = wake.notified() => true,
                    () = sleep(wait) => false,
                };
                let now = (clock::now(), self.now());
                if stepped(before, now) {
                    tracing::info!("the clock was set: looking at the certificate again");
                    self.pace.clock_stepped(now.1);
                }
                if asked {
                    self.pace.asked(now.1);
                    self.ask_at = now.1;
                }
                before = now;
            }
        };
        tokio::select! {
            () = stop => {}
            () = looking => {}
        }
    }

    /// Does what is due.
    async fn look(&mut self) {
        if self.due().is_none_or(|left| left.is_zero()) {
            let (wall, now) = (clock::now(), self.now());
            if self.pace.begin(self.urgency(), wall, now) {
                self.attempt().await;
            }
        } else if self.ask_at <= self.now() {
            self.ask().await;
        }
        if self.now().since(self.written) > WRITE_EVERY {
            self.write().await;
        }
        self.publish(false);
    }

    /// How long there is nothing to do.
    fn wait(&self) -> Duration {
        let now = self.now();
        let attempt =
            self.pace.earliest().map(|earliest| earliest.since(now).max(self.due().unwrap_or_default()));
        let turns = self.held.as_ref().map(|held| held.life.turns_after(self.age(held)));
        let wait = attempt.into_iter().chain(turns.flatten()).min().unwrap_or(LOOK_EVERY);
        wait.clamp(LOOK_LEAST, LOOK_EVERY)
    }

    /// How long until the certificate is to be renewed; `None` without one that is wanted and kept.
    fn due(&self) -> Option<Duration> {
        let held = self.held.as_ref().filter(|held| !held.unkept)?;
        if held.certificate.wanted != self.tools.wanted {
            return None;
        }
        let at = held.life.due_at(self.renewal.choice.map(|choice| choice.at));
        Some(at.saturating_sub(self.age(held)))
    }

    fn age(&self, held: &Held) -> Duration {
        held.life.age(held.certificate.got, self.watched(), clock::now())
    }

    fn watched(&self) -> Duration {
        Duration::from_millis(self.renewal.watched_ms) + self.now().since(self.watched_until)
    }

    fn urgency(&self) -> Urgency {
        let Some(held) = &self.held else { return Urgency::Over };
        let urgency = held.life.urgency(self.age(held));
        // Another one is wanted by somebody who waits for it.
        if held.certificate.wanted == self.tools.wanted { urgency } else { urgency.max(Urgency::Near) }
    }

    async fn attempt(&mut self) {
        self.publish(true);
        // Written before, so that a process that dies of it doesn't begin anew at once.
        self.write().await;
        tracing::info!(names = ?self.tools.wanted.names, "getting a certificate");
        let got = match self.made().await {
            Ok(attempt) => match timeout(ATTEMPT_WITHIN, attempt.run()).await {
                Ok(got) => got,
                Err(_) => Err(Failure::unreachable("the authority takes too long".to_owned())),
            },
            Err(failure) => Err(failure),
        };
        let failure = match got {
            Ok(Got { certificate, unkept }) => self.take(certificate, unkept),
            Err(failure) => Some(failure),
        };
        let result = if failure.is_some() { "failed" } else { "issued" };
        self.metrics.renewals.get_or_create(&[("result", result)]).inc();
        self.metrics.failing.set(i64::from(failure.is_some()));
        if let Some(failure) = failure {
            self.failed(failure);
        }
        self.account = self.tools.account().await;
        self.write().await;
        let (ends, error) = (self.held.as_ref().map(|held| held.life.ends), &self.renewal.last_error);
        self.events.certificate(|| {
            json!({ "result": result, "expires_at": ends.map(WallTime::rfc3339_seconds),
                "error": error.as_ref().map(|[words, _]| words), "next": error.as_ref().map(|[_, next]| next) })
        });
    }

    async fn made(&self) -> Result<Attempt, Failure> {
        let same = self.held.as_ref().filter(|held| {
            // Where nobody was asked about it yet the authority may have no such thing.
            held.certificate.wanted.directory == self.tools.wanted.directory && self.renewal.choice.is_some()
        });
        let replaces =
            same.and_then(|held| advice::identifier(&held.certificate).zip(held.certificate.account.clone()));
        // One that isn't on disk has to be fetched again, by the same order.
        let kept = self.held.as_ref().filter(|held| !held.unkept);
        let over = kept.map(|held| held.certificate.key.clone());
        self.tools.attempt(self.renewal.proofs_failed, replaces, over).await
    }

    /// Shows a new certificate; gives what is wrong with it, if something is.
    fn take(&mut self, certificate: Certificate, unkept: Option<Failure>) -> Option<Failure> {
        let id = certificate.id();
        let Some(held) = show(&self.tls, certificate, unkept.is_some()) else {
            return Some(Failure::unusable("what the authority has given can't be used".to_owned()));
        };
        let (wall, now) = (clock::now(), self.now());
        tracing::info!(expires = %held.life.ends, "the certificate authority has given a certificate");
        (self.renewal.certificate, self.renewal.choice, self.renewal.watched_ms) = (id, None, 0);
        (self.watched_until, self.ask_at) = (now, now + ask_again(None));
        let length = held.life.length();
        self.held = Some(held);
        if unkept.is_none() {
            self.pace.succeeded(length, wall, now);
            (self.renewal.last_error, self.renewal.proofs_failed) = (None, 0);
        }
        unkept
    }

    fn failed(&mut self, failure: Failure) {
        let (wall, now) = (clock::now(), self.now());
        self.pace.failed(failure.trouble, self.urgency(), wall, now);
        if failure.proof {
            self.renewal.proofs_failed = self.renewal.proofs_failed.wrapping_add(1);
        }
        let wait = self.pace.earliest().map_or(0, |earliest| earliest.since(now).as_secs());
        let Failure { words, next, .. } = failure;
        // Once for each kind of failure: the disk of a box isn't for saying the same all day.
        if self.renewal.last_error.as_ref().is_none_or(|[_, said]| *said != next) {
            tracing::error!(words, next, again_in_seconds = wait, "no certificate could be got");
        } else {
            tracing::debug!(words, again_in_seconds = wait, "no certificate could be got, again");
        }
        self.renewal.last_error = Some([words, next]);
    }

    /// Asks the authority when it wants its certificate renewed.
    async fn ask(&mut self) {
        let wait = match self.advice().await {
            Ok(retry_after) => ask_again(retry_after),
            Err(why) => {
                tracing::debug!(why, "the authority can't be asked about its certificate");
                ask_again(None)
            }
        };
        self.ask_at = self.now() + wait;
    }

    async fn advice(&mut self) -> Result<Option<Duration>, String> {
        let Some(held) = &self.held else { return Ok(None) };
        let Some(identifier) = advice::identifier(&held.certificate) else { return Ok(None) };
        let (life, directory) = (held.life, held.certificate.wanted.directory.clone());
        let caller = self.tools.caller().await.map_err(|failure| failure.words)?;
        let asked = timeout(ATTEMPT_WITHIN, advice::ask(&caller, &directory, &identifier)).await;
        let advice = asked.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())?;
        let Some(advice) = advice else { return Ok(None) };
        let choice = choose(self.renewal.choice, advice.window, &life, &mut self.chance);
        if choice != self.renewal.choice {
            self.renewal.choice = choice;
            if let Some(choice) = choice {
                tracing::info!(at = %choice.at, "the certificate authority says when to renew");
            }
            self.write().await;
        }
        Ok(advice.retry_after)
    }

    /// Writes down how renewing stands. A disk that refuses is said where it matters more.
    async fn write(&mut self) {
        let now = self.now();
        self.renewal.watched_ms = u64::try_from(self.watched().as_millis()).unwrap_or(u64::MAX);
        (self.watched_until, self.written) = (now, now);
        self.renewal.pace = self.pace.kept().clone();
        if let Err(error) = self.tools.folder.put(RENEWAL, &self.renewal).await {
            log_unwritten(&error);
        }
    }
}

/// Shows a certificate; `None` for one that can't be shown.
fn show(tls: &Tls, certificate: Certificate, unkept: bool) -> Option<Held> {
    if let Err(error) = tls.install(&certificate.chain, &certificate.key) {
        tracing::error!(%error, "the certificate that is kept can't be used; getting another");
        return None;
    }
    tls.show(clock::now());
    let life = certificate.life()?;
    Some(Held { certificate, life, unkept })
}

fn there<T>(found: Found<T>, file: &str) -> Option<T> {
    match found {
        Found::There(read) => Some(read),
        Found::Nothing => None,
        Found::Spoilt(why) | Found::Unread(why) => {
            tracing::error!(file, %why, "a file in `tls/acme` of the store can't be used, and is replaced");
            None
        }
    }
}

fn log_unwritten(error: &io::Error) {
    tracing::warn!(%error, "how renewing the certificate stands couldn't be written down");
}

/// Boxes that start at the same time don't go on at the same time.
fn seed() -> u64 {
    use ring::rand::SecureRandom as _;
    let mut seed = [0; 8];
    // Without chance the wait is the same each time.
    let _ = ring::rand::SystemRandom::new().fill(&mut seed);
    u64::from_le_bytes(seed)
}
